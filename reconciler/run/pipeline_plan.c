/* Observation and declaration to a plan, without what may not be done. */
#include <sys/statvfs.h>

#include "reconciler/act/preflight.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/migration.h"
#include "reconciler/plan/migration_policy.h"
#include "reconciler/plan/planner.h"
#include "reconciler/plan/space.h"
#include "reconciler/run/pipeline_stages.h"
#include "state/fault.h"
#include "state/libvirt/host_fits.h"
#include "state/real_path.h"
#include "state/same_files.h"
#include "state/work.h"

#define DEFAULT_PRUNE_PERCENT 30
#define ASKING 8 /* machines whose new homes are asked at once */

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

gboolean pipeline_judge(Pipeline *pipeline, const FleetHost *host, Plan *plan, GError **error) {
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
  g_autoptr(GHashTable) verdicts = preflight(host, plan, pipeline->options->cancel, error);
  if (verdicts == NULL)
    return FALSE;
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    const char *verdict = g_hash_table_lookup(verdicts, id);
    if (verdict != NULL)
      plan_reject(plan, object, g_strdup_printf("the hypervisor refuses the definition: %s", verdict));
  }
  return TRUE;
}

/* Where exports are compressed. */
static guint64 scratch(const Pipeline *pipeline) {
  struct statvfs status;
  if (pipeline->journal == NULL || statvfs(journal_dir(pipeline->journal), &status) < 0)
    return 0;
  return MAX((guint64)status.f_bavail * status.f_frsize, 1);
}

/* What one host shall have, against what it has. */
static Plan *plan_host(Pipeline *pipeline, const FleetHost *host, const Desired *desired, GError **error) {
  const RunOptions *options = pipeline->options;
  if (!image_facts_collect(desired, host->actual, pipeline->journal, options->cancel, error))
    return NULL;
  same_files_add(host->actual, desired);
  gint64 now = fault_now(g_get_real_time() / G_USEC_PER_SEC);
  PlanInput input = {
      .desired = desired,
      .everywhere = pipeline->desired,
      .fleet = pipeline->fleet,
      .placed = pipeline->placed,
      .actual = host->actual,
      .host = host->name,
      .source = options->identity != NULL ? options->identity : pipeline->source,
      .formerly = options->formerly,
      .revision = pipeline->revision,
      .allow = options->allow,
      .prune = options->prune && !pipeline->desired->rewritten,
      .scratch = scratch(pipeline),
      .collect = options->collect,
      .collect_age = options->collect_age,
      .now = now,
      .round = pipeline->round,
      .deleted_lately = options->prune_by_day ? journal_deletions_since(pipeline->journal, host->name, (now - 24 * 3600) * G_USEC_PER_SEC) : 0,
      .prune_percent = options->prune_percent != 0 ? options->prune_percent : DEFAULT_PRUNE_PERCENT,
  };
  return planner_plan(&input);
}

/* Whether somebody would take of it who doesn't wait after failures. */
static gboolean is_wanted(const Pipeline *pipeline, const Plan *plan, const ActualPool *pool) {
  const Rules *rules = pipeline->options->rules;
  if (rules == NULL || rules->patience == NULL)
    return TRUE;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    g_autofree char *waits = space_taken(action, pool) > 0 ? rules->patience(rules->patience_data, action->object) : NULL;
    if (space_taken(action, pool) > 0 && waits == NULL)
      return TRUE;
  }
  return FALSE;
}

/* libvirt remembers what space a pool had when it last looked. Before a run is refused for that,
 * it looks again; a dry run can't ask it to. A service hears of that, and plans again: then nobody wants to know. */
static Plan *plan_with_space(Pipeline *pipeline, FleetHost *host, const Desired *desired, GError **error) {
  g_autoptr(Plan) plan = plan_host(pipeline, host, desired, error);
  const ActualPool *pool = plan != NULL && plan->short_pool != NULL ? g_hash_table_lookup(host->actual->pools, plan->short_pool) : NULL;
  if (pool == NULL || pool->measured || pipeline->options->dry_run || !is_wanted(pipeline, plan, pool))
    return g_steal_pointer(&plan);
  if (!pool_look_again(host->connection, plan->short_pool, pipeline->options->cancel, NULL, error))
    return NULL;
  g_autoptr(Actual) before = g_steal_pointer(&host->actual);
  host->actual = observe(host->connection, &pipeline_everything, error);
  return host->actual != NULL ? plan_host(pipeline, host, desired, error) : NULL;
}

static Plan *plan_with_checkpoints(Pipeline *pipeline, FleetHost *host, const Desired *desired, GError **error) {
  g_autoptr(Plan) plan = plan_with_space(pipeline, host, desired, error);
  if (plan == NULL || !pipeline_ask_checkpoints(pipeline, host, plan))
    return g_steal_pointer(&plan);
  return plan_host(pipeline, host, desired, error); /* of the same look, which knows of them now */
}

/* One host is planned like all of them, and what may not be done taken out. NULL: the run has stopped, or, without its error, this
 * host is lost to it: where there are others, that is its own objects' matter. */
static Plan *plan_and_judge(Pipeline *pipeline, FleetHost *host, const Desired *desired) {
  GError *error = NULL;
  g_autoptr(Plan) plan = plan_with_checkpoints(pipeline, host, desired, &error);
  if (plan != NULL && pipeline_judge(pipeline, host, plan, &error))
    return g_steal_pointer(&plan);
  if (host->name == NULL || g_cancellable_is_cancelled(pipeline->options->cancel))
    pipeline_stop(pipeline, 1, error);
  else
    fleet_host_lose(host, error);
  return NULL;
}

