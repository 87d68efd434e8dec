#include "reconciler/act/image_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "reconciler/image/fetch.h"
#include "schema/digest.h"
#include "schema/url_mask.h"
#include "state/fault.h"
#include "state/journal.h"

typedef struct {
  const ActionContext *context;
  const Action *action;
  const char *url, *sha256;
  char *shown; /* of the url */
  guint64 bytes;
  char *whole, *part; /* paths */
  int fd;             /* of part */
} Download;

static void download_clear(Download *download) {
  g_free(download->shown);
  g_free(download->whole);
  g_free(download->part);
  if (download->fd >= 0)
    close(download->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Download, download_clear)

static void tell(gpointer data, guint64 done, guint64 total) {
  const Download *download = data;
  act_progress(download->context, download->action, done, total, "fetching");
}

static gboolean prepare(Download *download, GError **error) {
  const char *state = download->context->journal ? journal_dir(download->context->journal) : NULL;
  if (!state)
    return act_fail(error, "%s can't be fetched: there is no state directory", download->shown);
  g_autofree char *directory = g_build_filename(state, "images", NULL);
  g_autofree char *name = g_strconcat("sha256-", download->sha256, NULL), *part = g_strconcat(name, ".part", NULL);
  download->whole = g_build_filename(directory, name, NULL);
  download->part = g_build_filename(directory, part, NULL);
  if (g_mkdir_with_parents(directory, 0700) < 0)
    return act_fail(error, "cannot make %s: %s", directory, g_strerror(errno));
  return TRUE;
}

/* Two objects may ask for the same file at once: the second one waits, and then has it. */
static GMutex busy;

static gboolean wait_for_others(const ActionContext *context, GError **error) {
  while (!g_mutex_trylock(&busy))
    if (!act_sleep(context, 100, error))
      return FALSE;
  return TRUE;
}

static gboolean check_space(const Download *download, guint64 have, GError **error) {
  struct statvfs file_system;
  if (fstatvfs(download->fd, &file_system) < 0)
    return TRUE; /* writing will tell */
  guint64 free_bytes = (guint64)file_system.f_bavail * file_system.f_frsize;
  if (free_bytes >= download->bytes - MIN(have, download->bytes))
    return TRUE;
  return act_refuse(error, "%s has %" G_GUINT64_FORMAT " bytes, and the state directory has room for %" G_GUINT64_FORMAT
                    ": make room, or give another --state-dir", download->shown, download->bytes, free_bytes);
}

static gboolean digest_of(const Download *download, char **ret_digest, GError **error) {
  g_autoptr(Digest) digest = digest_new();
  gsize size = 1 << 20;
  g_autofree guint8 *buffer = g_malloc(size);
  for (off_t at = 0;;) {
    ssize_t got = act_cancelled(download->context, error) ? -2 : pread(download->fd, buffer, size, at);
    if (got == -2)
      return FALSE;
    if (got < 0)
      return act_fail(error, "cannot read %s: %s", download->part, g_strerror(errno));
    if (got == 0)
      break;
    digest_update(digest, buffer, (gsize)got);
    at += got;
    act_progress(download->context, download->action, (guint64)at, download->bytes, "verifying");
  }
  *ret_digest = digest_hex(digest);
  return TRUE;
}

/* One try. ret_resumed: it went on with what was there, which may be of another file. */
static gboolean attempt(Download *download, char **ret_digest, gboolean *ret_resumed, GError **error) {
  struct stat status;
  download->fd = open(download->part, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (download->fd < 0 || fstat(download->fd, &status) < 0)
    return act_fail(error, "cannot write %s: %s", download->part, g_strerror(errno));
  guint64 have = (guint64)status.st_size;
  *ret_resumed = have > 0;
  if (!check_space(download, have, error))
    return FALSE;
  FAULT("fetch: begun");
  const Fetch fetch = {.url = download->url, .bytes = download->bytes, .cancel = download->context->cancel, .progress = tell, .data = download};
  if (!fetch_file(&fetch, download->fd, have, error))
    return FALSE;
  if (fsync(download->fd) < 0)
    return act_fail(error, "cannot write %s: %s", download->part, g_strerror(errno));
  FAULT("fetch: all of it");
  return digest_of(download, ret_digest, error);
}

static gboolean download_now(Download *download, GError **error) {
  for (gboolean again = FALSE;; again = TRUE) {
    g_autofree char *digest = NULL;
    gboolean resumed = FALSE;
    if (!attempt(download, &digest, &resumed, error))
      return FALSE;
    if (g_str_equal(digest, download->sha256))
      break;
    close(download->fd);
    download->fd = -1;
    g_unlink(download->part);
    if (!resumed || again)
      return act_fail(error, "%s has the SHA-256 digest %s and not %s, as declared: correct sha256, or find out who changed the file",
                      download->shown, digest, download->sha256);
  }
  if (rename(download->part, download->whole) < 0)
    return act_fail(error, "cannot rename %s: %s", download->part, g_strerror(errno));
  FAULT("fetch: verified");
  return TRUE;
}

char *image_fetch(const ActionContext *context, const Action *action, const char *url, const char *sha256, guint64 bytes,
                  GError **error) {
  g_auto(Download) download = {.context = context, .action = action, .url = url, .shown = url_mask(url), .sha256 = sha256, .bytes = bytes, .fd = -1};
  if (!prepare(&download, error) || !wait_for_others(context, error))
    return NULL;
  gboolean there = g_file_test(download.whole, G_FILE_TEST_IS_REGULAR) || download_now(&download, error);
  g_mutex_unlock(&busy);
  return there ? g_steal_pointer(&download.whole) : NULL;
}

void image_fetch_drop(const char *path) { g_unlink(path); }
