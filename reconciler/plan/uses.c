#include "reconciler/plan/uses.h"

struct Uses {
  const Actual *actual;
  GHashTable *overlays; /* path → GPtrArray of ActualVolume * on it */
  GHashTable *defined;  /* path → GPtrArray of ActualDomain * that have it in their definition */
  GHashTable *active;   /* path → GPtrArray of those that have it while they run, or when they come back from saved memory */
  GHashTable *chains;   /* path → GPtrArray of ActualDisk * that have it in their chain */
  GHashTable *owners;   /* ActualDisk * → its ActualDomain * */
  GHashTable *macs;     /* MAC address → GPtrArray of ActualDomain * that have it in their definition */
  GHashTable *uuids;    /* UUID → ActualDomain * */
  VolumeUsers *volumes;
};

Uses *uses_new(const Actual *actual) {
  Uses *uses = g_new0(Uses, 1);
  uses->actual = actual;
  return uses;
}

void uses_free(Uses *uses) {
  g_clear_pointer(&uses->overlays, g_hash_table_unref);
  g_clear_pointer(&uses->defined, g_hash_table_unref);
  g_clear_pointer(&uses->active, g_hash_table_unref);
  g_clear_pointer(&uses->chains, g_hash_table_unref);
  g_clear_pointer(&uses->owners, g_hash_table_unref);
  g_clear_pointer(&uses->macs, g_hash_table_unref);
  g_clear_pointer(&uses->uuids, g_hash_table_unref);
  volume_users_free(uses->volumes);
  g_free(uses);
}

static GHashTable *users_new(void) {
  return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
}

static void add_user(GHashTable *users, const char *key, gpointer user) {
  GPtrArray *all = g_hash_table_lookup(users, key);
  if (all == NULL)
    g_hash_table_insert(users, (gpointer)key, all = g_ptr_array_new());
  g_ptr_array_add(all, user);
}

/* By the path under which the file counts. */
static void add_file(const Uses *uses, GHashTable *users, const char *path, gpointer user) {
  add_user(users, actual_file(uses->actual, path), user);
}

static const GPtrArray *users_of(const Uses *uses, GHashTable *users, const char *path) {
  return path != NULL ? g_hash_table_lookup(users, actual_file(uses->actual, path)) : NULL;
}

const char *uses_overlay(Uses *uses, const char *path, const char *except) {
  if (uses->overlays == NULL) {
    uses->overlays = users_new();
    GHashTableIter iter;
    ActualVolume *volume;
    g_hash_table_iter_init(&iter, uses->actual->volumes_by_path);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&volume))
      if (volume->backing_path != NULL)
        add_file(uses, uses->overlays, volume->backing_path, volume);
  }
  const GPtrArray *overlays = users_of(uses, uses->overlays, path);
  for (guint i = 0; overlays != NULL && i < overlays->len; i++) {
    const ActualVolume *overlay = overlays->pdata[i];
    if (g_strcmp0(overlay->path, except) != 0)
      return overlay->name;
  }
  return NULL;
}

static void add_chains(Uses *uses, const GPtrArray *disks, ActualDomain *domain) {
  for (guint i = 0; disks != NULL && i < disks->len; i++) {
    ActualDisk *disk = disks->pdata[i];
    g_hash_table_insert(uses->owners, disk, domain);
    if (disk->path != NULL)
      add_file(uses, uses->chains, disk->path, disk);
    for (guint j = 0; j < disk->chain->len; j++) {
      const ActualVolume *layer = disk->chain->pdata[j];
      if (layer->path != NULL)
        add_file(uses, uses->chains, layer->path, disk);
    }
  }
}

static void index_chains(Uses *uses) {
  uses->chains = users_new();
  uses->owners = g_hash_table_new(g_direct_hash, g_direct_equal);
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, uses->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain)) {
    add_chains(uses, domain->disks, domain);
    if (domain->defined_disks != domain->disks)
      add_chains(uses, domain->defined_disks, domain);
    add_chains(uses, domain->saved_disks, domain);
  }
}

gboolean uses_in_chain(Uses *uses, const char *path, const ActualDomain *except, const char *except_target) {
  if (uses->chains == NULL)
    index_chains(uses);
  const GPtrArray *disks = users_of(uses, uses->chains, path);
  for (guint i = 0; disks != NULL && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    if (g_hash_table_lookup(uses->owners, disk) != except || g_strcmp0(disk->target, except_target) != 0)
      return TRUE;
  }
  return FALSE;
}

static void add_disks(const Uses *uses, GHashTable *users, const VmSpec *spec, ActualDomain *domain) {
  for (guint i = 0; given(spec, VmSpec, disks) && i < spec->disks->len; i++) {
    const DiskSpec *disk = spec->disks->pdata[i];
    if (given(disk, DiskSpec, path))
      add_file(uses, users, disk->path, domain);
  }
}

static void index_disks(Uses *uses) {
  uses->defined = users_new();
  uses->active = users_new();
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, uses->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain)) {
    add_disks(uses, uses->defined, &domain->persistent, domain);
    add_disks(uses, uses->active, actual_live(domain), domain);
    if (domain->saved != NULL)
      add_disks(uses, uses->active, domain->saved, domain);
  }
}

static const char *first_but(const GPtrArray *domains, const char *except) {
  for (guint i = 0; domains != NULL && i < domains->len; i++) {
    const ActualDomain *domain = domains->pdata[i];
    if (g_strcmp0(domain->name, except) != 0)
      return domain->name;
  }
  return NULL;
}

const char *uses_domain(Uses *uses, const char *path, const char *except, gboolean only_active) {
  if (uses->active == NULL)
    index_disks(uses);
  const char *user = first_but(users_of(uses, uses->active, path), except);
  return user != NULL || only_active ? user : first_but(users_of(uses, uses->defined, path), except);
}

const char *uses_state(const Uses *uses, const char *name) {
  const ActualDomain *domain = g_hash_table_lookup(uses->actual->domains, name);
  return domain != NULL && domain->active ? "running" : "hibernated";
}

static void index_macs(Uses *uses) {
  uses->macs = users_new();
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, uses->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain)) {
    const VmSpec *spec = &domain->persistent;
    for (guint i = 0; given(spec, VmSpec, interfaces) && i < spec->interfaces->len; i++) {
      const InterfaceSpec *interface = spec->interfaces->pdata[i];
      if (given(interface, InterfaceSpec, mac))
        add_user(uses->macs, interface->mac, domain);
    }
  }
}

const char *uses_mac(Uses *uses, const char *mac, const char *except) {
  if (uses->macs == NULL)
    index_macs(uses);
  return first_but(g_hash_table_lookup(uses->macs, mac), except);
}

const VolumeUsers *uses_volumes(Uses *uses) {
  if (uses->volumes == NULL)
    uses->volumes = volume_users_new(uses->actual);
  return uses->volumes;
}

const ActualDomain *uses_uuid(Uses *uses, const char *uuid) {
  if (uses->uuids == NULL) {
    uses->uuids = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    ActualDomain *domain;
    g_hash_table_iter_init(&iter, uses->actual->domains);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
      if (domain->uuid != NULL)
        g_hash_table_replace(uses->uuids, domain->uuid, domain);
  }
  return g_hash_table_lookup(uses->uuids, uuid);
}
