#include "reconciler/pipeline.h"

#include <errno.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include "reconciler/act/host_lock.h"
#include "reconciler/act/preflight.h"
#include "reconciler/act/volume.h"
#include "reconciler/config.h"
#include "reconciler/execute.h"
#include "reconciler/fleet_plan.h"
#include "reconciler/migration.h"
#include "reconciler/planner.h"
#include "reconciler/source.h"
#include "schema/digest.h"
#include "state/writer_lock.h"
#include "state/libvirt/host_fits.h"
#include "state/observation.h"
#include "state/fault.h"
#include "state/real_path.h"

#define DEFAULT_PRUNE_PERCENT 30
#define LOCK_WAIT 15000 /* milliseconds, for other controllers of the same fleet */

typedef struct {
  const RunOptions *options;
  const RunEvents *events;
  RunResult *result;
  Connection *connection; /* of the only host, unless the source declares some */
  Fleet *fleet;
  HostLocks *locks;       /* on the hosts of a fleet, once there is something to do */
  GPtrArray *placed;      /* where the machines of a fleet belong */
  Journal *journal;
  const Desired *desired; /* of the source; NULL with a saved plan */
  Desired *read;          /* the same where this run has read it */
  char *source, *revision;
} Pipeline;

static const RunEvents no_events = {0};
static const ObserveOptions everything = {.domains = TRUE, .storage = TRUE, .networks = TRUE};

void run_result_free(RunResult *result) {
  if (result == NULL)
    return;
  g_clear_pointer(&result->diagnostics, diagnostics_free);
  g_clear_pointer(&result->results, g_ptr_array_unref); /* before the plan: it points there */
  g_clear_pointer(&result->plan, plan_free);
  g_clear_pointer(&result->desired, desired_free);
  g_clear_pointer(&result->actual, actual_free);
  g_clear_error(&result->error);
  g_free(result->taken);
  g_free(result);
}

static gboolean stop(Pipeline *pipeline, int exit_status, GError *error /* taken */) {
  pipeline->result->exit_status = exit_status;
  pipeline->result->error = error;
  return FALSE;
}

static gboolean refuse(Pipeline *pipeline, char *message /* taken */) {
  gboolean going = stop(pipeline, 3, g_error_new_literal(EXECUTE_ERROR, EXECUTE_ERROR_REFUSED, message));
  g_free(message);
  return going;
}

/* A dry run works without a journal; a run that acts doesn't. */
static gboolean open_journal(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  pipeline->journal = options->journal;
  if (pipeline->journal != NULL)
    return TRUE;
  g_autofree char *dir = options->state_dir != NULL ? g_strdup(options->state_dir) : journal_default_dir();
  g_autofree char *warning = NULL;
  GError *error = NULL;
  pipeline->journal = journal_open(dir, options->dry_run ? JOURNAL_DIGESTS : JOURNAL_WRITE, &warning, &error);
  if (warning != NULL)
    diag_warning(pipeline->result->diagnostics, (Place){0}, "%s", warning);
  if (pipeline->journal != NULL || options->dry_run) {
    g_clear_error(&error);
    return TRUE;
  }
  return stop(pipeline, 1, error);
}

static gpointer read_source(gpointer data) {
  Pipeline *pipeline = data;
  GError *error = NULL;
  const RunOptions *options = pipeline->options;
  SourceRequest request = {options->source, options->state_dir, pipeline->journal, options->cancel};
  pipeline->read = source_read(&request, &pipeline->source, &pipeline->revision, pipeline->result->diagnostics, &error);
  pipeline->desired = pipeline->read;
  return error;
}

static Actual *read_saved(Pipeline *pipeline, GError **error) {
  const char *path = pipeline->options->against;
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, error))
    return NULL;
  return observation_load(text, path, &pipeline->result->taken, error);
}

/* NULL: there is nothing to read; what is known is taken. */
static GThread *start_reading(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  if (options->desired != NULL) {
    pipeline->desired = options->desired;
    pipeline->revision = g_strdup(options->revision);
  }
  return options->plan_in == NULL && options->desired == NULL ? g_thread_new("source", read_source, pipeline) : NULL;
}

static FleetHost *only_host(const Pipeline *pipeline) { return fleet_host(pipeline->fleet, NULL); }

static gboolean is_fleet(const Pipeline *pipeline) { return pipeline->options->plan_in == NULL && desired_has_hosts(pipeline->desired); }

