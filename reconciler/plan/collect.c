/* Base images that nothing uses any more: deleted when that is asked for, when they are old enough, and
 * when it is certain. The action looks again, under the lock, before it deletes. */
#include "state/base_volume.h"
#include "reconciler/plan/build.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  const VolumeUsers *users;
  GHashTable *declared; /* paths */
  const char *doubt;    /* why nothing can be known to be unused; NULL: it can */
  char *unknown;        /* the same, of an image */
} Collect;

/* What the files declare is used, although no machine may have been made from it yet. */
static void look_at_declared(Collect *collect) {
  const PlanInput *input = collect->builder->input;
  for (guint i = 0; i < input->desired->objects->len; i++) {
    const Object *object = input->desired->objects->pdata[i], *image = NULL;
    g_autofree char *path = NULL, *error = NULL;
    if (object->kind == KIND_IMAGE && locate_image(input, object->metadata.name, &image, &path, &error) != NULL)
      g_hash_table_add(collect->declared, (gpointer)g_intern_string(path));
    else if (object->kind == KIND_IMAGE && collect->doubt == NULL)
      collect->doubt = collect->unknown = g_strdup_printf("it isn't known which content Image %s has", object->metadata.name);
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
         !g_hash_table_contains(collect->declared, volume->path) && volume_users_of(collect->users, volume->path)->len == 0 && is_old(collect, volume);
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
  const VolumeUsers *users = uses_volumes(builder->uses);
  Collect collect = {.builder = builder, .users = users, .declared = g_hash_table_new(g_str_hash, g_str_equal),
                     .doubt = volume_users_doubt(users, NULL)};
  look_at_declared(&collect);
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(input->actual->pools), (GCompareFunc)g_strcmp0);
  for (const GList *each = names; each != NULL; each = each->next)
    collect_pool(&collect, g_hash_table_lookup(input->actual->pools, each->data));
  g_hash_table_unref(collect.declared);
  g_free(collect.unknown);
}
