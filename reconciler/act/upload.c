/* Blocks of zeros are passed over: the volume is new, so what isn't written is zero. */
#include <errno.h>
#include <unistd.h>
#include "reconciler/act/sparse_write.h"
#include "reconciler/act/upload.h"
#include "schema/digest.h"
#include "state/fault.h"

#define BLOCK (256 << 10) /* about what one message of libvirt's protocol carries */
#define TELL (4 << 20)    /* progress is told this often */

typedef struct {
  const ActionContext *context;
  const Action *action;
  SparseWrite *writing;
  Digest *digest;
  guint64 sent, total, reported;
} Upload;

static gboolean is_zero(const char *data, gsize length) {
  return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static gboolean read_block(int fd, char *data, gsize wanted, gsize *ret_length, GError **error) {
  gsize have = 0;
  while (have < wanted) {
    ssize_t got = read(fd, data + have, wanted - have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return act_fail(error, "cannot read the image: %s", g_strerror(errno));
    if (got == 0)
      break;
    have += (gsize)got;
  }
  *ret_length = have;
  return TRUE;
}

static gboolean send_block(Upload *upload, const char *data, gsize length, GError **error) {
  if (upload->digest)
    digest_update(upload->digest, data, (gsize)length);
  upload->sent += length;
  if (!is_zero(data, length))
    return sparse_write(upload->writing, data, length, error);
  sparse_write_hole(upload->writing, length);
  return TRUE;
}

/* Goes on to where the file has data again. */
static gboolean skip_hole(Upload *upload, int fd, GError **error) {
  off_t data = lseek(fd, (off_t)upload->sent, SEEK_DATA);
  if (data < 0 && errno != ENXIO)
    return act_fail(error, "cannot read the image: %s", g_strerror(errno));
  guint64 next = data < 0 ? upload->total : MIN((guint64)data, upload->total);
  sparse_write_hole(upload->writing, next - upload->sent);
  upload->sent = next;
  return lseek(fd, (off_t)next, SEEK_SET) >= 0 || act_fail(error, "cannot read the image: %s", g_strerror(errno));
}

static gboolean send_all(Upload *upload, int fd, GError **error) {
  g_autofree char *block = g_malloc(BLOCK);
  while (upload->sent < upload->total) {
    gsize length = 0;
    if (!upload->digest && !skip_hole(upload, fd, error))
      return FALSE;
    if (upload->sent == upload->total)
      break;
    if (act_cancelled(upload->context, error) ||
        !read_block(fd, block, MIN(BLOCK, upload->total - upload->sent), &length, error))
      return FALSE;
    if (!length)
      return act_stale(error, "the image has become shorter than %" G_GUINT64_FORMAT " bytes", upload->total);
    if (!send_block(upload, block, length, error))
      return FALSE;
    if (upload->sent >= upload->total / 2 && upload->sent - length < upload->total / 2)
      FAULT("upload: half sent");
    if (upload->sent - upload->reported >= TELL || upload->sent == upload->total) {
      act_progress(upload->context, upload->action, upload->sent, upload->total, "uploading");
      upload->reported = upload->sent;
    }
  }
  return TRUE;
}

gboolean upload_file(const ActionContext *context, const Action *action, virStorageVolPtr volume, int fd,
                     guint64 bytes, char **ret_sha256, GError **error) {
  g_auto(SparseWrite) writing = { .volume = volume };
  g_autoptr(Digest) digest = ret_sha256 ? digest_new() : NULL;
  Upload upload = { .context = context, .action = action, .writing = &writing, .digest = digest, .total = bytes };
  if (!send_all(&upload, fd, error))
    return FALSE;
  act_progress(context, action, bytes, bytes, "finishing");
  if (!sparse_write_finish(&writing, error))
    return FALSE;
  if (ret_sha256)
    *ret_sha256 = digest_hex(digest);
  return TRUE;
}
