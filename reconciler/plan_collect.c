/* Base images that nothing uses any more: deleted when that is asked for, when they are old enough, and
 * when it is certain. The action looks again, under the lock, before it deletes. */
#include "reconciler/base_volume.h"
#include "reconciler/plan_build.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  GHashTable *used; /* paths */
  char *doubt;      /* why nothing can be known to be unused; NULL: it can */
} Collect;

static void use_disks(Collect *collect, const GPtrArray *disks) {
  for (guint i = 0; disks != NULL && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    if (disk->path != NULL)
      g_hash_table_add(collect->used, disk->path);
    for (guint j = 0; j < disk->chain->len; j++) {
      const ActualVolume *layer = disk->chain->pdata[j];
      g_hash_table_add(collect->used, layer->path);
      if (layer->backing_path != NULL)
        g_hash_table_add(collect->used, layer->backing_path);
    }
  }
}

static void use_boot_files(Collect *collect, const VmSpec *spec) {
  char *const paths[] = {spec->boot.kernel, spec->boot.initrd};
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
    if (paths[i] != NULL)
      g_hash_table_add(collect->used, paths[i]);
}

static void look_at_domains(Collect *collect) {
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, collect->builder->input->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain)) {
    if (domain->error != NULL && collect->doubt == NULL)
      collect->doubt = g_strdup_printf("machine %s can't be read", domain->name);
    use_boot_files(collect, &domain->persistent);
    use_boot_files(collect, &domain->live);
    use_disks(collect, domain->disks);
    use_disks(collect, domain->defined_disks);
  }
}

static void look_at_volumes(Collect *collect, const ActualPool *pool) {
  GHashTableIter iter;
  ActualVolume *volume;
  g_hash_table_iter_init(&iter, pool->volumes);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&volume)) {
    if (volume->error != NULL && collect->doubt == NULL)
      collect->doubt = g_strdup(volume->error);
    if (volume->backing_path != NULL)
      g_hash_table_add(collect->used, volume->backing_path);
  }
}

static void look_at_pools(Collect *collect) {
  const Actual *actual = collect->builder->input->actual;
  GHashTableIter iter;
  ActualPool *pool;
  if (actual->storage_error != NULL)
    collect->doubt = g_strdup(actual->storage_error);
  g_hash_table_iter_init(&iter, actual->pools);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&pool)) {
    if (collect->doubt == NULL && (pool->error != NULL || !pool->active))
      collect->doubt = g_strdup_printf("pool %s %s, and a disk in it may be based on it", pool->name,
                                       pool->error != NULL ? "can't be read" : "isn't started");
    look_at_volumes(collect, pool);
  }
}

/* What the files declare is used, although no machine may have been made from it yet. */
static void look_at_declared(Collect *collect) {
  const PlanInput *input = collect->builder->input;
  for (guint i = 0; i < input->desired->objects->len; i++) {
    const Object *object = input->desired->objects->pdata[i], *image = NULL;
    g_autofree char *path = NULL, *error = NULL;
    if (object->kind == KIND_IMAGE && locate_image(input, object->metadata.name, &image, &path, &error) != NULL)
      g_hash_table_add(collect->used, (gpointer)g_intern_string(path));
    else if (object->kind == KIND_IMAGE && collect->doubt == NULL)
      collect->doubt = g_strdup_printf("it isn't known which content Image %s has", object->metadata.name);
  }
}

static gboolean is_old(const Collect *collect, const ActualVolume *volume) {
  gint64 last = MAX(volume->mtime_ns, volume->ctime_ns) / G_GINT64_CONSTANT(1000000000);
  const PlanInput *input = collect->builder->input;
  return last > 0 && last + (gint64)(input->collect_age / 1000) <= input->now;
}

static gboolean is_candidate(const Collect *collect, const ActualPool *pool, const ActualVolume *volume) {
  g_autofree char *digest = base_volume_digest(volume->name), *marker = g_strconcat(volume->name, INCOMPLETE_SUFFIX, NULL);
  return digest != NULL && volume->path != NULL && volume->error == NULL && !g_hash_table_contains(pool->volumes, marker) &&
         !g_hash_table_contains(collect->used, volume->path) && is_old(collect, volume);
}

static void collect_volume(Collect *collect, const ActualPool *pool, const ActualVolume *volume) {
  PlanObject *object = build_object(collect->builder, KIND_IMAGE, volume->name, CHANGE_ORPHAN, NULL);
  if (collect->doubt != NULL) {
    build_note(object, g_strdup_printf("unused, as it seems, but kept: %s", collect->doubt));
    return;
  }
  object->change = CHANGE_DELETE;
  object->fingerprint = base_volume_digest(volume->name);
  g_autofree char *size = bytes_format_short(volume->physical);
  Action *action = build_action(collect->builder, object, ACTION_VOLUME_DELETE, NULL,
                                g_strdup_printf("delete the unused base image (%s) from pool %s", size, pool->name), "path", volume->path, NULL);
  action->permitted = TRUE; /* that is what --prune-images asks for */
}

static void collect_pool(Collect *collect, const ActualPool *pool) {
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(pool->volumes), (GCompareFunc)g_strcmp0);
  for (const GList *each = names; each != NULL; each = each->next) {
    const ActualVolume *volume = g_hash_table_lookup(pool->volumes, each->data);
    if (is_candidate(collect, pool, volume))
      collect_volume(collect, pool, volume);
  }
}

void plan_collect(PlanBuilder *builder) {
  const PlanInput *input = builder->input;
  if (!input->collect)
    return;
  Collect collect = {.builder = builder, .used = g_hash_table_new(g_str_hash, g_str_equal)};
  look_at_pools(&collect);
  look_at_domains(&collect);
  look_at_declared(&collect);
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(input->actual->pools), (GCompareFunc)g_strcmp0);
  for (const GList *each = names; each != NULL; each = each->next)
    collect_pool(&collect, g_hash_table_lookup(input->actual->pools, each->data));
  g_hash_table_unref(collect.used);
  g_free(collect.doubt);
}
