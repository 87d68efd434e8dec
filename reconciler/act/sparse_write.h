/* A new volume's content, with its holes, through libvirt.
 *
 * Where libvirtd runs out of space, libvirt 9.0 may say so, or not: of what was sent last virStreamFinish says that all is
 * well, and after a hole of a sparse stream it waits for ever. So each part between holes is a stream of its own, and is
 * read back. The volume has its size already, and what isn't written reads as zeros. */
#pragma once
#include "reconciler/act/common.h"
#include "schema/digest.h"

typedef struct {
  virStorageVolPtr volume; /* not owned */
  gboolean unread;         /* its caller reads all of it back */
  virStreamPtr stream;     /* of this part; NULL: none */
  Digest *digest;          /* of this part */
  guint64 begun, at, hole; /* where this part began and is; what is to be passed over after it */
} SparseWrite;

/* Begins with { .volume = volume }. */
gboolean sparse_write(SparseWrite *writing, const char *data, gsize length, GError **error);
void sparse_write_hole(SparseWrite *writing, guint64 length);
gboolean sparse_write_finish(SparseWrite *writing, GError **error);
void sparse_write_clear(SparseWrite *writing); /* aborts what isn't finished */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SparseWrite, sparse_write_clear)
