#include "reconciler/act/volume_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "reconciler/act/volume.h"
#include "state/fault.h"
#include "state/host_facts.h"
#include "state/libvirt/volume_file.h"
#include "state/life_sign.h"

/* EINVAL: a file system that knows no fsync. */
static gboolean sync_and_close(int fd, const char *path, GError **error) {
  gboolean failed = fsync(fd) < 0 && errno != EINVAL && errno != EROFS;
  int why = errno;
  close(fd);
  return !failed || act_fail(error, "%s can't be written to the disk: %s", path, g_strerror(why));
}

static gboolean sync_directory(const char *path, GError **error) {
  g_autofree char *directory = g_path_get_dirname(path);
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 || sync_and_close(fd, directory, error);
}

/* -1: it isn't certain that it is there. */
static int open_here(virStorageVolPtr volume) {
  g_autofree char *text = connection_is_remote(virStorageVolGetConnect(volume)) ? NULL : virStorageVolGetXMLDesc(volume, 0);
  g_autoptr(ActualVolume) told = g_new0(ActualVolume, 1);
  return text && volume_facts_read(told, text, NULL) ? volume_file_open(told) : -1;
}

static gboolean sync_file(virStorageVolPtr volume, const char *format, GError **error) {
  g_autofree char *path = virStorageVolGetPath(volume);
  int fd = path ? open_here(volume) : -1;
  if (fd >= 0)
    return sync_and_close(fd, path, error) && sync_directory(path, error);
  g_auto(VolumeFacts) facts = { 0 };
  if (g_strcmp0(format, "qcow2") == 0 && volume_facts(volume, &facts, NULL) && g_strcmp0(facts.format, format) == 0)
    virStorageVolResize(volume, facts.capacity, 0); /* where that can't be done it isn't worse than without */
  return TRUE;
}

gboolean volume_sync(virStorageVolPtr volume, const char *format, GError **error) {
  gboolean done = LIFE_LONG(sync_file(volume, format, error));
  FAULT("volume: on the disk");
  return done;
}

gboolean volume_sync_named(virStoragePoolPtr pool, const char *name, const char *format, GError **error) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByName(pool, name);
  return volume ? volume_sync(volume, format, error) : libvirt_fail(error, "cannot look up volume %s", name);
}