/* The source declares the hosts: what was seen of another one in the meantime doesn't count. */
static gboolean look_at_fleet(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  if (options->uri != NULL || options->against != NULL)
    return stop(pipeline, 1, g_error_new(SOURCE_ERROR, SOURCE_ERROR_INVALID, "this source declares its hosts: leave out %s, and name one of "
                                         "them with --host where only that is meant", options->uri != NULL ? "--connect" : "--against"));
  g_clear_pointer(&pipeline->fleet, fleet_free);
  connection_watch();
  pipeline->fleet = fleet_new_declared(pipeline->desired, options->dry_run && !options->preflight);
  if (options->host != NULL && fleet_host(pipeline->fleet, options->host) == NULL)
    return stop(pipeline, 1, g_error_new(SOURCE_ERROR, SOURCE_ERROR_INVALID, "--host %s: the source declares no such host", options->host));
  fleet_observe(pipeline->fleet, &everything);
  return TRUE;
}

static gboolean check_only_host(Pipeline *pipeline) {
  if (pipeline->options->host != NULL)
    return stop(pipeline, 1, g_error_new(SOURCE_ERROR, SOURCE_ERROR_INVALID, "--host %s: the source declares no hosts", pipeline->options->host));
  FleetHost *host = only_host(pipeline); /* none: a saved plan of a fleet */
  return host == NULL || host->error == NULL || stop(pipeline, 1, g_steal_pointer(&host->error));
}

/* What is known is brought up to date; where that fails, and without it, all is looked at. */
static void look_at_hosts(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  FleetHost *host = only_host(pipeline);
  if (options->against != NULL) {
    host->actual = read_saved(pipeline, &host->error);
    return;
  }
  host = host != NULL && options->known != NULL ? host : NULL;
  if (host != NULL && observe_again(host->connection, options->known, options->stale, NULL)) {
    host->actual = options->known;
    return;
  }
  actual_free(options->known);
  fleet_observe(pipeline->fleet, &everything);
}

/* Source and host are read side by side. What is wrong with the source is said first. */
static gboolean read_both(Pipeline *pipeline) {
  GThread *reader = start_reading(pipeline);
  look_at_hosts(pipeline);
  GError *source_error = reader != NULL ? g_thread_join(reader) : NULL;
  if (source_error != NULL)
    return stop(pipeline, 1, source_error);
  if (pipeline->result->diagnostics->errors > 0)
    return stop(pipeline, 1, NULL);
  return is_fleet(pipeline) ? look_at_fleet(pipeline) : check_only_host(pipeline);
}

static gboolean brings_extra(const PlanObject *object) {
  if (object->kind != KIND_VIRTUAL_MACHINE || object->desired == NULL)
    return FALSE;
  const VmSpec *vm = object_vm(object->desired);
  return given(vm, VmSpec, devices) && given(&vm->devices, DevicesSpec, extra) && vm->devices.extra[0] != NULL;
}

static void forbid_extra(Plan *plan) {
  for (guint i = 0; i < plan->objects->len; i++)
    if (brings_extra(plan->objects->pdata[i]))
      plan_reject(plan, plan->objects->pdata[i], g_strdup("devices.extra is forbidden here (--forbid-extra): use the fields that there are, or ask the host's administrator"));
}

static void wait_until(RunResult *result, gint64 opens) {
  if (opens != 0 && (result->opens == 0 || opens < result->opens))
    result->opens = opens;
}

/* What the hypervisor judges to be wrong is not begun; the others go on. */
static gboolean judge(Pipeline *pipeline, const FleetHost *host, Plan *plan) {
  const Rules *rules = pipeline->options->rules;
  if (pipeline->options->forbid_extra)
    forbid_extra(plan);
  if (rules != NULL) {
    Rules here = *rules;
    here.resolve = host->actual->local ? real_path : NULL;
    wait_until(pipeline->result, rules_apply(&here, plan, host->actual));
  }
  if (pipeline->options->dry_run && !pipeline->options->preflight)
    return TRUE;
  GError *error = NULL;
  g_autoptr(GHashTable) verdicts = preflight(host, plan, pipeline->options->cancel, &error);
  if (verdicts == NULL)
    return stop(pipeline, 1, error);
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    const char *verdict = g_hash_table_lookup(verdicts, id);
    if (verdict != NULL)
      plan_reject(plan, object, g_strdup_printf("the hypervisor refuses the definition: %s", verdict));
  }
  return TRUE;
}

