/* Volumes: found, described, removed, marked. */
#include "reconciler/act/volume.h"
#include "state/base_volume.h"
#include "state/host_facts.h"
#include "state/life_sign.h"

void volume_facts_clear(VolumeFacts *facts) {
  g_clear_pointer(&facts->path, g_free);
  g_clear_pointer(&facts->format, g_free);
  g_clear_pointer(&facts->backing_path, g_free);
  g_clear_pointer(&facts->backing_format, g_free);
}

static guint64 number_at(const char *path, xmlNode *node) {
  g_autofree char *text = xml_path_get(xml_path(path), node);
  return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

gboolean volume_facts(virStorageVolPtr volume, VolumeFacts *ret_facts, GError **error) {
  const char *name = virStorageVolGetName(volume);
  g_autofree char *text = virStorageVolGetXMLDesc(volume, 0);
  if (!text)
    return libvirt_fail(error, "cannot read volume %s", name);
  g_autoptr(xmlDoc) doc = xml_parse(text, name, error);
  if (!doc)
    return FALSE;
  xmlNode *root = xmlDocGetRootElement(doc);
  *ret_facts = (VolumeFacts){
    .path = xml_path_get(xml_path("target/path"), root),
    .format = xml_path_get(xml_path("target/format/@type"), root),
    .backing_path = xml_path_get(xml_path("backingStore/path"), root),
    .backing_format = xml_path_get(xml_path("backingStore/format/@type"), root),
    .capacity = number_at("capacity", root),
    .physical = number_at("physical", root),
    .cluster = number_at("target/clusterSize", root),
  };
  return TRUE;
}

ActualVolume *volume_seen(virStorageVolPtr volume, GError **error) {
  const char *name = virStorageVolGetName(volume); /* asking for it forgets the last error */
  g_autofree char *text = virStorageVolGetXMLDesc(volume, 0);
  if (!text) {
    libvirt_fail(error, "cannot read volume %s", name);
    return NULL;
  }
  g_autoptr(ActualVolume) seen = g_new0(ActualVolume, 1);
  return volume_facts_read(seen, text, error) ? g_steal_pointer(&seen) : NULL;
}

virStoragePoolPtr volume_pool(const ActionContext *context, const char *name, GError **error) {
  g_autoptr(VirStoragePool) pool = act_pool(context, name, error);
  if (!pool)
    return NULL;
  int active = virStoragePoolIsActive(pool);
  if (active == 1)
    return g_steal_pointer(&pool);
  if (active < 0)
    libvirt_fail(error, "cannot see whether storage pool %s is active", name);
  else
    act_stale(error, "storage pool %s isn't active", name);
  return NULL;
}

/* libvirt doesn't refresh a pool while it makes a volume there, whoever asked for that. */
#define BUSY_WAIT_SECONDS 600

gboolean volume_refresh(const ActionContext *context, virStoragePoolPtr pool, GError **error) {
  const char *name = virStoragePoolGetName(pool); /* asking for it forgets the last error */
  gint64 end = g_get_monotonic_time() + BUSY_WAIT_SECONDS * G_USEC_PER_SEC;
  while (LIFE_LONG(virStoragePoolRefresh(pool, 0)) < 0) {
    virErrorPtr reason = virGetLastError();
    gboolean busy = reason && reason->code == VIR_ERR_INTERNAL_ERROR && reason->message &&
                    strstr(reason->message, "asynchronous jobs");
    if (!busy || g_get_monotonic_time() > end)
      return libvirt_fail(error, "cannot refresh storage pool %s", name);
    if (!act_sleep(context, 100, error))
      return FALSE;
  }
  return TRUE;
}

gboolean pool_available(virStoragePoolPtr pool, guint64 *ret_bytes, GError **error) {
  const char *name = virStoragePoolGetName(pool);
  virStoragePoolInfo info;
  if (virStoragePoolGetInfo(pool, &info) < 0)
    return libvirt_fail(error, "cannot see what room storage pool %s has", name);
  *ret_bytes = info.available;
  return TRUE;
}

gboolean pool_look_again(Connection *connection, const char *pool, GCancellable *cancel, guint64 *ret_available, GError **error) {
  const ActionContext context = { .connection = connection, .cancel = cancel };
  g_autoptr(VirStoragePool) handle = volume_pool(&context, pool, error);
  return handle && volume_refresh(&context, handle, error) && (!ret_available || pool_available(handle, ret_available, error));
}

/* Looks up by name alone: NULL without error when libvirt knows no such volume. */
static gboolean lookup(virStoragePoolPtr pool, const char *name, virStorageVolPtr *ret_volume, GError **error) {
  const char *pool_name = virStoragePoolGetName(pool);
  virStorageVolPtr volume = virStorageVolLookupByName(pool, name);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s in storage pool %s", name, pool_name);
  *ret_volume = volume;
  return TRUE;
}

gboolean volume_find(const ActionContext *context, virStoragePoolPtr pool, const char *name, gboolean refresh,
                     virStorageVolPtr *ret_volume, VolumeFacts *ret_facts, GError **error) {
  if (refresh && !volume_refresh(context, pool, error))
    return FALSE;
  for (gboolean again = refresh;; again = TRUE) {
    g_autoptr(VirStorageVol) volume = NULL;
    if (!lookup(pool, name, &volume, error))
      return FALSE;
    g_auto(VolumeFacts) facts = { 0 };
    g_autoptr(GError) unreadable = NULL;
    if (!volume || volume_facts(volume, &facts, &unreadable)) {
      *ret_volume = g_steal_pointer(&volume);
      if (ret_facts) {
        *ret_facts = facts;
        facts = (VolumeFacts){ 0 };
      }
      return TRUE;
    }
    if (again) {
      g_propagate_error(error, g_steal_pointer(&unreadable));
      return FALSE;
    }
    /* libvirt remembers a file that is no longer there, perhaps. */
    if (!volume_refresh(context, pool, error))
      return FALSE;
  }
}

/* Files are made sparse. In a volume group, less allocation than capacity would be a thin
 * volume that breaks when the group is full. */
static gboolean pool_has_files(virStoragePoolPtr pool) {
  g_autofree char *text = virStoragePoolGetXMLDesc(pool, 0);
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, virStoragePoolGetName(pool), NULL) : NULL;
  g_autofree char *type = doc ? xml_path_get(xml_path("@type"), xmlDocGetRootElement(doc)) : NULL;
  return g_strcmp0(type, "dir") == 0 || g_strcmp0(type, "fs") == 0 || g_strcmp0(type, "netfs") == 0;
}

