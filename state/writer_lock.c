#include "state/writer_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/journal.h"

static char *lock_path(const char *dir) { return g_build_filename(dir, "lock", NULL); }

/* Of an open file description: as flock, it ends with the last descriptor; unlike flock, it can
 * be looked at without being taken. */
static struct flock whole_file(void) { return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}; }

static void write_holder(int fd) {
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
  g_autofree char *text = g_strdup_printf("%d %s\n", (int)getpid(), time);
  /* For messages only: the lock counts, not the text. */
  if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
    g_debug("cannot name the holder of the lock: %s", g_strerror(errno));
}

static void fail_held(int fd, const char *what, GError **error) {
  char text[64] = "", time[32] = "";
  int pid = 0;
  if (pread(fd, text, sizeof text - 1, 0) > 0 && sscanf(text, "%d %31s", &pid, time) == 2)
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_LOCKED, "%s is in use by process %d since %s", what, pid, time);
  else
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_LOCKED, "%s is in use by another process", what);
}

int writer_lock_take(const char *dir, GError **error) {
  g_autofree char *path = lock_path(dir);
  return writer_lock_take_file(path, dir, error);
}

int writer_lock_take_file(const char *path, const char *what, GError **error) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "%s: %s", path, g_strerror(errno));
    return -1;
  }
  struct flock lock = whole_file();
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
    write_holder(fd);
    return fd;
  }
  if (errno == EAGAIN || errno == EACCES)
    fail_held(fd, what, error);
  else
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "%s: cannot lock: %s", path, g_strerror(errno));
  close(fd);
  return -1;
}

gboolean writer_lock_is_in_place(int fd, const char *dir) {
  g_autofree char *path = lock_path(dir);
  struct stat ours, there;
  return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

gboolean writer_lock_is_held(const char *dir) {
  g_autofree char *path = lock_path(dir);
  int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return FALSE;
  struct flock lock = whole_file();
  gboolean held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  close(fd);
  return held;
}
