/* Pools and volumes. */
#include <string.h>

#include "reconciler/plan/build.h"
#include "reconciler/plan/diff.h"
#include "reconciler/plan/granule.h"
#include "schema/value.h"
#include "state/base_volume.h"
#include "state/fingerprint.h"

/* Returns whether a change is refused. */
static gboolean refuse_never(PlanBuilder *builder, PlanObject *object) {
  char *refusal = build_refusal(object->fields);
  if (refusal != NULL)
    build_error(builder, object, refusal);
  return refusal != NULL;
}

static Activity activity_of(const StoragePoolSpec *spec, const ActualPool *found, gboolean ours) {
  return (Activity){
      .exists = found != NULL,
      .ours = ours,
      .active = found != NULL && found->active,
      .autostarts = found != NULL && given(&found->spec, StoragePoolSpec, autostart) && found->spec.autostart,
      .state_given = given(spec, StoragePoolSpec, state),
      .state = spec->state,
      .autostart_given = given(spec, StoragePoolSpec, autostart),
      .autostart = spec->autostart,
  };
}

static Action *pool_define(PlanBuilder *builder, PlanObject *object, const StoragePoolSpec *spec) {
  return build_action(builder, object, ACTION_POOL_DEFINE, NULL,
                      g_strdup_printf("define the %s pool", PoolType_words.words[spec->type]), NULL);
}

static gboolean is_within(const GPtrArray *disks, const char *directory) {
  for (guint i = 0; disks != NULL && i < disks->len; i++) {
    const char *path = ((const ActualDisk *)disks->pdata[i])->path;
    if (path != NULL && g_str_has_prefix(path, directory) && path[strlen(directory)] == '/')
      return TRUE;
  }
  return FALSE;
}

