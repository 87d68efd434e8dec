/* Questions to the index of users that text, JSON and graph share. */
#include "reconciler/status/disks.h"

GPtrArray *disk_layers(const ActualDisk *disk, const VolumeUsers *users, const char **ret_unknown) {
  GPtrArray *layers = g_ptr_array_new();
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  const char *path = disk->path;
  for (const ActualVolume *layer; path && (layer = volume_users_layer(users, path)); path = layer->backing_path) {
    if (!g_hash_table_add(seen, (gpointer)path)) {
      path = NULL; /* a loop */
      break;
    }
    g_ptr_array_add(layers, (gpointer)layer);
  }
  *ret_unknown = path;
  return layers;
}

static void add_branch(GPtrArray *branches, GHashTable *known, const VolumeUsers *users, const char *path) {
  for (const ActualVolume *layer; path && g_hash_table_add(known, (gpointer)path); path = layer ? layer->backing_path : NULL) {
    g_ptr_array_add(branches, (gpointer)path);
    layer = volume_users_layer(users, path);
  }
}

static void know_disks(GHashTable *known, const GPtrArray *disks, const VolumeUsers *users) {
  for (guint i = 0; disks && i < disks->len; i++) {
    const char *unknown;
    g_autoptr(GPtrArray) layers = disk_layers(disks->pdata[i], users, &unknown);
    for (guint j = 0; j < layers->len; j++)
      g_hash_table_add(known, ((ActualVolume *)layers->pdata[j])->path);
    if (unknown)
      g_hash_table_add(known, (gpointer)unknown);
  }
}

GPtrArray *disk_branches(const ActualDomain *domain, const VolumeUsers *users) {
  GPtrArray *branches = g_ptr_array_new();
  g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
  know_disks(known, domain->disks, users);
  know_disks(known, domain->defined_disks, users);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    for (guint j = 0; j < snapshot->disks->len; j++)
      add_branch(branches, known, users, ((ActualSnapshotDisk *)snapshot->disks->pdata[j])->path);
  }
  return branches;
}

static gboolean has_machine(const VolumeUsers *users, const char *path) {
  const GPtrArray *list = volume_users_of(users, path);
  for (guint i = 0; i < list->len; i++)
    if (((const VolumeUser *)list->pdata[i])->domain)
      return TRUE;
  return FALSE;
}

/* NULL: it is the disk's own, or told elsewhere: an overlay that a machine has by that machine. */
static char *other_user(const VolumeUser *user, const ActualDomain *domain, const char *target, const VolumeUsers *users) {
  gboolean own = g_strcmp0(user->domain, domain->name) == 0;
  switch (user->use) {
  case USER_OVERLAY:
    return has_machine(users, user->path) ? NULL : g_strdup_printf("volume %s", user->path);
  case USER_DISK:
  case USER_DEFINITION:
  case USER_SAVED:
    return own && g_strcmp0(user->target, target) == 0 ? NULL : g_strdup_printf("%s (%s)", user->domain, user->target);
  case USER_SNAPSHOT:
    return !own ? g_strdup_printf("snapshot %s of %s", user->snapshot, user->domain)
                : user->depth == 0 ? g_strdup_printf("snapshot %s", user->snapshot) : NULL;
  case USER_JOB:
    return g_strdup_printf("the block job of %s (%s)", user->domain, user->target);
  case USER_KEPT:
    return g_strdup_printf("%s (%s), kept or on its way out", user->domain, user->target);
  default:
    return NULL;
  }
}

GPtrArray *layer_other_users(const char *path, const ActualDomain *domain, const char *target, const VolumeUsers *users) {
  const GPtrArray *list = volume_users_of(users, path);
  GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < list->len; i++) {
    char *text = other_user(list->pdata[i], domain, target, users);
    if (text && !g_ptr_array_find_with_equal_func(texts, text, g_str_equal, NULL))
      g_ptr_array_add(texts, text);
    else
      g_free(text);
  }
  return texts;
}
