/* The lock that makes a process the one writer of a state directory. It ends with the process,
 * however that ends. */
#pragma once
#include <glib.h>

/* A file descriptor to be closed, or -1 with error: JOURNAL_ERROR_LOCKED names the process that
 * holds it and since when. */
int writer_lock_take(const char *dir, GError **error);
/* The same for a file of one's own; `what` is in use, says the message. */
int writer_lock_take_file(const char *path, const char *what, GError **error);
/* Whether the file of the lock is still the one in the directory: otherwise others can take theirs. */
gboolean writer_lock_is_in_place(int fd, const char *dir);
gboolean writer_lock_is_held(const char *dir); /* by anyone */
