/* Running another program that may hang, and ending it when it does. Thread-safe. */
#pragma once
#include <gio/gio.h>

typedef struct {
  const char *const *argv; /* argv[0] is looked for in PATH */
  const char *shown_as;    /* argv[0] as the program sees it; NULL: the same */
  const char *input;       /* its standard input, whole */
  gsize input_length;
  gsize max_output;        /* bytes; the program that writes more is ended */
  guint silence_seconds;   /* the longest that it may write nothing */
  guint total_seconds;
  gboolean quiet;          /* its standard error belongs to the output; else it is ours */
  GCancellable *cancel;    /* or NULL */
} Program;

typedef struct {
  char *output;    /* what it wrote; NUL-terminated */
  gboolean exited; /* FALSE: by a signal */
  int status;      /* exit status, or the signal's number */
} ProgramResult;

/* TRUE when the program ended by itself. On failure it and its process group are gone:
 * G_IO_ERROR_NOT_FOUND, _TIMED_OUT, _CANCELLED, _NO_SPACE (it wrote too much) or another. */
gboolean program_run(const Program *program, ProgramResult *ret_result, GError **error);