static void ask_home(gpointer data G_GNUC_UNUSED, gpointer item) {
  Placed *placed = item;
  g_autoptr(GError) error = NULL;
  const VmSpec *vm = object_vm(placed->machine);
  const HostNeeds needs = move_goes_live(vm, placed_domain(placed), FALSE) ? migration_needs(vm) : (HostNeeds){0};
  if (!host_fits(placed->now->connection, placed->home->connection, placed->home->name, placed->machine->metadata.name, &needs, &placed->unfit, &placed->remark,
                 &error))
    placed->unfit = g_strdup(error->message);
}

/* Before a machine is planned to move, its new home is asked whether it can take it; of several, all at once. Against a
 * saved observation nobody is: the move asks before it begins. */
static void ask_homes(const Pipeline *pipeline) {
  g_autoptr(Work) work = work_new();
  for (guint i = 0; i < pipeline->placed->len; i++) {
    const Placed *placed = pipeline->placed->pdata[i];
    if (placed->error == NULL && placed->now != NULL && placed->now != placed->home && placed->home->actual != NULL)
      work_push(work, ask_home, NULL, pipeline->placed->pdata[i]);
  }
  work_run(work, ASKING);
}

/* As plan_with_space, of the pools that machines move to. Where that can't be asked, what libvirt remembers counts. */
static void look_at_short_pools(const Pipeline *pipeline, const Plan *plan) {
  for (MoveShort each = moves_short_pool(plan, pipeline->fleet); each.pool != NULL; each = moves_short_pool(plan, pipeline->fleet)) {
    pool_look_again(each.host->connection, each.pool->name, pipeline->options->cancel, &each.pool->available, NULL);
    each.pool->measured = TRUE;
  }
}

/* Its machines are where they belong; NULL: the run has stopped, or, without its error, a host was lost. */
static Plan *plan_placed(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  g_autoptr(Plan) whole = fleet_plan_new(pipeline->fleet, options->identity != NULL ? options->identity : pipeline->source, pipeline->revision);
  fleet_plan_troubles(whole, pipeline->fleet, pipeline->placed);
  for (guint i = 0; i < pipeline->fleet->hosts->len; i++) {
    FleetHost *host = pipeline->fleet->hosts->pdata[i];
    if (host->actual == NULL)
      continue;
    g_autoptr(Desired) part = fleet_part(pipeline->desired, pipeline->placed, host);
    Plan *plan = plan_and_judge(pipeline, host, part);
    if (plan == NULL)
      return NULL;
    fleet_plan_add(whole, plan);
  }
  fleet_plan_link(whole, options->host);
  if (options->allow & ALLOW_OVERCOMMIT)
    return g_steal_pointer(&whole);
  if (!options->dry_run)
    look_at_short_pools(pipeline, whole);
  moves_check_space(whole, pipeline->fleet);
  return g_steal_pointer(&whole);
}

static Plan *place_and_plan(Pipeline *pipeline) {
  Fleet *fleet = pipeline->fleet;
  const RunOptions *options = pipeline->options;
  gboolean first = fleet->put == NULL;
  if (!pipeline_recall(pipeline, options->identity != NULL ? options->identity : pipeline->source) || (first && !pipeline_note_places(pipeline)))
    return NULL;
  g_clear_pointer(&pipeline->placed, g_ptr_array_unref);
  pipeline->placed = placement_of(pipeline->desired, fleet, fault_now(g_get_real_time() / G_USEC_PER_SEC));
  if (pipeline->saved == NULL)
    ask_homes(pipeline);
  Plan *whole = plan_placed(pipeline);
  while (whole != NULL && placement_keep_refused(pipeline->placed, whole)) {
    plan_free(whole);
    whole = plan_placed(pipeline);
  }
  return whole;
}

/* Each time a host is lost, its machines may be anywhere: all are placed anew. */
static Plan *plan_fleet(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  Plan *whole;
  do
    whole = place_and_plan(pipeline);
  while (whole == NULL && pipeline->result->error == NULL);
  if (whole != NULL && options->host != NULL)
    fleet_plan_only(whole, options->host);
  return whole;
}

/* Also as what a machine was taken from: then it is done already. What can't be read may. */
static gboolean may_know(const Actual *actual, const char *place) {
  GHashTableIter iter;
  const ActualDomain *domain;
  const ActualNetwork *network;
  g_hash_table_iter_init(&iter, actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (domain->owner == NULL ? domain->error != NULL
                              : g_strcmp0(domain->owner->source, place) == 0 || g_strcmp0(domain->owner->facts.takenFrom, place) == 0)
      return TRUE;
  g_hash_table_iter_init(&iter, actual->networks);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&network))
    if (network->owner == NULL ? network->error != NULL : g_strcmp0(network->owner->source, place) == 0)
      return TRUE;
  return FALSE;
}

static gboolean may_be_known(const Fleet *fleet, const char *place) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual == NULL || may_know(host->actual, place))
      return TRUE;
  }
  return FALSE;
}

void pipeline_check_formerly(Pipeline *pipeline) {
  for (const char *const *place = pipeline->options->formerly; place != NULL && *place != NULL; place++)
    if (!may_be_known(pipeline->fleet, *place))
      diag_warning(pipeline->result->diagnostics, (Place){0}, "no machine or network remembers '%s' as its source, so nothing is taken over from there: "
                   "'reconcile status' shows what they remember; where all has been taken over, leave it out (--formerly, source.formerly)", *place);
}

gboolean pipeline_plan(Pipeline *pipeline) {
  Plan *plan = pipeline_is_fleet(pipeline) ? plan_fleet(pipeline) : plan_and_judge(pipeline, pipeline_only_host(pipeline), pipeline->desired);
  if (plan != NULL)
    plan->rewritten = pipeline->desired->rewritten;
  pipeline->result->plan = plan;
  return plan != NULL;
}
