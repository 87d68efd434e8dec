#include "reconciler/act/download.h"

#include <errno.h>
#include <unistd.h>

#include "schema/digest.h"

#define BLOCK (256 << 10)
#define REPORT (G_GUINT64_CONSTANT(64) * BLOCK)

static gboolean digest_all(const ActionContext *context, const Action *action, virStreamPtr stream, guint64 total, const char *phase, Digest *digest,
                           GError **error) {
  g_autofree char *block = g_malloc(BLOCK);
  for (guint64 done = 0, shown = 0;;) {
    if (act_cancelled(context, error))
      return FALSE;
    int got = virStreamRecv(stream, block, BLOCK);
    if (got < 0)
      return libvirt_fail(error, "cannot read it");
    if (got == 0)
      return TRUE;
    digest_update(digest, block, (gsize)got);
    done += (guint64)got;
    if (done - shown < REPORT)
      continue;
    act_progress(context, action, done, total, phase);
    shown = done;
  }
}

static virStreamPtr begin(virStorageVolPtr volume, guint flags, GError **error) {
  g_autoptr(VirStream) stream = virStreamNew(virStorageVolGetConnect(volume), 0);
  if (stream && virStorageVolDownload(volume, stream, 0, 0, flags) == 0)
    return g_steal_pointer(&stream);
  libvirt_fail(error, "cannot read it");
  return NULL;
}

char *download_digest(const ActionContext *context, const Action *action, virStorageVolPtr volume, guint64 total, const char *phase, GError **error) {
  g_autoptr(VirStream) stream = begin(volume, 0, error);
  g_autoptr(Digest) digest = digest_new();
  if (!stream)
    return NULL;
  if (!digest_all(context, action, stream, total, phase, digest, error)) {
    virStreamAbort(stream);
    return NULL;
  }
  virStreamFinish(stream);
  return digest_hex(digest);
}

typedef struct {
  const ActionContext *context;
  int fd;
  GError *error;
} Into;

static int write_block(virStreamPtr stream G_GNUC_UNUSED, const char *data, size_t length, void *opaque) {
  Into *into = opaque;
  if (into->error || act_cancelled(into->context, &into->error))
    return -1;
  ssize_t done;
  do
    done = write(into->fd, data, length);
  while (done < 0 && errno == EINTR);
  if (done < 0)
    act_fail(&into->error, "cannot write a temporary file: %s", g_strerror(errno));
  return (int)done;
}

/* The end of a hole at the end of the file is where the file ends. */
static int write_hole(virStreamPtr stream G_GNUC_UNUSED, long long length, void *opaque) {
  Into *into = opaque;
  off_t end = lseek(into->fd, length, SEEK_CUR);
  if (end >= 0 && ftruncate(into->fd, end) == 0)
    return 0;
  act_fail(&into->error, "cannot write a temporary file: %s", g_strerror(errno));
  return -1;
}

gboolean download_file(const ActionContext *context, const Action *action, virStorageVolPtr volume, int fd, GError **error) {
  Into into = { context, fd, NULL };
  g_autoptr(VirStream) stream = begin(volume, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM, error);
  if (!stream)
    return FALSE;
  act_progress(context, action, 0, 0, "reading the image");
  int got = virStreamSparseRecvAll(stream, write_block, write_hole, &into);
  if (got == 0 && virStreamFinish(stream) == 0)
    return TRUE;
  if (got < 0)
    virStreamAbort(stream);
  if (into.error)
    g_propagate_error(error, into.error);
  else
    libvirt_fail(error, "cannot read the image");
  return FALSE;
}