char *volume_text(virStoragePoolPtr pool, const char *name, const char *format, guint64 bytes,
                  const char *backing_path, const char *backing_format, guint mode, GError **error) {
  g_autoptr(xmlDoc) doc = volume_xml_new(name, format, bytes, backing_path, backing_format, mode, error);
  if (!doc)
    return NULL;
  if (g_str_equal(format, "raw") && pool_has_files(pool))
    xml_path_set(xml_path("allocation"), xmlDocGetRootElement(doc), "0");
  return xml_text(doc);
}

virStorageVolPtr volume_make(virStoragePoolPtr pool, const char *name, const char *format, guint64 bytes,
                             const char *backing_path, const char *backing_format, guint mode, GError **error) {
  g_autofree char *text = volume_text(pool, name, format, bytes, backing_path, backing_format, mode, error);
  if (!text)
    return NULL;
  const char *pool_name = virStoragePoolGetName(pool);
  virStorageVolPtr volume = LIFE_LONG(virStorageVolCreateXML(pool, text, 0)); /* it may be allocated */
  if (!volume)
    libvirt_fail(error, "cannot create volume %s in storage pool %s", name, pool_name);
  return volume;
}

gboolean volume_delete(virStorageVolPtr volume, GError **error) {
  const char *name = virStorageVolGetName(volume);
  return LIFE_LONG(virStorageVolDelete(volume, 0)) == 0 ||
         libvirt_fail(error, "cannot delete volume %s", name);
}

static char *marker_name(const char *volume) { return g_strconcat(volume, INCOMPLETE_SUFFIX, NULL); }

gboolean marker_find(const ActionContext *context, virStoragePoolPtr pool, const char *volume, gboolean *ret_present, GError **error) {
  g_autofree char *name = marker_name(volume);
  g_autoptr(VirStorageVol) marker = NULL;
  if (!volume_find(context, pool, name, FALSE, &marker, NULL, error))
    return FALSE;
  *ret_present = marker != NULL;
  return TRUE;
}

gboolean marker_set(virStoragePoolPtr pool, const char *volume, GError **error) {
  g_autofree char *name = marker_name(volume);
  g_autoptr(VirStorageVol) marker = NULL;
  if (!lookup(pool, name, &marker, error))
    return FALSE;
  if (marker)
    return TRUE;
  marker = volume_make(pool, name, "raw", 512, NULL, NULL, 0, error);
  return marker != NULL;
}

gboolean marker_clear(virStoragePoolPtr pool, const char *volume, GError **error) {
  g_autofree char *name = marker_name(volume);
  g_autoptr(VirStorageVol) marker = NULL;
  return lookup(pool, name, &marker, error) && (!marker || volume_delete(marker, error));
}

gboolean half_made_delete(const ActionContext *context, virStorageVolPtr volume, GError **error) {
  g_autofree char *path = virStorageVolGetPath(volume), *user = NULL, *doubt = NULL;
  if (!path)
    return libvirt_fail(error, "cannot see where a half-made volume is");
  if (!volume_find_user(context, path, FALSE, &user, &doubt, error))
    return FALSE;
  if (user)
    return act_refuse(error, "a marker *%s says that %s is half made, and it is used by %s: remove whichever is wrong", INCOMPLETE_SUFFIX, path, user);
  if (doubt)
    return act_refuse(error, "a marker *%s says that %s is half made, and it stays: it can't be told whether something uses it: %s", INCOMPLETE_SUFFIX,
                      path, doubt);
  return volume_delete(volume, error);
}

gboolean half_made_clear(const ActionContext *context, virStoragePoolPtr pool, const char *name, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean half_made;
  if (!volume_find(context, pool, name, TRUE, &volume, NULL, error) || !marker_find(context, pool, name, &half_made, error))
    return FALSE;
  return !half_made || ((!volume || half_made_delete(context, volume, error)) && marker_clear(pool, name, error));
}

/* It has several ways to say so: of a copy, and of what lvcreate finds, with its code for anything. */
static gboolean says_exists(const GError *failure) {
  if (!failure || failure->domain != LIBVIRT_ERROR)
    return FALSE;
  return failure->code == VIR_ERR_OPERATION_INVALID || failure->code == VIR_ERR_STORAGE_VOL_EXIST ||
         (failure->code == VIR_ERR_INTERNAL_ERROR && (strstr(failure->message, "already in use") || strstr(failure->message, "already exists")));
}

void half_made_remove(const ActionContext *context, virStoragePoolPtr pool, const char *name, gboolean made, const GError *failure) {
  g_autoptr(VirStorageVol) volume = NULL;
  if (!volume_find(context, pool, name, !made, &volume, NULL, NULL))
    return;
  if (!volume || (made ? volume_delete(volume, NULL) : says_exists(failure)))
    marker_clear(pool, name, NULL);
}
