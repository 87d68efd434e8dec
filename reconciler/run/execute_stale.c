/* Whether the hosts are still what a plan was made on. */
#include "reconciler/plan/whereabouts.h"
#include "reconciler/run/execute.h"
#include "state/base_volume.h"
#include "state/fingerprint.h"

/* What the object would be planned on now; NULL when that can't be told. */
static char *fingerprint_now(const PlanObject *object, const Actual *actual) {
  if (object->kind == KIND_VIRTUAL_MACHINE) {
    const ActualDomain *domain = g_hash_table_lookup(actual->domains, object->name);
    return domain == NULL ? g_strdup("absent") : domain->error != NULL ? NULL : g_strdup(domain->fingerprint);
  }
  if (object->kind == KIND_NETWORK) {
    const ActualNetwork *network = g_hash_table_lookup(actual->networks, object->name);
    return network == NULL ? g_strdup("absent") : fingerprint_network(network);
  }
  if (object->kind == KIND_STORAGE_POOL) {
    const ActualPool *pool = g_hash_table_lookup(actual->pools, object->name);
    return pool == NULL ? g_strdup("absent") : fingerprint_pool(pool);
  }
  if (object->kind == KIND_VOLUME && object->desired != NULL) {
    const VolumeSpec *spec = object->desired->spec;
    const ActualPool *pool = g_hash_table_lookup(actual->pools, pool_of_volume(spec));
    const ActualVolume *volume = pool != NULL ? g_hash_table_lookup(pool->volumes, object->name) : NULL;
    g_autofree char *marker = g_strconcat(object->name, INCOMPLETE_SUFFIX, NULL);
    gboolean half_made = pool != NULL && g_hash_table_contains(pool->volumes, marker);
    return volume == NULL || half_made ? g_strdup("absent") : fingerprint_volume(volume);
  }
  return g_strdup(object->fingerprint); /* an image's content is checked when it is imported */
}

static char *other_host(const FleetHost *host, const char *connection) {
  if (host != NULL && host->actual == NULL)
    return g_strdup_printf("%s can't be asked: %s", host->name != NULL ? host->name : "the host", host->error->message);
  const char *uri = host == NULL ? "no host of this run" : host->name != NULL ? connection_uri(host->connection) : host->actual->uri;
  if (g_strcmp0(connection, uri) == 0)
    return NULL;
  return g_strdup_printf("the plan is for %s, and this is %s: nothing is changed", connection != NULL ? connection : "nowhere", uri);
}

static char *check_hosts(const Plan *plan, const Fleet *fleet) {
  if (plan->hosts->len == 0)
    return other_host(fleet_host(fleet, NULL), plan->connection);
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *host = plan->hosts->pdata[i];
    char *other = host->unasked ? NULL : other_host(fleet_host(fleet, host->name), host->connection);
    if (other != NULL)
      return other;
  }
  return NULL;
}

/* A copy that counts as much as what the plan is about, or that nobody can judge. */
static gboolean is_another_copy(const ActualDomain *here /* NULL: it is to be made */, const ActualDomain *there) {
  if (there->owner == NULL)
    return there->error != NULL;
  return here == NULL || here->owner == NULL || placement_epoch(there) >= placement_epoch(here);
}

static gboolean was_asked(const Plan *plan, const char *host) {
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *each = plan->hosts->pdata[i];
    if (g_strcmp0(each->name, host) == 0)
      return !each->unasked;
  }
  return FALSE;
}

static gboolean tells_of(const Plan *plan, const PlanObject *object, const char *host) {
  g_autofree char *id = plan_object_id(object);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    if (g_str_equal(action->object, id) && (g_strcmp0(string_map_get(action->args, "to"), host) == 0 || g_strcmp0(string_map_get(action->args, "from"), host) == 0))
      return TRUE;
  }
  return FALSE;
}

/* The plan was made with what is there in view. */
static gboolean deals_with(const Plan *plan, const PlanObject *object, const char *host) {
  return was_asked(plan, host) && tells_of(plan, object, host);
}

/* It may run where nobody looks, and would be made or started here. */
static gboolean may_be_elsewhere(const Plan *plan, const PlanObject *object, const Fleet *fleet, const JournalPlace *place, const ActualDomain *mine) {
  if (!fleet_has_lost(fleet, place) || tells_of(plan, object, place->host) || (mine != NULL && actual_executes(mine)))
    return FALSE;
  return mine == NULL || mine->owner == NULL || fleet_place_counts(fleet, place, fleet_host(fleet, object->host), mine);
}

/* Its fingerprint tells of the host that it is planned on only. */
static char *second_copy(const Plan *plan, const PlanObject *object, const Fleet *fleet) {
  const FleetHost *here = fleet_host(fleet, object->host);
  const ActualDomain *mine = g_hash_table_lookup(here->actual->domains, object->name);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    const ActualDomain *other = host != here && host->actual != NULL ? g_hash_table_lookup(host->actual->domains, object->name) : NULL;
    if (other != NULL && is_another_copy(mine, other) && !deals_with(plan, object, host->name))
      return g_strdup_printf("%s %s is on %s now, and the plan, which was made before, has it on %s: nothing is changed; make a new plan",
                             kinds[object->kind].name, object->name, host->name, here->name);
  }
  const JournalPlace *place = fleet->put != NULL ? g_hash_table_lookup(fleet->put, object->name) : NULL;
  if (place == NULL || !may_be_elsewhere(plan, object, fleet, place, mine))
    return NULL;
  return g_strdup_printf("%s %s was put on %s since the plan was made, which doesn't know that host: nothing is changed; make a new plan of a source that declares it",
                         kinds[object->kind].name, object->name, place->host);
}

char *execute_stale(const Plan *plan, const Fleet *fleet) {
  char *other = check_hosts(plan, fleet);
  if (other != NULL)
    return other;
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    if (object->change == CHANGE_ERROR || object->fingerprint == NULL)
      continue;
    const FleetHost *host = fleet_host(fleet, object->host);
    g_autofree char *now = host != NULL && host->actual != NULL ? fingerprint_now(object, host->actual) : NULL;
    if (g_strcmp0(now, object->fingerprint) != 0)
      return g_strdup_printf("%s %s was changed since the plan was made: nothing is changed; make a new plan",
                             kinds[object->kind].name, object->name);
    gboolean acts = object->kind == KIND_VIRTUAL_MACHINE && (object->change == CHANGE_CREATE || object->change == CHANGE_UPDATE);
    char *second = acts && host->name != NULL ? second_copy(plan, object, fleet) : NULL;
    if (second != NULL)
      return second;
  }
  return NULL;
}

gboolean execute_verify(const FleetHost *host, const PlanObject *object, gboolean *ret_absent, GError **error) {
  if (object->kind != KIND_VIRTUAL_MACHINE || object->fingerprint == NULL)
    return TRUE;
  GError *trouble = NULL;
  ActualDomain *now = observe_domain(host->connection, host->actual, object->name, &trouble);
  if (trouble != NULL) {
    g_propagate_prefixed_error(error, trouble, "it can't be looked at again: ");
    return FALSE;
  }
  *ret_absent = now == NULL;
  const char *found = now == NULL ? "absent" : now->fingerprint;
  gboolean same = (now == NULL || now->error == NULL) && g_strcmp0(found, object->fingerprint) == 0;
  if (now != NULL)
    actual_domain_free(now);
  if (!same)
    g_set_error(error, EXECUTE_ERROR, EXECUTE_ERROR_STALE,
                "it was changed since this was planned: nothing is done to it; plan again");
  return same;
}
