/* Diagnostics like a compiler's: "file:line:column: error: message". Collected,
 * not printed: all errors of all files are reported in one run. */
#pragma once
#include <glib.h>

typedef struct {
  const char *file;   /* interned (g_intern_string); NULL: no place */
  guint line, column; /* from 1; 0: the whole file */
} Place;

typedef enum { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE } Severity;

typedef struct {
  Severity severity;
  Place at;
  char *message;
} Diagnostic;

typedef struct {
  GPtrArray *items; /* of Diagnostic *, in order of arrival; a note belongs to the item before it */
  guint errors;
} Diagnostics;

Diagnostics *diagnostics_new(void);
void diagnostics_free(Diagnostics *diagnostics);
void diag_error(Diagnostics *diagnostics, Place at, const char *format, ...) G_GNUC_PRINTF(3, 4);
void diag_warning(Diagnostics *diagnostics, Place at, const char *format, ...) G_GNUC_PRINTF(3, 4);
void diag_note(Diagnostics *diagnostics, Place at, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* By file, line and column; notes stay with what they belong to. */
void diagnostics_sort(Diagnostics *diagnostics);
char *place_format(Place at);                       /* "web.yaml:3:7" */
char *diagnostic_format(const Diagnostic *diagnostic); /* without a newline */
/* Hostile text for a message, to be freed: in quotes, printable, cut when long. */
char *quoted(const char *text);
/* The candidate nearest to what was written, or NULL when none is near; for "did you mean". */
const char *nearest_word(const char *written, const char *const *candidates);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Diagnostics, diagnostics_free)
