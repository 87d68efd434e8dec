/* Volumes that exist: grown, and deleted. Both look for others that use the file first. */
#include "reconciler/act/base.h"
#include "reconciler/act/image_lock.h"
#include "state/fault.h"

/* The volume of a path, its file read anew; NULL without error when libvirt knows none. */
static gboolean by_path(virConnectPtr connect, const char *path, virStorageVolPtr *ret_volume, VolumeFacts *ret_facts, GError **error) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", path);
  if (volume && !volume_facts(volume, ret_facts, error))
    return FALSE;
  *ret_volume = g_steal_pointer(&volume);
  return TRUE;
}

gboolean volume_refresh_around(const ActionContext *context, const char *path, gboolean *ret_covered, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  g_autofree char *directory = g_path_get_dirname(path);
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByTargetPath(connect, directory);
  if (!pool && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL)
    return libvirt_fail(error, "cannot look for the storage pool of %s", path);
  gboolean covered = pool && virStoragePoolIsActive(pool) == 1;
  if (ret_covered)
    *ret_covered = covered;
  return !covered || volume_refresh(context, pool, error);
}

static gboolean check_grows(const char *path, guint64 now, guint64 wanted, guint64 planned_from, GError **error) {
  if (now > wanted)
    return act_refuse(error, "%s has %" G_GUINT64_FORMAT " bytes and would shrink to %" G_GUINT64_FORMAT
                      ": that is never done", path, now, wanted);
  if (planned_from && now != planned_from)
    return act_stale(error, "%s has %" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT " as planned",
                     path, now, planned_from);
  return TRUE;
}

static gboolean check_no_user(const ActionContext *context, const char *path, const char *verb, GError **error) {
  g_autofree char *what = NULL;
  if (!volume_find_user(context, path, TRUE, &what, NULL, error))
    return FALSE;
  return !what || act_refuse(error, "%s can't be %s: it is used by %s", path, verb, what);
}

gboolean act_volume_grow(const ActionContext *context, const Action *action, GError **error) {
  const char *path = act_need(action, "path", error);
  guint64 bytes, from = 0;
  if (!path || !act_arg_uint64(action, "bytes", &bytes, error) || !act_arg_optional(action, "from", &from, error))
    return FALSE;
  virConnectPtr connect = connection_get(context->connection, error);
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (!connect || !volume_refresh_around(context, path, NULL, error) || !by_path(connect, path, &volume, &facts, error))
    return FALSE;
  if (!volume)
    return act_stale(error, "there is no volume %s any more", path);
  if (!volume_check_format(volume, &facts, act_arg(action, "format"), "grow", error))
    return FALSE;
  if (facts.capacity == bytes)
    return TRUE;
  if (!check_grows(path, facts.capacity, bytes, from, error) || !check_no_user(context, path, "resized", error) ||
      !bases_check(context, action, error))
    return FALSE;
  if (virStorageVolResize(volume, bytes, 0) < 0)
    return libvirt_fail(error, "cannot grow %s", path);
  FAULT("volume: grown");
  volume_facts_clear(&facts);
  if (!volume_facts(volume, &facts, error))
    return FALSE;
  return facts.capacity >= bytes ||
         act_fail(error, "%s was grown to %" G_GUINT64_FORMAT " bytes but has %" G_GUINT64_FORMAT, path, bytes, facts.capacity);
}

static gboolean check_unused(const ActionContext *context, const char *path, GError **error) {
  g_autofree char *what = NULL, *doubt = NULL;
  if (!volume_find_user(context, path, FALSE, &what, &doubt, error))
    return FALSE;
  if (what)
    return act_refuse(error, "%s isn't deleted: it is used by %s", path, what);
  return !doubt || act_refuse(error, "%s isn't deleted: it can't be told whether something else uses it: %s", path, doubt);
}

/* A QEMU that this libvirt doesn't know (another daemon's, another host's) tells by its lock, where that can be seen from here. */
static gboolean check_closed(virStorageVolPtr volume, const char *path, GError **error) {
  ImageUse use = image_use(volume);
  return use == IMAGE_UNKNOWN || use == IMAGE_CLOSED ||
         act_refuse(error, "%s isn't deleted: a program that libvirt doesn't know has it open%s: wait until that has ended", path,
                    use == IMAGE_WRITTEN ? ", and writes to it" : "");
}

gboolean act_volume_delete(const ActionContext *context, const Action *action, GError **error) {
  const char *path = act_need(action, "path", error);
  virConnectPtr connect = path ? connection_get(context->connection, error) : NULL;
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  gboolean covered = FALSE;
  if (!connect || !volume_refresh_around(context, path, &covered, error) ||
      !by_path(connect, path, &volume, &facts, error))
    return FALSE;
  if (!volume && covered)
    return TRUE;
  if (!volume)
    return act_stale(error, "%s is in no active storage pool", path);
  if (!check_unused(context, path, error) || !check_closed(volume, path, error) || !volume_delete(volume, error))
    return FALSE;
  FAULT("volume: deleted");
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByVolume(volume);
  return !pool || marker_clear(pool, virStorageVolGetName(volume), error);
}
