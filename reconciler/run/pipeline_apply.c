/* One plan carried out, by one run at a time. */
#include <string.h>
#include <unistd.h>

#include "reconciler/act/host_lock.h"
#include "reconciler/run/config.h"
#include "reconciler/run/pipeline_stages.h"
#include "schema/digest.h"
#include "state/fault.h"
#include "state/writer_lock.h"

#define LOCK_WAIT 15000 /* milliseconds, for other controllers of the same fleet */

/* One that is held is its holder's; one that outlived its libvirtd goes. */
static void end_left_locks(const Pipeline *pipeline) {
  gboolean seen = FALSE;
  for (guint i = 0; i < pipeline->fleet->hosts->len; i++) {
    const FleetHost *host = pipeline->fleet->hosts->pdata[i];
    seen |= host->actual != NULL && host->actual->has_lock;
  }
  if (seen)
    host_locks_free(host_locks_take(pipeline->fleet, 0, pipeline->options->cancel, NULL));
}

/* What is done is planned under the lock: another controller may have acted since it was looked at. */
gboolean pipeline_lock_fleet(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  RunResult *result = pipeline->result;
  GError *error = NULL;
  if (options->dry_run || pipeline_only_host(pipeline) != NULL)
    return TRUE;
  if (result->plan->actions->len == 0) {
    end_left_locks(pipeline);
    return TRUE;
  }
  FAULT("fleet: to be locked");
  pipeline->locks = host_locks_take(pipeline->fleet, LOCK_WAIT, options->cancel, &error);
  if (pipeline->locks == NULL)
    return pipeline_stop(pipeline, error->domain == EXECUTE_ERROR ? 3 : 1, error);
  fleet_observe(pipeline->fleet, &pipeline_everything);
  FAULT("fleet: looked at under the lock");
  if (options->plan_in != NULL)
    return pipeline_check_plan(pipeline) && pipeline_confirm(pipeline);
  g_clear_pointer(&result->plan, plan_free);
  g_clear_pointer(&pipeline->placed, g_ptr_array_unref);
  return pipeline_plan(pipeline) && pipeline_confirm(pipeline);
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

static void apply_locked(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  RunResult *result = pipeline->result;
  const Plan *plan = result->plan;
  gint64 run = 0;
  GError *error = NULL;
  JournalBegin begin = {
      .source = plan->source,
      .revision = plan->revision,
      .uri = plan->connection,
      .cause = options->cause,
      .rewritten = plan->rewritten,
  };
  gboolean noted = plan->actions->len > 0 || (plan->rewritten && options->desired == NULL); /* a service remembers that itself */
  if (!pipeline_note_epochs(pipeline, plan, &error) || (noted && !journal_run_begin(pipeline->journal, &begin, &run, &error))) {
    pipeline_stop(pipeline, 1, error);
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
  pipeline_follow(pipeline, &execution);
  FAULT("run: all acted");
  if (result->error == NULL)
    result->exit_status = status_of_results(result->results);
  if (result->exit_status == 0 && plan_summary(plan).errors > 0)
    result->exit_status = 1;
  if (noted) {
    g_autofree char *summary = g_strdup_printf("%u actions", result->results->len);
    journal_run_end(pipeline->journal, run, result->exit_status, summary, NULL);
  }
}

void pipeline_apply(Pipeline *pipeline) {
  g_autoptr(GArray) locks = g_array_new(FALSE, FALSE, sizeof(int));
  GError *error = NULL;
  if (pipeline->result->plan->actions->len == 0 || lock_hosts(pipeline, locks, &error))
    apply_locked(pipeline);
  else
    pipeline_stop(pipeline, 1, error);
  for (guint i = 0; i < locks->len; i++)
    close(g_array_index(locks, int, i));
}
