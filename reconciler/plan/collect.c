/* Base images that nothing uses any more, on no host that has their pool too: deleted when that is asked for, when they are old
 * enough, and when it is certain. The action looks again, under the lock, before it deletes. */
#include "state/base_volume.h"
#include "reconciler/plan/build.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  const VolumeUsers *users;
  GHashTable *declared; /* paths */
  const char *doubt;    /* why nothing can be known to be unused; NULL: it can */
  char *unknown;        /* the same, of an image */
  GHashTable *digests;  /* of images that are declared for other hosts … */
  GHashTable *elsewhere; /* … and pool → the first in it of which nobody here knows it */
  GHashTable *others;   /* FleetHost * → VolumeUsers * */
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

/* Images of which this host has no need. What they are made of, their hosts know. */
static void look_elsewhere(Collect *collect) {
  const PlanInput *input = collect->builder->input;
  for (guint i = 0; input->everywhere != NULL && i < input->everywhere->objects->len; i++) {
    const Object *object = input->everywhere->objects->pdata[i];
    const ImageSpec *image = object->spec;
    if (object->kind != KIND_IMAGE || desired_find(input->desired, KIND_IMAGE, object->metadata.name) != NULL)
      continue;
    if (given(image, ImageSpec, sha256))
      g_hash_table_add(collect->digests, image->sha256);
    else if (!g_hash_table_contains(collect->elsewhere, base_volume_pool(object)))
      g_hash_table_insert(collect->elsewhere, (gpointer)base_volume_pool(object), object->metadata.name);
  }
}

static const VolumeUsers *users_on(const Collect *collect, const FleetHost *host) {
  VolumeUsers *users = g_hash_table_lookup(collect->others, host);
  if (users == NULL)
    g_hash_table_insert(collect->others, (gpointer)host, users = volume_users_new(host->actual));
  return users;
}

/* Of one that another host has too: whether it uses it. ret_doubt: why nobody can tell. */
static gboolean is_used_there(const Collect *collect, const FleetHost *host, const ActualVolume *volume, char **ret_doubt) {
  if (fleet_host_is_silent(host) && *ret_doubt == NULL)
    *ret_doubt = g_strdup_printf("host %s has its pool too, and can't be asked: %s", host->name, host->error->message);
  if (host->actual == NULL)
    return FALSE;
  const VolumeUsers *users = users_on(collect, host);
  if (*ret_doubt == NULL && volume_users_doubt(users, NULL) != NULL)
    *ret_doubt = g_strdup_printf("on host %s, %s", host->name, volume_users_doubt(users, NULL));
  return volume_users_of(users, volume->path)->len > 0;
}

static gboolean is_used_elsewhere(const Collect *collect, const ActualPool *pool, const ActualVolume *volume, char **ret_doubt) {
  const PlanInput *input = collect->builder->input;
  const FleetHost *here = fleet_host(input->fleet, input->host);
  g_autofree char *digest = base_volume_digest(volume->name);
  gboolean used = FALSE, shared = FALSE;
  for (guint i = 0; here != NULL && !used && i < input->fleet->hosts->len; i++) {
    const FleetHost *host = input->fleet->hosts->pdata[i];
    if (!fleet_hosts_share(here, pool->name, host))
      continue;
    shared = TRUE;
    used = is_used_there(collect, host, volume, ret_doubt);
  }
  const char *image = shared ? g_hash_table_lookup(collect->elsewhere, pool->name) : NULL;
  if (image != NULL && *ret_doubt == NULL)
    *ret_doubt = g_strdup_printf("Image %s is for other hosts, which have its pool too, and which content it has is known there only: give sha256", image);
  return used || (shared && g_hash_table_contains(collect->digests, digest));
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
  g_autofree char *unsure = NULL;
  if (is_used_elsewhere(collect, pool, volume, &unsure))
    return;
  PlanObject *object = build_object(collect->builder, KIND_IMAGE, volume->name, CHANGE_ORPHAN, NULL);
  const char *doubt = collect->doubt != NULL ? collect->doubt : unsure;
  if (doubt != NULL) {
    build_note(object, g_strdup_printf("unused, as it seems, but kept: %s", doubt));
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
                     .doubt = volume_users_doubt(users, NULL), .digests = g_hash_table_new(g_str_hash, g_str_equal),
                     .elsewhere = g_hash_table_new(g_str_hash, g_str_equal),
                     .others = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)volume_users_free)};
  look_at_declared(&collect);
  look_elsewhere(&collect);
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(input->actual->pools), (GCompareFunc)g_strcmp0);
  for (const GList *each = names; each != NULL; each = each->next)
    collect_pool(&collect, g_hash_table_lookup(input->actual->pools, each->data));
  g_hash_table_unref(collect.declared);
  g_hash_table_unref(collect.digests);
  g_hash_table_unref(collect.elsewhere);
  g_hash_table_unref(collect.others);
  g_free(collect.unknown);
}
