/* Base images: imported once per content, and what machines are still on an older one. */
#include <string.h>

#include "reconciler/plan/build.h"
#include "schema/url_mask.h"
#include "schema/value.h"
#include "state/base_volume.h"

/* The digest of the base that a disk was made on; NULL: none of ours. */
static char *base_of(const ActualDisk *disk) {
  for (guint i = 0; i < disk->chain->len; i++) {
    const ActualVolume *layer = disk->chain->pdata[i];
    char *digest = base_volume_digest(layer->backing_path);
    if (digest != NULL)
      return digest;
  }
  return NULL;
}

static void add_older(GPtrArray *found, const ActualDomain *domain, const char *image, const char *sha256) {
  const VmSpec *made = &domain->owner->spec;
  for (guint i = 0; given(made, VmSpec, disks) && i < made->disks->len; i++) {
    const DiskSpec *disk = made->disks->pdata[i];
    const ActualDisk *now = given(disk, DiskSpec, image) && g_str_equal(disk->image, image) && domain->defined_disks != NULL
                                ? actual_disk(domain->defined_disks, disk->target) : NULL;
    g_autofree char *base = now != NULL ? base_of(now) : NULL;
    if (base != NULL && !g_str_equal(base, sha256))
      g_ptr_array_add(found, g_strdup_printf("%s[%s] (%.12s…)", domain->name, disk->target, base));
  }
}

static gint by_text(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Disks of our machines that were made from this image when it had another content: "web-1[vda] (9f86d0…)". */
static GPtrArray *older_disks(const PlanInput *input, const char *image, const char *sha256) {
  GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, input->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (domain->owner != NULL && domain->error == NULL)
      add_older(found, domain, image, sha256);
  g_ptr_array_sort(found, by_text);
  return found;
}

#define NAMED 10 /* of them, in a message */

static char *names_of(const GPtrArray *disks) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < MIN(disks->len, NAMED); i++)
    g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", (char *)disks->pdata[i]);
  if (disks->len > NAMED)
    g_string_append_printf(text, " and %u more", disks->len - NAMED);
  return g_string_free(text, FALSE);
}

/* A newer content is for new machines only; whether it is wanted at all, the file says. */
static char *follow(PlanBuilder *builder, PlanObject *object, const ImageFacts *facts) {
  const ImageSpec *spec = object->desired->spec;
  g_autoptr(GPtrArray) older = older_disks(builder->input, object->name, facts->sha256);
  if (older->len == 0)
    return NULL;
  g_autofree char *names = names_of(older);
  gboolean chosen = given(spec, ImageSpec, sha256) || (given(spec, ImageSpec, useLatest) && spec->useLatest);
  if (!chosen)
    return g_strdup_printf("%s has another content (%.12s…) than the base that machines were made on: %s; to use it for new machines, give "
                           "useLatest: true, or its sha256: %s", facts->path, facts->sha256, names, facts->sha256);
  build_note(object, g_strdup_printf("made on an older content, and kept on it: %s", names));
  return NULL;
}

void plan_image(PlanBuilder *builder, const Object *declared) {
  const char *name = declared->metadata.name;
  PlanObject *object = build_object(builder, KIND_IMAGE, name, CHANGE_NONE, declared);
  object->desired = object_copy(object->declared);
  const char *pool = base_volume_pool(declared);
  char *error = NULL;
  g_autofree char *path = NULL;
  const ImageFacts *facts = NULL;
  const Object *image = NULL;
  if ((error = plan_pool_trouble(builder, pool)) != NULL ||
      (facts = locate_image(builder->input, name, &image, &path, &error)) == NULL) {
    build_error(builder, object, error);
    return;
  }
  g_autofree char *volume = locate_image_volume(facts);
  g_autofree char *marker = g_strconcat(volume, INCOMPLETE_SUFFIX, NULL);
  object->fingerprint = g_strdup(facts->sha256);
  if ((error = follow(builder, object, facts)) != NULL) {
    build_error(builder, object, error);
    return;
  }
  if (locate_volume(builder->input, pool, volume) != NULL && locate_volume(builder->input, pool, marker) == NULL)
    return;
  if (build_needs(builder, KIND_IMAGE, volume) != NULL) { /* another Image with the same content brings it */
    build_note(object, g_strdup("the same content as another image of this plan: imported once"));
    g_hash_table_replace(builder->ready, object_id(KIND_IMAGE, name), g_strdup(build_needs(builder, KIND_IMAGE, volume)));
    return;
  }
  object->change = CHANGE_CREATE;
  g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, facts->bytes);
  g_autofree char *size = bytes_format_short(facts->bytes);
  g_autofree char *from = url_mask(facts->path);
  Action *action = build_action(builder, object, ACTION_IMAGE_IMPORT, build_needs(builder, KIND_STORAGE_POOL, pool),
                                g_strdup_printf("%s %s (%s) into pool %s", facts->remote ? "fetch" : facts->made ? "make" : "import", from, size, pool), "pool", pool,
                                "volume", volume, "source", facts->path, "sha256", facts->sha256, "format",
                                facts->format, "bytes", bytes, NULL);
  if (facts->made)
    string_map_set(action->args, "made", "true");
  build_ready(builder, KIND_IMAGE, name, action);
  build_ready(builder, KIND_IMAGE, volume, action);
}
