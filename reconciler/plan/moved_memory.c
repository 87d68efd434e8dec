#include "reconciler/plan/moved_memory.h"

#include "reconciler/plan/migration.h"

/* That pool is shared with whichever host: it may have gone further than to the one that is known. */
static gboolean is_in_shared_pool(const Placed *placed, const ActualVolume *volume) {
  const HostSpec *host = placed->now->spec;
  return volume == NULL || volume->pool == NULL ||
         (given(host, HostSpec, sharedPools) &&
          list_find(&SharedPoolSpec_table, host->sharedPools, table_key_field(&SharedPoolSpec_table), volume->pool) != NULL);
}

static gboolean writes_where_others_do(const Placed *placed, const ActualDomain *domain) {
  for (guint i = 0; domain->disks != NULL && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    if (!move_only_reads(actual_live(domain), disk->target) && is_in_shared_pool(placed, disk->chain->len > 0 ? disk->chain->pdata[0] : NULL))
      return TRUE;
  }
  return FALSE;
}

/* A host that is given up isn't asked, nor is one that the file has lost. */
static gboolean is_certainly_nowhere(const Placed *placed, const char *machine) {
  const Fleet *fleet = placed->fleet;
  const JournalPlace *place = fleet->put != NULL ? g_hash_table_lookup(fleet->put, machine) : NULL;
  for (guint i = 0; i < fleet->hosts->len; i++)
    if (((const FleetHost *)fleet->hosts->pdata[i])->actual == NULL)
      return FALSE;
  return place == NULL || !fleet_has_lost(fleet, place);
}

gboolean moved_memory_may_be_old(const Placed *placed, const ActualDomain *domain) {
  return writes_where_others_do(placed, domain) && !is_certainly_nowhere(placed, domain->name);
}
