/* Tools of the host where this program runs, and the private files that they work on. */
#pragma once
#include "reconciler/act/common.h"

/* Where the tool is; NULL with error: `package` isn't installed. */
char *local_tool_find(const char *tool, const char *package, GError **error);
/* Where such files are made. */
const char *local_directory(const ActionContext *context);
/* A sparse file that nobody else sees and that is gone when it is closed. Its descriptor, or -1 with error. */
int local_file_new(const char *directory, guint64 bytes, GError **error);
/* Runs it with these descriptors as /proc/self/fd/3 and so on. Ended when the run is cancelled; what it says on
 * standard error, or else on standard output, is the error's message. context may be NULL. ret_status (may be NULL): what it
 * exited with; -1: it didn't by itself. */
gboolean local_tool_run(const ActionContext *context, const char *const *command, const int *fds, guint n_fds, int *ret_status, GError **error);
