#include "reconciler/plan/chain.h"

#include "state/base_volume.h"

const ActualVolume *chain_layer(const Chain *chain, guint i) { return chain->disk->chain->pdata[i]; }

int chain_find(const Chain *chain, const char *path) {
  for (guint i = 0; i < chain->disk->chain->len; i++)
    if (g_strcmp0(chain_layer(chain, i)->path, path) == 0)
      return (int)i;
  return -1;
}

static const ActualSnapshotDisk *snapshot_disk(const ActualSnapshot *snapshot, const char *target) {
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (g_str_equal(disk->target, target))
      return disk;
  }
  return NULL;
}

const ActualSnapshot *chain_snapshot(const Chain *chain, const char *layer_path) {
  for (guint i = 0; i < chain->domain->snapshots->len; i++) {
    const ActualSnapshot *each = chain->domain->snapshots->pdata[i];
    const ActualSnapshotDisk *disk = snapshot_disk(each, chain->disk->target);
    if (disk && !disk->internal && g_strcmp0(disk->path, layer_path) == 0)
      return each;
  }
  return NULL;
}

const ActualSnapshot *chain_internal_snapshot(const Chain *chain) {
  for (guint i = 0; i < chain->domain->snapshots->len; i++) {
    const ActualSnapshot *each = chain->domain->snapshots->pdata[i];
    const ActualSnapshotDisk *disk = snapshot_disk(each, chain->disk->target);
    if (disk && disk->internal)
      return each;
  }
  return NULL;
}

gboolean chain_is_declared(const Chain *chain, guint i) {
  const DiskSpec *declared = chain->declared;
  const ActualVolume *layer = chain_layer(chain, i);
  if (!declared)
    return FALSE;
  if (given(declared, DiskSpec, path))
    return g_strcmp0(declared->path, layer->path) == 0;
  const char *pool = pool_of_disk(declared);
  return given(declared, DiskSpec, volume) && g_strcmp0(declared->volume, layer->name) == 0 && g_strcmp0(pool, layer->pool) == 0;
}

char *chain_layer_name(const char *vm, const char *target, const char *what) {
  return g_strdup_printf("%s-%s.%s.qcow2", vm, target, what);
}

gboolean chain_is_named_for(const Chain *chain, const char *path) {
  g_autofree char *name = g_path_get_basename(path);
  g_autofree char *prefix = g_strdup_printf("%s-%s.", chain->domain->name, chain->disk->target);
  return g_str_has_prefix(name, prefix) || chain_snapshot(chain, path);
}

gboolean chain_is_made_for(const Chain *chain, guint i) { return chain_is_named_for(chain, chain_layer(chain, i)->path); }

gboolean chain_depth(const Chain *chain, ChainShared is_shared, gpointer data, guint *ret_depth) {
  guint depth = 0;
  for (guint i = 0; i < chain->disk->chain->len; i++) {
    g_autofree char *digest = base_volume_digest(chain_layer(chain, i)->path);
    gboolean shared = FALSE;
    if (digest)
      break;
    if (!is_shared(data, chain, i, &shared))
      return FALSE;
    if (shared)
      break;
    if (i == 0 || chain_is_made_for(chain, i) || chain_is_declared(chain, i))
      depth = i + 1;
  }
  *ret_depth = depth;
  return TRUE;
}
