#include "reconciler/run/pipeline_stages.h"
#include "reconciler/plan/planner.h"
#include "reconciler/source/source.h"

static const RunEvents no_events = {0};

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

gboolean pipeline_stop(Pipeline *pipeline, int exit_status, GError *error /* taken */) {
  pipeline->result->exit_status = exit_status;
  pipeline->result->error = error;
  return FALSE;
}

gboolean pipeline_refuse(Pipeline *pipeline, char *message /* taken */) {
  gboolean going = pipeline_stop(pipeline, 3, g_error_new_literal(EXECUTE_ERROR, EXECUTE_ERROR_REFUSED, message));
  g_free(message);
  return going;
}

FleetHost *pipeline_only_host(const Pipeline *pipeline) { return fleet_host(pipeline->fleet, NULL); }

gboolean pipeline_is_fleet(const Pipeline *pipeline) { return pipeline->options->plan_in == NULL && desired_has_hosts(pipeline->desired); }

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
  return pipeline_stop(pipeline, 1, error);
}

gboolean pipeline_permit(Pipeline *pipeline, const Plan *plan) {
  if (plan->refused != NULL)
    return pipeline_refuse(pipeline, g_strdup(plan->refused));
  char *refusal = planner_refusal(plan, pipeline->options->allow);
  return refusal == NULL || pipeline_refuse(pipeline, refusal);
}

static void run(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  RunResult *result = pipeline->result;
  gboolean saved = options->plan_in != NULL;
  if (!open_journal(pipeline) || (saved && !pipeline_load_plan(pipeline)) || !pipeline_read(pipeline) ||
      !(saved ? pipeline_check_plan(pipeline) : pipeline_plan(pipeline)) || !pipeline_lock_fleet(pipeline) || !pipeline_save_plan(pipeline))
    return;
  if (!saved)
    pipeline_check_formerly(pipeline);
  if (pipeline->events->planned != NULL)
    pipeline->events->planned(pipeline->events->data, result->plan);
  if (!pipeline_permit(pipeline, result->plan))
    return;
  if (!options->dry_run) {
    pipeline_apply(pipeline);
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
  KnownHost *known = options->known != NULL && options->known->len > 0 ? options->known->pdata[0] : NULL;
  pipeline.fleet = fleet_new_single(known, options->uri, options->dry_run && !options->preflight);
  if (options->against == NULL)
    pipeline.silence = silence_watch_new(options->uri, known == NULL ? pipeline.events->silent : NULL, pipeline.events->data);
  run(&pipeline);
  silence_watch_free(pipeline.silence);
  if (pipeline.fleet != NULL)
    fleet_give_back(pipeline.fleet);
  FleetHost *host = pipeline_only_host(&pipeline);
  pipeline.result->desired = pipeline.read;
  pipeline.result->actual = host != NULL ? g_steal_pointer(&host->actual) : NULL;
  g_clear_pointer(&pipeline.placed, g_ptr_array_unref);
  host_locks_free(pipeline.locks);
  observation_free(pipeline.saved);
  fleet_free(pipeline.fleet);
  if (options->journal == NULL)
    journal_close(pipeline.journal);
  g_free(pipeline.source);
  g_free(pipeline.revision);
  return pipeline.result;
}
