/* Which base images an action relies on. */
#include "state/base_volume.h"
#include "reconciler/plan/build.h"

static void add(GPtrArray *paths, const char *path) {
  g_autofree char *sha256 = base_volume_digest(path);
  if (sha256 != NULL && !g_ptr_array_find_with_equal_func(paths, path, g_str_equal, NULL))
    g_ptr_array_add(paths, (gpointer)path);
}

static void add_chain(GPtrArray *paths, const ActualDisk *disk) {
  for (guint i = 0; i < disk->chain->len; i++) {
    const ActualVolume *layer = disk->chain->pdata[i];
    if (i == 0 && layer->path != NULL) /* the medium of a drive */
      add(paths, layer->path);
    if (layer->backing_path != NULL)
      add(paths, layer->backing_path);
  }
}

/* A new disk's base. One that this plan imports has just been checked: the journal knows it then. */
static void add_source(GPtrArray *paths, const DiskSource *source) {
  gboolean copy = given(source->disk, DiskSpec, provision) && source->disk->provision == Provision_copy;
  if ((source->kind == SOURCE_IMAGE && !copy) || source->kind == SOURCE_MEDIUM)
    add(paths, source->base_path);
}

/* One that has gone is brought back by this plan, where an Image has its content: not before that is done. */
static void wait_for(const PlanBuilder *builder, Action *action, const char *path) {
  g_autofree char *volume = g_path_get_basename(path);
  if (!g_hash_table_contains(builder->input->actual->volumes_by_path, path))
    build_wait(action, build_needs(builder, KIND_IMAGE, volume));
}

void plan_bases(const PlanBuilder *builder, Action *action, const GPtrArray *disks, const GPtrArray *sources) {
  g_autoptr(GPtrArray) paths = g_ptr_array_new();
  for (guint i = 0; disks != NULL && i < disks->len; i++)
    add_chain(paths, disks->pdata[i]);
  for (guint i = 0; i < paths->len; i++)
    wait_for(builder, action, paths->pdata[i]);
  for (guint i = 0; sources != NULL && i < sources->len; i++)
    add_source(paths, sources->pdata[i]);
  if (paths->len == 0)
    return;
  g_ptr_array_add(paths, NULL);
  g_autofree char *text = g_strjoinv("\n", (char **)paths->pdata);
  string_map_set(action->args, "bases", text);
}