/* Its directory has been there then: when it isn't now (a file system that isn't mounted, say), an empty one doesn't replace it. */
static gboolean was_in_use(const PlanBuilder *builder, const ActualPool *found) {
  GHashTableIter iter;
  const ActualDomain *domain;
  g_hash_table_iter_init(&iter, builder->input->actual->domains);
  while (found != NULL && found->target != NULL && g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (is_within(domain->disks, found->target) || is_within(domain->defined_disks, found->target))
      return TRUE;
  return FALSE;
}

/* What has been defined and not built can't start: a run may have been interrupted between. */
static Action *pool_build(PlanBuilder *builder, PlanObject *object, const StoragePoolSpec *spec, const Activity *activity, Action *last) {
  gboolean build = given(spec, StoragePoolSpec, build) ? spec->build : spec->type == PoolType_dir;
  gboolean starts = activity->state_given && activity->state == PoolState_active && !activity->active;
  const ActualPool *found = g_hash_table_lookup(builder->input->actual->pools, object->name);
  if (!build || was_in_use(builder, found) || !(activity_is_new(activity) || (activity->ours && starts)))
    return last;
  return build_action(builder, object, ACTION_POOL_BUILD, last != NULL ? last->id : NULL, g_strdup("make the pool's directory"), NULL);
}

/* The pool that has this directory already; libvirt takes no second one. */
static const char *pool_of_directory(const PlanBuilder *builder, const StoragePoolSpec *spec) {
  if (spec->type != PoolType_dir || !given(spec, StoragePoolSpec, target))
    return NULL;
  g_autofree char *target = g_canonicalize_filename(spec->target, "/");
  GHashTableIter iter;
  const char *name;
  const ActualPool *pool;
  g_hash_table_iter_init(&iter, builder->input->actual->pools);
  while (g_hash_table_iter_next(&iter, (gpointer *)&name, (gpointer *)&pool))
    if (pool->spec.type == PoolType_dir && g_strcmp0(pool->target, target) == 0)
      return name;
  return NULL;
}

void plan_storage_pool(PlanBuilder *builder, const Object *declared) {
  const PlanInput *input = builder->input;
  const char *name = declared->metadata.name;
  const ActualPool *found = g_hash_table_lookup(input->actual->pools, name);
  PlanObject *object = build_object(builder, KIND_STORAGE_POOL, name, CHANGE_NONE, declared);
  object->desired = object_copy(object->declared);
  const StoragePoolSpec *spec = object->desired->spec;
  if (input->actual->storage_error != NULL) {
    build_error(builder, object, g_strdup_printf("pools can't be looked up: %s", input->actual->storage_error));
    return;
  }
  Action *last = NULL;
  g_autofree char *derived = derive_uuid("pool", name);
  gboolean ours = found != NULL && g_str_equal(found->uuid, derived);
  const char *other = found == NULL ? pool_of_directory(builder, spec) : NULL;
  if (other != NULL) {
    build_error(builder, object, g_strdup_printf("its directory %s is that of the pool %s already: use that one, or choose another directory", spec->target, other));
    return;
  }
  if (found == NULL) {
    object->change = CHANGE_CREATE;
    object->fingerprint = g_strdup("absent");
    last = pool_define(builder, object, spec);
  } else {
    gboolean adopt = given(&declared->metadata, MetadataSpec, adopt) && declared->metadata.adopt;
    if (!ours && !adopt) {
      build_error(builder, object, g_strdup("a pool of this name exists that isn't ours: give metadata.adopt: true to use it, or choose another name"));
      return;
    }
    object->fingerprint = fingerprint_pool(found);
    DiffInput diff = {.table = &StoragePoolSpec_table, .desired = spec, .persistent = &found->spec};
    g_ptr_array_unref(object->fields);
    object->fields = diff_spec(&diff);
    if (refuse_never(builder, object))
      return;
  }
  const Activity activity = activity_of(spec, found, ours);
  last = pool_build(builder, object, spec, &activity, last);
  last = plan_activity(builder, object, &activity, last);
  if (found != NULL && last != NULL)
    object->change = CHANGE_UPDATE;
  build_ready(builder, KIND_STORAGE_POOL, name, last);
}

char *plan_pool_trouble(PlanBuilder *builder, const char *pool) {
  const char *failed = build_failed(builder, KIND_STORAGE_POOL, pool);
  if (failed != NULL)
    return g_strdup_printf("its pool %s: %s", pool, failed);
  char *error = NULL;
  if (locate_pool(builder->input, pool, &error) == NULL)
    return error;
  const ActualPool *found = g_hash_table_lookup(builder->input->actual->pools, pool);
  if (found != NULL && found->error != NULL)
    return g_strdup_printf("its pool %s can't be read: %s", pool, found->error);
  gboolean stops = activity_is_to_stop(builder, KIND_STORAGE_POOL, pool);
  if (stops || (found != NULL && !found->active && build_needs(builder, KIND_STORAGE_POOL, pool) == NULL))
    return g_strdup_printf(stops ? "its pool %s isn't to be started: declare it with state: active" : "its pool %s isn't started: start it, or declare it with state: active", pool);
  return NULL;
}

static void volume_create(PlanBuilder *builder, PlanObject *object, const VolumeSpec *spec, const char *pool) {
  const char *name = object->name, *format = Format_words.words[given(spec, VolumeSpec, format) ? spec->format : Format_qcow2];
  object->change = CHANGE_CREATE;
  object->fingerprint = g_strdup("absent");
  Action *action;
  if (!given(spec, VolumeSpec, image)) {
    g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, spec->size), *size = bytes_format(spec->size);
    action = build_action(builder, object, ACTION_VOLUME_CREATE, build_needs(builder, KIND_STORAGE_POOL, pool),
                          g_strdup_printf("create a blank %s volume of %s in pool %s", format, size, pool), "pool", pool,
                          "volume", name, "format", format, "bytes", bytes, NULL);
  } else {
    char *error = NULL;
    g_autofree char *base = NULL;
    const Object *image = NULL;
    const ImageFacts *facts = locate_image(builder->input, spec->image, &image, &base, &error);
    if (facts == NULL) {
      build_error(builder, object, error);
      return;
    }
    gboolean copy = given(spec, VolumeSpec, provision) && spec->provision == Provision_copy;
    guint64 most = given(spec, VolumeSpec, size) ? spec->size : facts->virtual_size;
    if (most < facts->virtual_size || (!copy && !g_str_equal(format, "qcow2"))) {
      build_error(builder, object, g_strdup(copy ? "it is smaller than its image" : "an overlay is a qcow2 volume at least as large as its image"));
      return;
    }
    g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, most), *size = bytes_format(most);
    action = build_action(builder, object, copy ? ACTION_VOLUME_COPY : ACTION_VOLUME_CREATE,
                          build_needs(builder, KIND_STORAGE_POOL, pool),
                          g_strdup_printf("create %s of image %s, %s, in pool %s", copy ? "a copy" : "an overlay", spec->image, size, pool),
                          "pool", pool, "volume", name, "format", format, "bytes", bytes, copy ? "from" : "backingPath",
                          base, copy ? NULL : "backingFormat", facts->format, NULL);
    g_autofree char *written = g_strdup_printf("%" G_GUINT64_FORMAT, facts->virtual_size);
    if (copy)
      string_map_set(action->args, "writes", written);
    build_wait(action, build_needs(builder, KIND_IMAGE, spec->image));
  }
  build_ready(builder, KIND_VOLUME, name, action);
}

