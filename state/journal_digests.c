/* Digests of files, so that large images aren't read again at each run. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "state/journal_private.h"

/* A file that was written this short ago may change again within one tick of its clock. */
#define SETTLE_NS (2 * G_GINT64_CONSTANT(1000000000))

gboolean file_identity_of(int fd, FileIdentity *ret_identity, GError **error) {
  struct stat status;
  if (fstat(fd, &status) < 0) {
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "%s", g_strerror(errno));
    return FALSE;
  }
  if (!S_ISREG(status.st_mode)) {
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "it isn't a regular file");
    return FALSE;
  }
  *ret_identity = (FileIdentity){status.st_dev, status.st_ino, (guint64)status.st_size,
                                 status.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + status.st_mtim.tv_nsec};
  return TRUE;
}

char *journal_digest_find(Journal *journal, const char *path, const FileIdentity *identity) {
  g_mutex_lock(&journal->lock);
  g_autoptr(Rows) rows = database_query(
    journal->database, NULL,
    "SELECT sha256 FROM digest WHERE path = ? AND device = ? AND inode = ? AND size = ? AND mtime_ns = ?", "siiii", path,
    (gint64)identity->device, (gint64)identity->inode, (gint64)identity->size, identity->mtime_ns);
  char *sha256 = rows && rows_next(rows, NULL) ? rows_text(rows, 0) : NULL;
  g_clear_pointer(&rows, rows_free);
  g_mutex_unlock(&journal->lock);
  return sha256;
}

void journal_digest_store(Journal *journal, const char *path, const FileIdentity *identity, const char *sha256) {
  if (identity->mtime_ns <= g_get_real_time() * 1000 - SETTLE_NS)
    journal_digest_keep(journal, path, identity, sha256);
}

void journal_digest_keep(Journal *journal, const char *path, const FileIdentity *identity, const char *sha256) {
  if (journal->mode == JOURNAL_READ)
    return;
  g_mutex_lock(&journal->lock);
  database_run(journal->database, NULL,
               "INSERT OR REPLACE INTO digest (path, device, inode, size, mtime_ns, sha256) VALUES (?, ?, ?, ?, ?, ?)",
               "siiiis", path, (gint64)identity->device, (gint64)identity->inode, (gint64)identity->size, identity->mtime_ns,
               sha256);
  g_mutex_unlock(&journal->lock);
}
