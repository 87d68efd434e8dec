/* A dry run or an apply: the whole pipeline, and what is shown of it while it works. */
#include <malloc.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reconciler/command/cli.h"
#include "reconciler/report/progress.h"
#include "reconciler/run/config.h"
#include "reconciler/run/signals.h"
#include "reconciler/service/source_reading.h"

typedef struct {
  const Cli *cli;
  Progress *progress; /* NULL: none is shown */
  const Config *config;         /* NULL: none is given */
  const SourceReading *reading; /* of it; NULL: another source, or a saved plan */
  GCancellable *cancel;
  gboolean plan_shown;
} Apply;

static void show_plan(Apply *apply, const Plan *plan) {
  const Cli *cli = apply->cli;
  if (!cli->format->plan)
    return;
  g_autoptr(GString) out = g_string_new(NULL);
  cli->format->plan(out, plan, &cli->view);
  cli_print(out->str);
  fflush(stdout);
  apply->plan_shown = TRUE;
}

static void planned(gpointer data, const Plan *plan) { show_plan(data, plan); }

static void started(gpointer data, const Plan *plan, const Action *action) {
  Apply *apply = data;
  if (apply->progress)
    progress_started(apply->progress, plan, action);
}

static void step(gpointer data, const Action *action, guint64 done, guint64 total, const char *phase) {
  Apply *apply = data;
  if (apply->progress)
    progress_step(apply->progress, action, done, total, phase);
}

static void ended(gpointer data, const Plan *plan, const ActionResult *result) {
  Apply *apply = data;
  if (apply->progress)
    progress_ended(apply->progress, plan, result);
}

/* Beside a document for programs, progress is for a person at a terminal only. */
static Progress *make_progress(const Cli *cli) {
  gboolean text = cli->format->plan != NULL;
  FILE *out = text ? stdout : stderr;
  ProgressOutput output = {.out = out, .terminal = cli_is_terminal(fileno(out)), .now = g_get_monotonic_time};
  if (cli->view.dry_run || cli->view.quiet || (!text && !output.terminal))
    return NULL;
  struct winsize size;
  if (output.terminal && ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
    output.columns = size.ws_col;
  return progress_new(&output, &cli->view);
}

static RunOptions run_options(const Cli *cli, GCancellable *cancel) {
  const CliOptions *options = &cli->options;
  return (RunOptions){
      .source = cli->args[0],
      .uri = options->connect,
      .host = options->host,
      .state_dir = options->state_dir,
      .plan_in = options->plan_in,
      .plan_out = options->plan_out,
      .against = options->against,
      .dry_run = options->dry_run,
      .preflight = options->preflight,
      .prune = options->prune,
      .collect = options->prune_images != NULL,
      .collect_age = options->prune_images_age,
      .forbid_extra = options->forbid_extra,
      .allow = cli->view.allow,
      .prune_percent = (guint)options->prune_limit,
      .jobs = (guint)options->jobs,
      .cancel = cancel,
  };
}

/* The configuration gives what the command line doesn't; policy and windows come from it alone. */
static void take_config(RunOptions *options, const Config *config, const SourceReading *reading, Rules *rules) {
  const ServiceSpec *spec = &config->spec;
  if (reading != NULL) {
    options->desired = reading->desired;
    options->revision = reading->revision;
    options->identity = reading->identity;
  } else {
    options->identity = config_identity(config);
  }
  if (options->uri == NULL && given(spec, ServiceSpec, connection))
    options->uri = spec->connection;
  if (options->state_dir == NULL)
    options->state_dir = config->state_dir;
  options->allow |= config->allow;
  options->prune |= given(&spec->prune, PruneSpec, enabled) && spec->prune.enabled;
  if (options->formerly == NULL)
    options->formerly = config_formerly(config);
  if (options->prune_percent == 0)
    options->prune_percent = (guint)spec->prune.limit;
  if (options->jobs == 0)
    options->jobs = (guint)spec->limits.jobs;
  *rules = config_rules(config);
  rules->allow = options->allow;
  options->rules = rules;
}

static Desired *read_again(gpointer data, GError **error) {
  const Apply *apply = data;
  return reading_again(apply->config, apply->reading, apply->cancel, error);
}

/* With its keys, and the signatures that it wants, as the first time; of a saved plan only where that is of its source. */
static void take_source(RunOptions *options, Apply *apply, char **ret_identity) {
  options->read_again = read_again;
  options->read_again_data = apply;
  if (options->identity == NULL)
    options->identity = *ret_identity = reading_identity(apply->config);
}

static void show_result(Apply *apply, const RunResult *result) {
  const Cli *cli = apply->cli;
  if (result->plan && !apply->plan_shown)
    show_plan(apply, result->plan);
  g_autoptr(GString) out = g_string_new(NULL);
  cli->format->result(out, result, &cli->view);
  cli_print(out->str);
  cli_print_diagnostics(result->diagnostics);
  if (result->taken && !cli->view.quiet)
    cli_print_warning("planned against %s, observed on %s at %s: the host itself wasn't looked at", cli->options.against,
                      result->actual ? result->actual->hostname : "several hosts", result->taken);
  if (result->error)
    cli_print_error(result->error->message);
}

static void say_unended(void) {
  cli_print_error("what is under way doesn't end in time: it is left as it is, and the next run recognises it");
}

/* A thread's heap grows by a page with each system call otherwise, and what was freed is gathered again and again. What
 * isn't touched is no memory. Not in the service, which shall give back what it doesn't need. */
static void tune_heaps(void) {
  mallopt(M_TOP_PAD, 16 << 20);
  mallopt(M_MXFAST, 0);
}

int command_apply(const Cli *cli) {
  tune_heaps();
  static GCancellable *cancel; /* the signals' thread keeps using it */
  cancel = g_cancellable_new();
  signals_cancel(cancel, say_unended);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = cli->options.config ? config_read(cli->options.config, diagnostics, &error) : NULL;
  if (error)
    return cli_fail(cli, error, diagnostics);
  g_autoptr(SourceReading) reading = NULL;
  if (config && !cli->args[0] && !cli->options.plan_in) { /* with its keys, and the signatures that it wants */
    ReadingRequest request = {.config = config, .at_once = TRUE};
    reading = reading_make(&request, cancel);
    if (reading->error)
      return cli_fail(cli, reading->error, reading->diagnostics);
    cli_print_diagnostics(reading->diagnostics);
  }
  Apply apply = {.cli = cli, .progress = make_progress(cli), .config = config, .reading = reading, .cancel = cancel};
  RunOptions options = run_options(cli, cancel);
  const char *const formerly[] = {cli->options.formerly, NULL};
  options.formerly = *formerly ? formerly : NULL;
  Rules rules;
  if (config)
    take_config(&options, config, reading, &rules);
  g_autofree char *identity = NULL;
  if (config && !cli->args[0])
    take_source(&options, &apply, &identity);
  RunEvents events = {.planned = planned, .started = started, .progress = step, .ended = ended, .silent = cli_end_at_silence, .data = &apply};
  static RunResult *result; /* never freed: as the process ends, its pages go at once */
  result = pipeline_run(&options, &events);
  g_clear_pointer(&apply.progress, progress_free);
  show_result(&apply, result);
  return result->exit_status;
}
