#include "reconciler/plan/fleet.h"

void fleet_host_lose(FleetHost *host, GError *error /* taken */) {
  g_clear_pointer(&host->actual, actual_free);
  g_clear_error(&host->error);
  host->error = error;
  host->lost = TRUE;
}

gboolean fleet_host_is_fenced(const FleetHost *host) {
  return host->spec != NULL && given(host->spec, HostSpec, fenced) && host->spec->fenced;
}

gboolean fleet_host_shares_any(const FleetHost *host) { return host->spec != NULL && given(host->spec, HostSpec, sharedPools); }

gboolean fleet_host_shares(const FleetHost *host, const char *pool, const char *other) {
  const SharedPoolSpec *shared = fleet_host_shares_any(host)
                                     ? list_find(&SharedPoolSpec_table, host->spec->sharedPools, table_key_field(&SharedPoolSpec_table), pool) : NULL;
  return shared != NULL && g_strv_contains((const char *const *)shared->with, other);
}

gboolean fleet_shares_any(const Fleet *fleet) {
  for (guint i = 0; i < fleet->hosts->len; i++)
    if (fleet_host_shares_any(fleet->hosts->pdata[i]))
      return TRUE;
  return FALSE;
}

gboolean fleet_hosts_share(const FleetHost *one, const char *pool, const FleetHost *other) {
  return one != other && (fleet_host_shares(one, pool, other->name) || fleet_host_shares(other, pool, one->name));
}

const FleetHost *fleet_host_of(const Fleet *fleet, const Connection *connection) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->connection == connection)
      return host;
  }
  return NULL;
}

gboolean fleet_has_fenced(const Fleet *fleet) {
  for (guint i = 0; i < fleet->hosts->len; i++)
    if (fleet_host_is_fenced(fleet->hosts->pdata[i]))
      return TRUE;
  return FALSE;
}

static gint64 highest_epoch_on(const FleetHost *host) {
  GHashTableIter iter;
  const ActualDomain *domain;
  gint64 highest = 0;
  g_hash_table_iter_init(&iter, host->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (domain->owner != NULL && given(&domain->owner->facts, FactsSpec, epoch))
      highest = MAX(highest, domain->owner->facts.epoch);
  return highest;
}

gint64 fleet_highest_epoch(const Fleet *fleet) {
  gint64 highest = 0;
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual != NULL)
      highest = MAX(highest, highest_epoch_on(host));
  }
  return highest;
}

gint64 fleet_new_epoch(const Fleet *fleet, gint64 now) { return MAX(now, fleet->epoch < G_MAXINT64 ? fleet->epoch + 1 : G_MAXINT64); }

gboolean fleet_host_is_silent(const FleetHost *host) { return host->actual == NULL && !fleet_host_is_fenced(host); }

gboolean fleet_host_is(const FleetHost *host, const JournalPlace *place) {
  return g_strcmp0(host->name, place->host) == 0 || (place->uri != NULL && g_strcmp0(host->uri, place->uri) == 0);
}

gboolean fleet_is_of(const Fleet *fleet, const char *source) {
  return g_strcmp0(fleet->source, source) == 0 || (fleet->formerly != NULL && g_strv_contains(fleet->formerly, source));
}

gboolean fleet_has_lost(const Fleet *fleet, const JournalPlace *place) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    gboolean moved = host->actual != NULL && place->uri != NULL && g_strcmp0(host->uri, place->uri) != 0;
    if (fleet_host_is(host, place) && !moved)
      return FALSE;
  }
  return fleet_is_of(fleet, place->source);
}

gboolean desired_has_hosts(const Desired *desired) {
  return desired->objects->len > 0 && ((const Object *)desired->objects->pdata[0])->kind == KIND_HOST;
}

FleetHost *fleet_host(const Fleet *fleet, const char *name) {
  for (guint i = 0; fleet != NULL && i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (g_strcmp0(host->name, name) == 0)
      return host;
  }
  return NULL;
}
