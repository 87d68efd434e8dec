/* Graphviz of disk chains; with a source also of what a run would do, and in which order. */
#include "reconciler/command/cli.h"
#include "reconciler/command/observe_names.h"
#include "reconciler/run/silence.h"
#include "reconciler/status/graph.h"

/* `found` NULL: of several hosts, whose machines may share names and paths: the plan alone. */
static void print_graph(const Actual *found, const Plan *plan) {
  g_autoptr(Actual) nothing = found ? NULL : actual_new();
  const Actual *actual = found ? found : nothing;
  g_autoptr(GPtrArray) domains = domains_by_name(actual);
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  g_autoptr(GString) out = g_string_new(NULL);
  graph_append(out, domains, users, plan);
  cli_print(out->str);
}

static int graph_host(const Cli *cli) {
  g_autoptr(SilenceWatch) silence = silence_watch_new(cli->options.connect, cli_end_at_silence, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(Actual) actual = NULL;
  g_autoptr(GPtrArray) domains = observe_named(cli, TRUE, &actual, &error);
  if (!domains)
    return cli_fail(cli, error, NULL);
  print_graph(actual, NULL);
  return EXIT_IN_SYNC;
}

static int graph_plan(const Cli *cli) {
  const char *const formerly[] = {cli->options.formerly, NULL};
  RunOptions options = {
      .source = cli->args[0],
      .uri = cli->options.connect,
      .state_dir = cli->options.state_dir,
      .dry_run = TRUE,
      .prune = cli->options.prune,
      .formerly = formerly[0] ? formerly : NULL,
      .allow = cli->view.allow,
      .prune_percent = (guint)cli->options.prune_limit,
  };
  RunEvents events = {.silent = cli_end_at_silence};
  RunResult *result = pipeline_run(&options, &events);
  int status = EXIT_IN_SYNC;
  if (result->plan)
    print_graph(result->actual, result->plan);
  cli_print_diagnostics(result->diagnostics);
  if (result->error) /* also of a plan that would be refused, which is drawn */
    cli_print_error(result->error->message);
  if (!result->plan)
    status = EXIT_ERROR;
  run_result_free(result);
  return status;
}

int command_graph(const Cli *cli) { return cli->args[0] ? graph_plan(cli) : graph_host(cli); }
