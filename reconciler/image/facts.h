/* What Image objects point at: their files' digest, format and size. Reading files is I/O, so
 * it is done before planning; digests are cached by path, inode, size and time of change. Of a URL only the
 * first bytes are asked for: its digest is the declared one, which the import verifies. */
#pragma once
#include <gio/gio.h>
#include "state/actual.h"

typedef struct {
  char *path;   /* the file, or its URL; NULL when it isn't needed: the base is in its pool already */
  gboolean remote; /* path is a URL */
  gboolean made;   /* of the declaration itself (seed.h); path says so in words */
  char *sha256; /* lower-case hex */
  char *format; /* "qcow2" or "raw" */
  guint64 bytes, virtual_size;
  char *error;  /* missing, unreadable, of another digest, or with a backing file: what and what to do */
} ImageFacts;
void image_facts_free(ImageFacts *facts);

typedef struct Journal Journal;
/* Fills actual->images for each Image of desired. The journal caches digests; may be NULL.
 * progress may be NULL. Fails only when cancelled. */
gboolean image_facts_collect(const Desired *desired, Actual *actual, Journal *journal, GCancellable *cancel, GError **error);