static void volume_update(PlanBuilder *builder, PlanObject *object, const VolumeSpec *spec, const ActualVolume *found) {
  if (found->error != NULL) {
    build_error(builder, object, g_strdup_printf("it can't be read: %s", found->error));
    return;
  }
  int format = found->format != NULL ? enum_find(Format_words.words, found->format) : -1;
  gboolean met = given(spec, VolumeSpec, size) && capacity_is_met(builder->input->actual, found->path, spec->size, found->capacity);
  VolumeSpec actual = {.size = met ? spec->size : found->capacity};
  set_given(&actual, VolumeSpec, size);
  if (format >= 0) {
    actual.format = format;
    set_given(&actual, VolumeSpec, format);
  }
  object->fingerprint = fingerprint_volume(found);
  if (given(spec, VolumeSpec, format) && format >= 0 && (int)spec->format != format) {
    build_error(builder, object, g_strdup_printf("its format is %s and can't become %s: %s", found->format, Format_words.words[spec->format],
                                                 VolumeSpec_table.fields[VolumeSpec_format].why));
    return;
  }
  DiffInput diff = {.table = &VolumeSpec_table, .desired = spec, .persistent = &actual};
  g_ptr_array_unref(object->fields);
  object->fields = diff_spec(&diff);
  if (refuse_never(builder, object) || !given(spec, VolumeSpec, size) || met)
    return;
  g_autofree char *size = bytes_format(spec->size), *now = bytes_format(found->capacity);
  const char *overlay = uses_overlay(builder->uses, found->path, NULL);
  const char *user = uses_domain(builder->uses, found->path, NULL, TRUE);
  g_autofree char *looks = plan_looks_otherwise(found);
  if (spec->size < found->capacity)
    build_error(builder, object, g_strdup_printf("size %s is less than the %s it has: a volume is never shrunk", size, now));
  else if (overlay != NULL)
    build_error(builder, object, g_strdup_printf("it can't grow: %s is an overlay on it", overlay));
  else if (user != NULL)
    build_error(builder, object, g_strdup_printf("it is in use by the %s machine %s: give the size on that machine's disk, when it runs", uses_state(builder->uses, user), user));
  else if (looks != NULL)
    build_error(builder, object, g_strdup_printf("it can't grow: %s", looks));
  else {
    object->change = CHANGE_UPDATE;
    g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, spec->size);
    g_autofree char *from = g_strdup_printf("%" G_GUINT64_FORMAT, found->capacity);
    build_ready(builder, KIND_VOLUME, object->name,
                build_action(builder, object, ACTION_VOLUME_GROW, NULL, g_strdup_printf("grow from %s to %s", now, size),
                             "path", found->path, "bytes", bytes, "from", from, "format", g_strcmp0(found->format, "iso") == 0 ? "raw" : found->format, "pool", found->pool, NULL));
  }
}

/* What can't be looked at may have it. */
static gboolean may_have(const PlanBuilder *builder, const char *pool, const char *name) {
  const ActualPool *found = g_hash_table_lookup(builder->input->actual->pools, pool);
  return found != NULL && (!found->active || found->error != NULL || locate_volume(builder->input, pool, name) != NULL);
}

/* A volume has no record of its own: that of the machine whose disk would have the one here says where it is. */
static const char *pool_in_record(const PlanBuilder *builder, const ActualDomain *domain, const char *name, const char *pool) {
  const Object *declared = desired_find(builder->input->desired, KIND_VIRTUAL_MACHINE, domain->name);
  const VmSpec *applied = declared != NULL && domain->owner != NULL ? &domain->owner->spec : NULL;
  for (guint i = 0; applied != NULL && given(applied, VmSpec, disks) && i < applied->disks->len; i++) {
    const DiskSpec *before = applied->disks->pdata[i], *now = vm_disk(object_vm(declared), before->target);
    gboolean same = now != NULL && g_strcmp0(before->volume, name) == 0 && g_strcmp0(now->volume, name) == 0;
    if (same && !g_str_equal(pool_of_disk(before), pool) && g_str_equal(pool_of_disk(now), pool) && may_have(builder, pool_of_disk(before), name))
      return pool_of_disk(before);
  }
  return NULL;
}

/* It would be made anew, blank, and the machine would have that. */
static char *check_moves(const PlanBuilder *builder, const char *name, const char *pool) {
  GHashTableIter iter;
  const ActualDomain *domain;
  g_hash_table_iter_init(&iter, builder->input->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain)) {
    const char *other = pool_in_record(builder, domain, name, pool);
    if (other != NULL)
      return g_strdup_printf("the machine %s has the volume of this name in pool %s, not %s: %s; give pool: %s, or a new volume another name",
                             domain->name, other, pool, VolumeSpec_table.fields[VolumeSpec_pool].why, other);
  }
  return NULL;
}

void plan_volume(PlanBuilder *builder, const Object *declared) {
  const char *name = declared->metadata.name;
  const VolumeSpec *spec = declared->spec;
  const char *pool = pool_of_volume(spec);
  PlanObject *object = build_object(builder, KIND_VOLUME, name, CHANGE_NONE, declared);
  object->desired = object_copy(object->declared);
  char *error = plan_pool_trouble(builder, pool);
  if (error == NULL && given(spec, VolumeSpec, image) && build_failed(builder, KIND_IMAGE, spec->image) != NULL)
    error = g_strdup_printf("its image %s: %s", spec->image, build_failed(builder, KIND_IMAGE, spec->image));
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  const ActualVolume *found = locate_volume(builder->input, pool, name);
  error = found == NULL ? check_moves(builder, name, pool) : NULL;
  if (error != NULL) {
    build_error(builder, object, error);
    return;
  }
  g_autofree char *marker = g_strconcat(name, INCOMPLETE_SUFFIX, NULL);
  if (found == NULL || locate_volume(builder->input, pool, marker) != NULL)
    volume_create(builder, object, spec, pool);
  else
    volume_update(builder, object, spec, found);
}