/* What one host shall have, against what it has. */
static Plan *plan_host(Pipeline *pipeline, const FleetHost *host, const Desired *desired) {
  const RunOptions *options = pipeline->options;
  GError *error = NULL;
  if (!image_facts_collect(desired, host->actual, pipeline->journal, options->cancel, &error)) {
    stop(pipeline, 1, error);
    return NULL;
  }
  gint64 now = fault_now(g_get_real_time() / G_USEC_PER_SEC);
  PlanInput input = {
      .desired = desired,
      .everywhere = pipeline->desired,
      .placed = pipeline->placed,
      .actual = host->actual,
      .host = host->name,
      .source = options->identity != NULL ? options->identity : pipeline->source,
      .revision = pipeline->revision,
      .allow = options->allow,
      .prune = options->prune && !pipeline->desired->rewritten,
      .collect = options->collect,
      .collect_age = options->collect_age,
      .now = now,
      .deleted_lately = options->prune_by_day ? journal_deletions_since(pipeline->journal, host->name, (now - 24 * 3600) * G_USEC_PER_SEC) : 0,
      .prune_percent = options->prune_percent != 0 ? options->prune_percent : DEFAULT_PRUNE_PERCENT,
  };
  return planner_plan(&input);
}

/* libvirt remembers what space a pool had when it last looked. Before a run is refused for that,
 * it looks again; a dry run can't ask it to. */
static Plan *plan_with_space(Pipeline *pipeline, FleetHost *host, const Desired *desired) {
  g_autoptr(Plan) plan = plan_host(pipeline, host, desired);
  GError *error = NULL;
  if (plan == NULL || plan->short_pool == NULL || pipeline->options->dry_run)
    return g_steal_pointer(&plan);
  if (!pool_look_again(host->connection, plan->short_pool, pipeline->options->cancel, &error)) {
    stop(pipeline, 1, error);
    return NULL;
  }
  g_clear_pointer(&host->actual, actual_free);
  host->actual = observe(host->connection, &everything, &error);
  if (error != NULL) {
    stop(pipeline, 1, error);
    return NULL;
  }
  return plan_host(pipeline, host, desired);
}

/* One host is planned like all of them, and what may not be done taken out. NULL: the run has stopped. */
static Plan *plan_and_judge(Pipeline *pipeline, FleetHost *host, const Desired *desired) {
  g_autoptr(Plan) plan = plan_with_space(pipeline, host, desired);
  return plan != NULL && judge(pipeline, host, plan) ? g_steal_pointer(&plan) : NULL;
}

/* Before a machine is planned to move, its new home is asked whether it can take it. */
static void ask_homes(const Pipeline *pipeline) {
  for (guint i = 0; i < pipeline->placed->len; i++) {
    Placed *placed = pipeline->placed->pdata[i];
    g_autoptr(GError) error = NULL;
    if (placed->error != NULL || placed->now == NULL || placed->now == placed->home || placed->home->actual == NULL)
      continue;
    if (!host_fits(placed->now->connection, placed->home->connection, placed->home->name, placed->machine->metadata.name, &placed->unfit, &error))
      placed->unfit = g_strdup(error->message);
  }
}

static gboolean plan_fleet(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  Plan *whole = pipeline->result->plan = fleet_plan_new(pipeline->fleet, options->identity != NULL ? options->identity : pipeline->source,
                                                        pipeline->revision);
  pipeline->placed = placement_of(pipeline->desired, pipeline->fleet);
  ask_homes(pipeline);
  fleet_plan_troubles(whole, pipeline->fleet, pipeline->placed);
  for (guint i = 0; i < pipeline->fleet->hosts->len; i++) {
    FleetHost *host = pipeline->fleet->hosts->pdata[i];
    if (host->actual == NULL)
      continue;
    g_autoptr(Desired) part = fleet_part(pipeline->desired, pipeline->placed, host);
    Plan *plan = plan_and_judge(pipeline, host, part);
    if (plan == NULL)
      return FALSE;
    fleet_plan_add(whole, plan);
  }
  if (!(options->allow & ALLOW_OVERCOMMIT))
    moves_check_space(whole, pipeline->fleet);
  if (options->host != NULL)
    fleet_plan_only(whole, options->host);
  return TRUE;
}

