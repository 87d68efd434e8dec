/* One domain anew: the same facts as of a whole observation, by calls for this one alone. */
#include <libvirt/virterror.h>

#include "state/host_facts.h"
#include "state/libvirt/domain_reading.h"
#include "state/libvirt/volume_file.h"
#include "state/told_formats.h"

static gboolean is_absent(void) {
  switch (virGetLastErrorCode()) {
  case VIR_ERR_NO_STORAGE_VOL:
  case VIR_ERR_NO_STORAGE_POOL:
    return TRUE;
  default:
    return reading_lacks_driver();
  }
}

/* What the tasks of an observation share, for one domain. */
typedef struct {
  virConnectPtr conn;
  const Actual *before; /* may be NULL */
  Actual *found;        /* its volumes_by_path */
  ActualDomain *domain; /* owns the volumes */
} Search;

/* In the way in which it was read before, so that what is seen is the same. FALSE: it vanished, or
 * error is set. */
static gboolean read_volume(const Search *search, virStorageVolPtr handle, ActualVolume *volume, GError **error) {
  const ActualVolume *before = search->before ? g_hash_table_lookup(search->before->volumes_by_path, volume->path) : NULL;
  FileAccess access;
  if (before && before->from_file && volume_file_read(volume, &access))
    return TRUE;
  g_autofree char *xml = virStorageVolGetXMLDesc(handle, 0);
  if (xml)
    return volume_facts_read(volume, xml, error);
  if (virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL)
    g_hash_table_add(search->found->vanished, g_strdup(volume->path));
  if (is_absent())
    return FALSE;
  volume->error = g_strdup_printf("volume %s of pool %s: %s", volume->name, volume->pool, virGetLastErrorMessage());
  return TRUE;
}

/* What is in it wasn't known: it was started since, as by the plan itself. */
static gboolean was_inactive(const Search *search, const char *name) {
  const ActualPool *pool = search->before ? g_hash_table_lookup(search->before->pools, name) : NULL;
  return pool && !pool->active;
}

/* A volume by the path under which an observation would have found it. FALSE with error: it
 * can't be told whether there is one. */
static gboolean find_volume(const Search *search, const char *path, ActualVolume **ret_volume, GError **error) {
  g_autoptr(VirStorageVol) handle = virStorageVolLookupByPath(search->conn, path);
  if (!handle)
    return is_absent() || libvirt_fail(error, "cannot look up the volume %s", path);
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByVolume(handle);
  if (!pool)
    return is_absent() || libvirt_fail(error, "cannot look up the pool of %s", path);
  if (was_inactive(search, virStoragePoolGetName(pool)))
    return TRUE;
  g_autoptr(ActualVolume) volume = g_new0(ActualVolume, 1);
  volume->name = g_strdup(virStorageVolGetName(handle));
  volume->pool = g_strdup(virStoragePoolGetName(pool));
  volume->path = g_strdup(virStorageVolGetKey(handle));
  g_autoptr(GError) trouble = NULL;
  if (read_volume(search, handle, volume, &trouble) && g_strcmp0(volume->path, path) == 0)
    *ret_volume = g_steal_pointer(&volume);
  if (!trouble)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&trouble));
  return FALSE;
}

/* The volumes below a path, which is read as `format`. */
static gboolean find_chain(const Search *search, const char *path, const char *format, GError **error) {
  GHashTable *found = search->found->volumes_by_path;
  while (path && !g_hash_table_contains(found, path)) {
    ActualVolume *volume = NULL;
    if (!find_volume(search, path, &volume, error))
      return FALSE;
    if (!volume)
      break;
    told_format_apply(volume, format);
    g_ptr_array_add(search->domain->volumes, volume);
    g_hash_table_replace(found, volume->path, volume);
    path = volume->backing_path;
    format = volume->backing_format;
  }
  return TRUE;
}

static gboolean find_path(const Search *search, ActualDisk *disk, GError **error) {
  if (!disk->volume || !disk->pool || disk->path || was_inactive(search, disk->pool))
    return TRUE;
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByName(search->conn, disk->pool);
  g_autoptr(VirStorageVol) volume = pool ? virStorageVolLookupByName(pool, disk->volume) : NULL;
  disk->path = volume ? virStorageVolGetPath(volume) : NULL;
  /* The volumes of an inactive pool aren't known. */
  return disk->path || is_absent() || virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
         libvirt_fail(error, "cannot look up the volume %s of pool %s", disk->volume, disk->pool);
}

static gboolean find_volumes(const Search *search, const GPtrArray *disks, GError **error) {
  for (guint i = 0; i < disks->len; i++) {
    ActualDisk *disk = disks->pdata[i];
    if (!find_path(search, disk, error) || !find_chain(search, disk->path, disk->format, error))
      return FALSE;
    for (guint j = 0; j < disk->chain->len; j++) {
      const ActualVolume *layer = disk->chain->pdata[j];
      if (!find_chain(search, layer->path, layer->format, error))
        return FALSE;
    }
  }
  return TRUE;
}

static gboolean read_flags(virDomainPtr handle, ActualDomain *domain, GError **error) {
  int persistent = virDomainIsPersistent(handle), autostart = 0;
  if (persistent < 0)
    return libvirt_fail(error, "cannot read the flags");
  domain->is_persistent = persistent;
  if (persistent && virDomainGetAutostart(handle, &autostart) < 0)
    return libvirt_fail(error, "cannot read the autostart flag");
  domain->autostart = autostart;
  int saved = domain->active ? 0 : virDomainHasManagedSaveImage(handle, 0), snapshots = virDomainSnapshotNum(handle, 0);
  if ((saved < 0 || snapshots < 0) && !reading_lacks_driver())
    return libvirt_fail(error, "cannot read the managed save and the snapshots");
  domain->has_managed_save = saved > 0;
  domain->has_snapshots = snapshots > 0;
  return TRUE;
}

ActualDomain *read_one_domain(virConnectPtr conn, const Actual *actual, const char *name, GError **error) {
  g_autoptr(VirDomain) handle = virDomainLookupByName(conn, name);
  if (!handle) {
    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
      libvirt_fail(error, "cannot look up the domain %s", name);
    return NULL;
  }
  g_autoptr(ActualDomain) domain = domain_of_handle(handle);
  g_autoptr(Actual) found = actual_new();
  found->local = !connection_is_remote(conn);
  found->sees_files = actual && actual->sees_files;
  gboolean vanished = FALSE;
  if (!domain_read_texts(handle, domain, &vanished, error)) {
    if (!vanished)
      g_prefix_error(error, "domain %s: ", name);
    return NULL;
  }
  if (!domain->volumes)
    domain->volumes = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  Search search = {conn, actual, found, domain};
  gboolean storage = !actual || !actual->storage_error;
  if (domain->active && domain_hangs(handle, domain)) {
    g_set_error(error, LIBVIRT_ERROR, VIR_ERR_OPERATION_TIMEOUT, "domain %s: %s", name, domain->error);
    return NULL;
  }
  if (!read_flags(handle, domain, error) ||
      (storage && (!find_volumes(&search, domain->disks, error) ||
                   (domain->active && !find_volumes(&search, domain->defined_disks, error))))) {
    g_prefix_error(error, "domain %s: ", name);
    return NULL;
  }
  domain_complete(handle, domain, found, TRUE);
  if (domain->error) {
    g_set_error(error, LIBVIRT_ERROR, VIR_ERR_INTERNAL_ERROR, "domain %s: %s", name, domain->error);
    return NULL;
  }
  return g_steal_pointer(&domain);
}
