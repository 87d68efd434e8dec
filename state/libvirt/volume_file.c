#include "state/libvirt/volume_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/qcow2_header.h"

enum { HEAD = 4096 }; /* QEMU writes header, extensions and the backing file's name within it */

struct FileEvidence {
  GMutex lock;
  GArray *readable; /* of FileAccess: of files that are ours, and that the daemon could read */
};

FileEvidence *file_evidence_new(void) {
  FileEvidence *evidence = g_new0(FileEvidence, 1);
  g_mutex_init(&evidence->lock);
  evidence->readable = g_array_new(FALSE, FALSE, sizeof(FileAccess));
  return evidence;
}

void file_evidence_free(FileEvidence *evidence) {
  g_array_unref(evidence->readable);
  g_mutex_clear(&evidence->lock);
  g_free(evidence);
}

static gint64 nanoseconds(const struct timespec *time) {
  return time->tv_sec * G_GINT64_CONSTANT(1000000000) + time->tv_nsec;
}

/* Where a file system keeps no nanoseconds, its times are no evidence. */
static gboolean is_same_file(const ActualVolume *volume, const struct stat *seen) {
  return S_ISREG(seen->st_mode) && seen->st_nlink == 1 && (guint64)seen->st_size == volume->physical &&
         seen->st_mtim.tv_nsec != 0 && nanoseconds(&seen->st_mtim) == volume->mtime_ns && seen->st_ctim.tv_nsec != 0 &&
         nanoseconds(&seen->st_ctim) == volume->ctime_ns;
}

gboolean file_evidence_covers(FileEvidence *evidence, const FileAccess *access) {
  gboolean found = FALSE;
  g_mutex_lock(&evidence->lock);
  for (guint i = 0; i < evidence->readable->len && !found; i++) {
    const FileAccess *known = &g_array_index(evidence->readable, FileAccess, i);
    found = known->owner == access->owner && known->group == access->group && known->mode == access->mode;
  }
  g_mutex_unlock(&evidence->lock);
  return found;
}

static FileAccess access_of(const struct stat *seen) {
  return (FileAccess){.owner = seen->st_uid, .group = seen->st_gid, .mode = seen->st_mode};
}

void file_evidence_add(FileEvidence *evidence, const ActualVolume *volume) {
  struct stat seen;
  if (!volume->path || lstat(volume->path, &seen) < 0 || !is_same_file(volume, &seen))
    return;
  FileAccess access = access_of(&seen);
  if (file_evidence_covers(evidence, &access))
    return;
  g_mutex_lock(&evidence->lock);
  g_array_append_val(evidence->readable, access);
  g_mutex_unlock(&evidence->lock);
}

gboolean file_evidence_found(FileEvidence *evidence) {
  g_mutex_lock(&evidence->lock);
  gboolean found = evidence->readable->len > 0;
  g_mutex_unlock(&evidence->lock);
  return found;
}

/* Of a regular file; -1 for anything else, which isn't opened: that could wake somebody at the
 * other end of a pipe, or move a tape. */
static int open_regular(const char *path, struct stat *ret_status) {
  if (lstat(path, ret_status) < 0 || !S_ISREG(ret_status->st_mode))
    return -1;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd >= 0 && fstat(fd, ret_status) == 0 && S_ISREG(ret_status->st_mode))
    return fd;
  if (fd >= 0)
    close(fd);
  return -1;
}

int volume_file_open(const ActualVolume *volume) {
  struct stat status;
  int fd = volume->path ? open_regular(volume->path, &status) : -1;
  if (fd >= 0 && !volume->from_file && is_same_file(volume, &status))
    return fd;
  if (fd >= 0)
    close(fd);
  return -1;
}

/* libvirt's XML couldn't carry others, nor does anybody name files so. */
static gboolean is_plain(const char *text) {
  for (const char *at = text; *at; at++)
    if (g_ascii_iscntrl(*at))
      return FALSE;
  return g_utf8_validate(text, -1, NULL);
}

static gboolean read_backing(const Qcow2Header *header, const guint8 *head, gsize length, ActualVolume *volume) {
  g_autofree char *name = NULL, *format = NULL;
  if (header->backing_offset == 0)
    return TRUE;
  if (!qcow2_backing_read(header, head, length, &name, &format) || !g_path_is_absolute(name) || !is_plain(name) ||
      (strcmp(format, "qcow2") != 0 && strcmp(format, "raw") != 0))
    return FALSE;
  volume->backing_path = g_steal_pointer(&name);
  volume->backing_format = g_steal_pointer(&format);
  return TRUE;
}

static gboolean read_head(const guint8 *head, gsize length, ActualVolume *volume) {
  Qcow2Header header;
  if (!qcow2_header_read(head, length, &header) || (header.version != 2 && header.version != 3) || header.encryption != 0 ||
      header.incompatible & QCOW2_EXTERNAL_DATA || header.virtual_size == 0 || !read_backing(&header, head, length, volume))
    return FALSE;
  volume->format = g_strdup("qcow2");
  volume->capacity = header.virtual_size;
  return TRUE;
}

gboolean volume_file_read(ActualVolume *volume, FileAccess *ret_access) {
  struct stat status;
  int fd = volume->path && is_plain(volume->path) ? open_regular(volume->path, &status) : -1;
  if (fd < 0)
    return FALSE;
  guint8 head[HEAD];
  ssize_t length = pread(fd, head, sizeof head, 0);
  close(fd);
  if (length <= 0 || !read_head(head, (gsize)length, volume))
    return FALSE;
  *ret_access = access_of(&status);
  volume->from_file = TRUE;
  volume->device = status.st_dev;
  volume->inode = status.st_ino;
  volume->allocation = (guint64)status.st_blocks * 512;
  volume->physical = (guint64)status.st_size;
  volume->mtime_ns = nanoseconds(&status.st_mtim);
  volume->ctime_ns = nanoseconds(&status.st_ctim);
  return TRUE;
}
