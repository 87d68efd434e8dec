#include "reconciler/act/sparse_write.h"

#include "state/life_sign.h"

#define WORTH_IT (512 << 10) /* shorter holes are written as zeros: a stream takes two round trips, and libvirt refreshes the pool */
#define LONGEST (64 << 20)   /* parts: what is read back at once */

static gboolean digest_of(virStreamPtr stream, Digest *digest, GError **error) {
  g_autofree char *block = g_malloc(256 << 10);
  for (;;) {
    int got = virStreamRecv(stream, block, 256 << 10);
    if (got < 0)
      return libvirt_fail(error, "cannot read back what was uploaded");
    if (got == 0)
      return TRUE;
    life_sign();
    digest_update(digest, block, (gsize)got);
  }
}

static gboolean read_back(const SparseWrite *writing, GError **error) {
  g_autoptr(Digest) digest = digest_new();
  g_autoptr(VirStream) stream = virStreamNew(virStorageVolGetConnect(writing->volume), 0);
  if (!stream || virStorageVolDownload(writing->volume, stream, writing->begun, writing->at - writing->begun, 0) < 0)
    return libvirt_fail(error, "cannot read back what was uploaded");
  if (!digest_of(stream, digest, error)) {
    virStreamAbort(stream);
    return FALSE;
  }
  virStreamFinish(stream);
  g_autofree char *found = digest_hex(digest), *sent = digest_hex(writing->digest);
  return g_str_equal(found, sent) || act_fail(error, "cannot upload: what was written from byte %" G_GUINT64_FORMAT " on isn't there (is there "
                                              "space?)", writing->begun);
}

static gboolean finish_part(SparseWrite *writing, GError **error) {
  g_autoptr(VirStream) stream = g_steal_pointer(&writing->stream);
  gboolean fine = !stream || (virStreamFinish(stream) == 0 ? writing->unread || read_back(writing, error) : libvirt_fail(error, "cannot upload"));
  g_clear_pointer(&writing->digest, digest_free);
  return fine;
}

static gboolean begin_part(SparseWrite *writing, GError **error) {
  g_autoptr(VirStream) stream = virStreamNew(virStorageVolGetConnect(writing->volume), 0);
  if (!stream || virStorageVolUpload(writing->volume, stream, writing->at, 0, 0) < 0)
    return libvirt_fail(error, "cannot upload");
  writing->stream = g_steal_pointer(&stream);
  writing->digest = digest_new();
  writing->begun = writing->at;
  return TRUE;
}

static gboolean send_all(SparseWrite *writing, const char *data, gsize length, GError **error) {
  writing->at += length;
  digest_update(writing->digest, data, length);
  while (length) {
    int sent = virStreamSend(writing->stream, data, length);
    if (sent < 0)
      return libvirt_fail(error, "cannot upload");
    data += sent;
    length -= (gsize)sent;
  }
  return TRUE;
}

static gboolean pass_over(SparseWrite *writing, GError **error) {
  static const char zeros[64 << 10];
  if (!writing->stream || writing->hole >= WORTH_IT) {
    if (!finish_part(writing, error))
      return FALSE;
    writing->at += writing->hole;
    writing->hole = 0;
    return TRUE;
  }
  while (writing->hole) {
    gsize length = MIN(writing->hole, sizeof zeros);
    writing->hole -= length;
    if (!send_all(writing, zeros, length, error))
      return FALSE;
  }
  return TRUE;
}

gboolean sparse_write(SparseWrite *writing, const char *data, gsize length, GError **error) {
  return (!writing->hole || pass_over(writing, error)) && (writing->stream || begin_part(writing, error)) &&
         send_all(writing, data, length, error) && (writing->at - writing->begun < LONGEST || finish_part(writing, error));
}

void sparse_write_hole(SparseWrite *writing, guint64 length) { writing->hole += length; }

gboolean sparse_write_finish(SparseWrite *writing, GError **error) { return finish_part(writing, error); }

void sparse_write_clear(SparseWrite *writing) {
  g_clear_pointer(&writing->digest, digest_free);
  if (!writing->stream)
    return;
  virStreamAbort(writing->stream);
  g_clear_pointer(&writing->stream, virStreamFree);
}
