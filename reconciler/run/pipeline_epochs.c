/* What a new copy's epoch has to be above: all that this controller has seen or given, also on hosts that hide it now. Nobody relies on
 * the clock for that, which may have been set back. */
#include "reconciler/plan/whereabouts.h"
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

static gint64 moved_epoch(const Fleet *fleet, const Plan *plan, const Action *action) {
  const PlanObject *object = plan_object(plan, action->object);
  return MAX(fleet_new_epoch(fleet, 0), epoch_given(plan, object != NULL ? fleet_host(fleet, object->host) : NULL, action));
}

gboolean pipeline_note_epochs(Pipeline *pipeline, const Plan *plan, GError **error) {
  gint64 given = 0;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    given = MAX(given, action_moves(action) ? moved_epoch(pipeline->fleet, plan, action) : epoch_of(action));
  }
  return given == 0 || journal_note_epoch(pipeline->journal, given, error);
}

/* Of a machine, on all hosts that were looked at. */
static gint64 seen_of(const Fleet *fleet, const char *machine) {
  gint64 highest = 0;
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    const ActualDomain *domain = host->actual != NULL ? g_hash_table_lookup(host->actual->domains, machine) : NULL;
    highest = MAX(highest, domain != NULL && domain->owner != NULL ? placement_epoch(domain) : 0);
  }
  return highest;
}

/* What was noted isn't of one machine: as much as this plan gives may be its own note, from when it was applied and broke off before it did
 * anything; more than that isn't. */
char *pipeline_stale_epoch(const Pipeline *pipeline) {
  const Plan *plan = pipeline->result->plan;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    const PlanObject *object = plan_object(plan, action->object);
    gint64 epoch = epoch_of(action);
    if (epoch != 0 && object != NULL && epoch <= seen_of(pipeline->fleet, object->name))
      return g_strdup_printf("%s: since the plan was made, a copy was made that would count more than this one: nothing is changed; make a new plan", action->object);
    if (epoch < pipeline->fleet->epoch && epoch != 0)
      return g_strdup_printf("%s: since the plan was made, copies of machines were made that would count more than this one, and one of them may be of this machine, on a "
                             "host that can't be asked: nothing is changed; make a new plan", action->object);
  }
  return NULL;
}
