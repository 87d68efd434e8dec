#include "reconciler/plan/locate.h"

#include "state/base_volume.h"

static const Object *declared_pool(const PlanInput *input, const char *pool) {
  return desired_find(input->desired, KIND_STORAGE_POOL, pool);
}

const char *locate_pool(const PlanInput *input, const char *pool, char **ret_error) {
  const ActualPool *actual = g_hash_table_lookup(input->actual->pools, pool);
  if (actual != NULL && actual->target != NULL)
    return actual->target;
  const Object *declared = declared_pool(input, pool);
  if (declared != NULL) {
    const StoragePoolSpec *spec = declared->spec;
    if (given(spec, StoragePoolSpec, target))
      return spec->target;
    if (spec->type == PoolType_logical && given(&spec->source, PoolSourceSpec, name)) {
      g_autofree char *path = g_strconcat("/dev/", spec->source.name, NULL);
      return g_intern_string(path);
    }
  }
  if (input->actual->storage_error != NULL)
    *ret_error = g_strdup_printf("storage pool %s can't be looked up: %s", pool, input->actual->storage_error);
  else
    *ret_error = g_strdup_printf("there is no storage pool %s: declare a StoragePool of this name, or name another one", pool);
  return NULL;
}

char *locate_image_volume(const ImageFacts *facts) {
  return base_volume_name(facts->sha256, facts->format);
}

const ImageFacts *locate_image(const PlanInput *input, const char *image, const Object **ret_object,
                               char **ret_path, char **ret_error) {
  const Object *object = desired_find(input->desired, KIND_IMAGE, image);
  const ImageFacts *facts = object != NULL ? g_hash_table_lookup(input->actual->images, image) : NULL;
  if (facts == NULL) {
    *ret_error = g_strdup_printf("there is no Image %s: declare one of this name", image);
    return NULL;
  }
  if (facts->error != NULL) {
    *ret_error = g_strdup_printf("Image %s: %s", image, facts->error);
    return NULL;
  }
  const char *target = locate_pool(input, base_volume_pool(object), ret_error);
  if (target == NULL)
    return NULL;
  g_autofree char *volume = locate_image_volume(facts);
  *ret_object = object;
  *ret_path = g_build_filename(target, volume, NULL);
  return facts;
}

const ActualVolume *locate_volume(const PlanInput *input, const char *pool, const char *volume) {
  const ActualPool *actual = g_hash_table_lookup(input->actual->pools, pool);
  return actual != NULL ? g_hash_table_lookup(actual->volumes, volume) : NULL;
}

char *locate_disk_volume(const char *vm, const DiskSpec *disk, const char *format) {
  return g_strdup_printf("%s-%s.%s", vm, disk->target, format);
}