static gboolean make_plan(Pipeline *pipeline) {
  if (is_fleet(pipeline))
    return plan_fleet(pipeline);
  pipeline->result->plan = plan_and_judge(pipeline, only_host(pipeline), pipeline->desired);
  return pipeline->result->plan != NULL;
}

/* A saved plan names its hosts. */
static gboolean load_plan(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  g_autofree char *text = NULL;
  GError *error = NULL;
  if (!g_file_get_contents(options->plan_in, &text, NULL, &error) ||
      (pipeline->result->plan = plan_from_json(text, options->plan_in, &error)) == NULL)
    return stop(pipeline, 1, error);
  if (pipeline->result->plan->hosts->len > 0) {
    g_clear_pointer(&pipeline->fleet, fleet_free);
    connection_watch();
    pipeline->fleet = fleet_new_planned(pipeline->result->plan, options->dry_run && !options->preflight);
  }
  return TRUE;
}

/* It is applied as it is or not at all. What is forbidden now is forbidden to it too. */
static gboolean check_plan(Pipeline *pipeline) {
  char *stale = execute_stale(pipeline->result->plan, pipeline->fleet);
  if (stale != NULL)
    return refuse(pipeline, stale);
  for (guint i = 0; i < pipeline->fleet->hosts->len; i++)
    if (!judge(pipeline, pipeline->fleet->hosts->pdata[i], pipeline->result->plan))
      return FALSE;
  return TRUE;
}

/* Into a pipe or a device that is there: a new file must not take its place. */
static gboolean write_into(const char *path, const char *text, GError **error) {
  FILE *file = fopen(path, "we");
  gboolean written = file != NULL && fwrite(text, strlen(text), 1, file) == 1;
  int code = errno;
  if (file != NULL && fclose(file) != 0 && written) {
    written = FALSE;
    code = errno;
  }
  if (!written)
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "%s: can't be written: %s", path, g_strerror(code));
  return written;
}

static gboolean save_plan(Pipeline *pipeline) {
  const char *path = pipeline->options->plan_out;
  if (path == NULL)
    return TRUE;
  g_autofree char *text = plan_to_json(pipeline->result->plan);
  GError *error = NULL;
  gboolean special = g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_REGULAR);
  /* A plan names paths and labels: not for everybody. */
  gboolean saved = special ? write_into(path, text, &error)
                           : g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
  return saved || stop(pipeline, 1, error);
}

static gboolean permit(Pipeline *pipeline) {
  const Plan *plan = pipeline->result->plan;
  if (plan->refused != NULL)
    return refuse(pipeline, g_strdup(plan->refused));
  char *refusal = planner_refusal(plan, pipeline->options->allow);
  return refusal == NULL || refuse(pipeline, refusal);
}

static int status_of_results(const GPtrArray *results) {
  gboolean refused = FALSE;
  for (guint i = 0; i < results->len; i++) {
    const ActionResult *result = results->pdata[i];
    if (result->kind == RESULT_FAILED || result->kind == RESULT_CANCELLED)
      return 1;
    refused |= result->kind == RESULT_REFUSED;
  }
  return refused ? 3 : 0;
}

/* Runs with other state directories don't know of each other's journals: one connection is changed by one
 * of them at a time. Where there is no place for the lock, and between users and hosts, nothing is kept
 * apart but by the fingerprints. */
static gboolean lock_connection(const char *uri, GArray *locks, GError **error) {
  g_autofree char *runtime = config_runtime_dir(), *digest = digest_of_data(uri, strlen(uri));
  g_autofree char *name = g_strdup_printf("connection-%.16s.lock", digest), *path = g_build_filename(runtime, name, NULL);
  if (g_mkdir_with_parents(runtime, 0755) < 0 || access(runtime, W_OK) < 0)
    return TRUE;
  int lock = writer_lock_take_file(path, uri, error);
  if (lock >= 0)
    g_array_append_val(locks, lock);
  return lock >= 0;
}

static gboolean lock_hosts(const Pipeline *pipeline, GArray *locks, GError **error) {
  for (guint i = 0; i < pipeline->fleet->hosts->len; i++) {
    const FleetHost *host = pipeline->fleet->hosts->pdata[i];
    if (host->actual != NULL && !lock_connection(host->actual->uri, locks, error))
      return FALSE;
  }
  return TRUE;
}

