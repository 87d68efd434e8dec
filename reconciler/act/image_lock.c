#include "reconciler/act/image_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include "reconciler/act/volume.h"
#include "state/libvirt/volume_file.h"

/* QEMU's permissions. */
enum { READ = 0, WRITE = 1, RESIZE = 3, PERMISSIONS = 4 };
enum { USED = 100, DENIED = 200 };

struct ImageLocks {
  GArray *files; /* of int */
};

static ImageLocks *locks_new(void) {
  ImageLocks *locks = g_new(ImageLocks, 1);
  locks->files = g_array_new(FALSE, FALSE, sizeof(int));
  return locks;
}

void image_locks_free(ImageLocks *locks) {
  if (!locks)
    return;
  for (guint i = 0; i < locks->files->len; i++)
    close(g_array_index(locks->files, int, i));
  g_array_unref(locks->files);
  g_free(locks);
}

static struct flock byte(short type, off_t start) {
  return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1 };
}

static gboolean lock_byte(int fd, off_t start) {
  struct flock lock = byte(F_RDLCK, start);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* FALSE: it can't be told. */
static gboolean is_locked_by_others(int fd, off_t start, gboolean *ret_locked) {
  struct flock lock = byte(F_WRLCK, start);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
    return FALSE;
  *ret_locked = lock.l_type != F_UNLCK;
  return TRUE;
}

/* Ours first, then a look for theirs, as QEMU does: of two at once at least one sees the other. FALSE: no locks here. */
static gboolean lock_file(int fd, gboolean *ret_used) {
  gboolean writes, resizes, unreadable;
  if (!lock_byte(fd, USED + READ) || !lock_byte(fd, DENIED + WRITE) || !lock_byte(fd, DENIED + RESIZE) ||
      !is_locked_by_others(fd, USED + WRITE, &writes) || !is_locked_by_others(fd, USED + RESIZE, &resizes) ||
      !is_locked_by_others(fd, DENIED + READ, &unreadable))
    return FALSE;
  *ret_used = writes || resizes || unreadable;
  return TRUE;
}

/* Whatever permission it is that they use. */
static gboolean is_open(int fd, gboolean *ret_open) {
  *ret_open = FALSE;
  for (int permission = READ; permission < PERMISSIONS && !*ret_open; permission++)
    if (!is_locked_by_others(fd, USED + permission, ret_open))
      return FALSE;
  return TRUE;
}

static ImageUse use_of_file(int fd) {
  gboolean open, written;
  if (!is_open(fd, &open) || !is_locked_by_others(fd, USED + WRITE, &written))
    return IMAGE_UNKNOWN;
  return written ? IMAGE_WRITTEN : open ? IMAGE_OPEN : IMAGE_CLOSED;
}

/* -1: it can't be told. */
static int open_volume(virStorageVolPtr volume, char **ret_backing) {
  g_autoptr(ActualVolume) told = connection_is_remote(virStorageVolGetConnect(volume)) ? NULL : volume_seen(volume, NULL);
  if (!told)
    return -1;
  *ret_backing = g_strdup(told->backing_path);
  return volume_file_open(told);
}

ImageUse image_use(virStorageVolPtr volume) {
  g_autofree char *backing = NULL;
  int fd = open_volume(volume, &backing);
  if (fd < 0)
    return IMAGE_UNKNOWN;
  ImageUse use = use_of_file(fd);
  close(fd);
  return use;
}

ImageUse image_use_of_backing(virStorageVolPtr volume) {
  g_autofree char *backing = NULL;
  int fd = open_volume(volume, &backing);
  if (fd < 0)
    return IMAGE_UNKNOWN;
  close(fd);
  fd = backing ? open(backing, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) : -1;
  if (fd < 0)
    return IMAGE_UNKNOWN;
  ImageUse use = use_of_file(fd);
  close(fd);
  return use;
}

gboolean image_locks_take(const DiskLayers *layers, ImageLocks **ret_locks, GError **error) {
  const GPtrArray *chain = layers->chain.disk->chain;
  g_autoptr(ImageLocks) locks = locks_new();
  if (connection_is_remote(virDomainGetConnect(layers->domain)))
    return TRUE;
  for (guint i = 0; i < chain->len; i++) {
    const ActualVolume *layer = chain->pdata[i];
    gboolean used = FALSE;
    int fd = volume_file_open(layer);
    if (fd < 0)
      return TRUE;
    g_array_append_val(locks->files, fd);
    if (!lock_file(fd, &used))
      return TRUE;
    if (used)
      return act_refuse(error, "somebody writes to %s, which is a layer of disk %s of the stopped domain %s: wait until that has "
                        "ended", layer->path, layers->chain.disk->target, layers->now->name);
  }
  *ret_locks = g_steal_pointer(&locks);
  return TRUE;
}
