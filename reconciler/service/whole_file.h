/* A file that is replaced as a whole, or stays as it was. */
#pragma once
#include <glib.h>

/* The error names the file, not the temporary one beside it: it is the same each time, so that it is said once. */
gboolean whole_file_write(const char *path, const char *text, int mode, GError **error);