static void apply_locked(Pipeline *pipeline);

static void apply(Pipeline *pipeline) {
  g_autoptr(GArray) locks = g_array_new(FALSE, FALSE, sizeof(int));
  GError *error = NULL;
  if (pipeline->result->plan->actions->len == 0 || lock_hosts(pipeline, locks, &error))
    apply_locked(pipeline);
  else
    stop(pipeline, 1, error);
  for (guint i = 0; i < locks->len; i++)
    close(g_array_index(locks, int, i));
}

static void apply_locked(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  RunResult *result = pipeline->result;
  const Plan *plan = result->plan;
  gint64 run = 0;
  GError *error = NULL;
  JournalBegin begin = {plan->source, plan->revision, plan->connection, options->cause};
  if (plan->actions->len > 0 && !journal_run_begin(pipeline->journal, &begin, &run, &error)) {
    stop(pipeline, 1, error);
    return;
  }
  FAULT("run: begun in the journal");
  Execution execution = {
      .fleet = pipeline->fleet,
      .plan = plan,
      .journal = pipeline->journal,
      .run = run,
      .jobs = options->jobs,
      .cancel = options->cancel,
      .events = pipeline->events,
  };
  result->results = execute_plan(&execution);
  FAULT("run: all acted");
  result->exit_status = status_of_results(result->results);
  if (result->exit_status == 0 && plan_summary(plan).errors > 0)
    result->exit_status = 1;
  if (plan->actions->len > 0) {
    g_autofree char *summary = g_strdup_printf("%u actions", result->results->len);
    journal_run_end(pipeline->journal, run, result->exit_status, summary, NULL);
  }
}

/* What is done is planned under the lock: another controller may have acted since it was looked at. */
static gboolean lock_fleet(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  RunResult *result = pipeline->result;
  GError *error = NULL;
  if (options->dry_run || result->plan->actions->len == 0 || only_host(pipeline) != NULL)
    return TRUE;
  pipeline->locks = host_locks_take(pipeline->fleet, LOCK_WAIT, options->cancel, &error);
  if (pipeline->locks == NULL)
    return stop(pipeline, error->domain == EXECUTE_ERROR ? 3 : 1, error);
  if (options->plan_in != NULL)
    return check_plan(pipeline);
  g_clear_pointer(&result->plan, plan_free);
  g_clear_pointer(&pipeline->placed, g_ptr_array_unref);
  fleet_observe(pipeline->fleet, &everything);
  return make_plan(pipeline);
}

static void run(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  RunResult *result = pipeline->result;
  gboolean saved = options->plan_in != NULL;
  if (!open_journal(pipeline) || (saved && !load_plan(pipeline)) || !read_both(pipeline) ||
      !(saved ? check_plan(pipeline) : make_plan(pipeline)) || !lock_fleet(pipeline) || !save_plan(pipeline))
    return;
  if (pipeline->events->planned != NULL)
    pipeline->events->planned(pipeline->events->data, result->plan);
  if (!permit(pipeline))
    return;
  if (!options->dry_run) {
    apply(pipeline);
    return;
  }
  if (plan_summary(result->plan).errors > 0)
    result->exit_status = 1;
  else
    result->exit_status = plan_in_sync(result->plan) ? 0 : 2;
}

RunResult *pipeline_run(const RunOptions *options, const RunEvents *events) {
  Pipeline pipeline = {.options = options, .events = events != NULL ? events : &no_events};
  pipeline.result = g_new0(RunResult, 1);
  pipeline.result->diagnostics = diagnostics_new();
  gboolean read_only = options->dry_run && !options->preflight;
  pipeline.connection = options->connection != NULL ? options->connection : connection_new(options->uri, read_only);
  pipeline.fleet = fleet_new_single(pipeline.connection);
  run(&pipeline);
  FleetHost *host = only_host(&pipeline);
  pipeline.result->desired = pipeline.read;
  pipeline.result->actual = host != NULL ? g_steal_pointer(&host->actual) : NULL;
  g_clear_pointer(&pipeline.placed, g_ptr_array_unref);
  host_locks_free(pipeline.locks);
  fleet_free(pipeline.fleet);
  if (options->journal == NULL)
    journal_close(pipeline.journal);
  if (options->connection == NULL)
    connection_free(pipeline.connection);
  g_free(pipeline.source);
  g_free(pipeline.revision);
  return pipeline.result;
}
