/* Where desired state comes from; source_read() is in pipeline.h. */
#pragma once
#include <glib.h>

/* SCHEME://…, USER@HOST:… or ….git: a git repository rather than a file or directory. */
gboolean source_is_git(const char *source);

#define SOURCE_ERROR (source_error_quark())
GQuark source_error_quark(void);
typedef enum { SOURCE_ERROR_READ, SOURCE_ERROR_EMPTY, SOURCE_ERROR_INVALID } SourceError;
