/* What a new copy's epoch has to be above: all that this controller has seen or given, also on hosts that hide it now. Nobody relies on
 * the clock for that, which may have been set back. */
#include "reconciler/run/pipeline_stages.h"

gboolean pipeline_know_epochs(Pipeline *pipeline, GError **error) {
  Fleet *fleet = pipeline->fleet;
  gint64 noted = 0, seen = fleet_highest_epoch(fleet);
  if (pipeline->journal != NULL && !journal_epoch(pipeline->journal, &noted, error))
    return FALSE;
  fleet->epoch = MAX(MAX(fleet->epoch, noted), seen);
  return pipeline->options->dry_run || seen <= noted || journal_note_epoch(pipeline->journal, seen, error);
}

static gint64 epoch_of(const Action *action) {
  const char *epoch = string_map_get(action->args, "epoch");
  return epoch != NULL ? g_ascii_strtoll(epoch, NULL, 10) : 0;
}

static gboolean moves(const Action *action) { return action->kind == ACTION_DOMAIN_MIGRATE || action->kind == ACTION_DOMAIN_ARRIVE; }

gboolean pipeline_note_epochs(Pipeline *pipeline, const Plan *plan, GError **error) {
  gint64 given = 0;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    given = MAX(given, moves(action) ? fleet_new_epoch(pipeline->fleet, 0) : epoch_of(action));
  }
  return given == 0 || journal_note_epoch(pipeline->journal, given, error);
}

char *pipeline_stale_epoch(const Pipeline *pipeline) {
  const Plan *plan = pipeline->result->plan;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    gint64 epoch = epoch_of(action);
    if (epoch != 0 && epoch <= pipeline->fleet->epoch)
      return g_strdup_printf("%s: since the plan was made, a copy was made that would count more than this one: nothing is changed; make a new plan", action->object);
  }
  return NULL;
}
