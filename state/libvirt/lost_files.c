/* Files that a running machine has open and that are gone from their directory: QEMU goes on with them until it ends, and
 * with it goes what they hold. Nobody is asked for it: that a volume isn't there any more libvirt says when it is read, and
 * for the few files that no pool has, this host does. */
#include <errno.h>
#include <sys/stat.h>

#include "state/disk_chain.h"
#include "state/libvirt/connection.h"
#include "state/libvirt/domain_reading.h"
#include "state/xml_tree.h"

/* Whether we see what the daemon sees, the files of a pool have told. */
static gboolean is_missing_here(const Actual *actual, const char *path) {
  struct stat found;
  g_autofree char *directory = g_path_get_dirname(path);
  return actual->sees_files && stat(directory, &found) == 0 && stat(path, &found) < 0 && errno == ENOENT;
}

static gboolean seems_lost(const Actual *actual, const char *path) {
  if (!path || g_hash_table_contains(actual->volumes_by_path, path))
    return FALSE;
  return g_hash_table_contains(actual->vanished, path) || is_missing_here(actual, path);
}

static const char *lost_of(const Actual *actual, const ActualDisk *disk) {
  for (guint i = 0; i < disk->chain->len; i++) {
    const char *path = ((const ActualVolume *)disk->chain->pdata[i])->path;
    if (seems_lost(actual, path))
      return path;
  }
  return NULL;
}

static gboolean is_drive(const ActualDomain *domain, const char *target) {
  const DiskSpec *disk = vm_disk(actual_live(domain), target);
  return disk && disk_is_drive(disk);
}

/* A layer that was merged and deleted since the machine was read isn't missed. */
static gboolean still_has(virDomainPtr handle, const char *target, const char *path) {
  g_autofree char *text = virDomainGetXMLDesc(handle, 0);
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, "domain", NULL) : NULL;
  g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  g_autoptr(GPtrArray) disks = doc ? disks_read(xmlDocGetRootElement(doc), TRUE, layers) : NULL;
  const ActualDisk *disk = disks ? actual_disk(disks, target) : NULL;
  for (guint i = 0; disk && i < disk->chain->len; i++)
    if (g_strcmp0(((const ActualVolume *)disk->chain->pdata[i])->path, path) == 0)
      return TRUE;
  return FALSE;
}

void domain_find_lost(virDomainPtr handle, ActualDomain *domain, const Actual *actual) {
  for (guint i = 0; domain->active && i < domain->disks->len; i++) {
    ActualDisk *disk = domain->disks->pdata[i];
    const char *path = is_drive(domain, disk->target) ? NULL : lost_of(actual, disk);
    if (path && still_has(handle, disk->target, path))
      disk->lost = g_strdup(path);
  }
}
