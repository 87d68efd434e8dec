/* One reading of the source: what it declares, at which revision. Made in a thread, shared by the passes
 * that work with it. */
#pragma once
#include <gio/gio.h>
#include "reconciler/run/config.h"
#include "schema/document.h"

typedef struct {
  gint refs;
  Desired *desired;     /* NULL with an error, or when it hasn't changed */
  char *identity, *revision; /* revision NULL: a directory */
  char *stamp;          /* of a directory: see tree.h */
  Diagnostics *diagnostics;
  GError *error;
  gboolean unsettled;   /* a directory that has changed this moment: read it again soon */
} SourceReading;
SourceReading *reading_ref(const SourceReading *reading);
void reading_free(SourceReading *reading); /* by the last owner; accepts NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SourceReading, reading_free)

typedef struct {
  Config *config;       /* owned */
  SourceReading *last;        /* the one in force; NULL: none; owned */
  gboolean at_once;     /* somebody asked: don't wait for it to settle */
} ReadingRequest;
void reading_request_free(ReadingRequest *request);

/* Any thread; may take as long as a network does. */
SourceReading *reading_make(const ReadingRequest *request, GCancellable *cancel);
/* Whether both declare the same. */
gboolean reading_equal(const SourceReading *a, const SourceReading *b);
/* What the source, asked anew, declares; NULL with error. Any thread, as long as a network takes. */
Desired *reading_again(const Config *config, const SourceReading *last /* NULL: none */, GCancellable *cancel, GError **error);
/* Under which name machines remember a configuration's source. Free it. */
char *reading_identity(const Config *config);
/* It is in force now: signatures are asked for from here on, and what follows from it may delete;
 * not what is read again of a rewritten history, also after a restart of the service. */
gboolean reading_remember(const SourceReading *reading, const Config *config, GError **error);
