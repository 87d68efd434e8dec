/* Where desired state comes from. */
#pragma once
#include <gio/gio.h>
#include "schema/document.h"
#include "state/journal.h"

/* SCHEME://…, USER@HOST:… or ….git: a git repository rather than a file or directory. */
gboolean source_is_git(const char *source);

typedef struct {
  const char *source;    /* file, directory or git repository; NULL: "." */
  const char *state_dir; /* where mirrors of git repositories are; NULL: default. Where it can't be written, a temporary one is made */
  Journal *journal;      /* tells which commit was applied last; NULL: unknown */
  GCancellable *cancel;
} SourceRequest;
/* The source stage: files of a directory (or one file, or the tree of a commit) decoded and checked. Any error
 * in any file is an error of the whole source; an empty one too. ret_revision: the commit, or NULL. */
Desired *source_read(const SourceRequest *request, char **ret_identity, char **ret_revision, Diagnostics *diagnostics, GError **error);

#define SOURCE_ERROR (source_error_quark())
GQuark source_error_quark(void);
typedef enum { SOURCE_ERROR_READ, SOURCE_ERROR_EMPTY, SOURCE_ERROR_INVALID } SourceError;
