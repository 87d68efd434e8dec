/* Watches a source directory (or file) by inotify(7): the directories in it, and those above it, so that
 * it may be replaced, renamed, mounted, or be a link that is swapped. Tells when something has changed,
 * it has been quiet for a while and nobody is still writing. Works on the default main context. */
#pragma once
#include <glib.h>

typedef struct {
  void (*changed)(gpointer data);
  /* A file has been written to for half a minute, and isn't closed: it isn't read meanwhile. */
  void (*unfinished)(gpointer data, const char *path);
  gpointer data;
} WatchFunctions;

typedef struct {
  guint settle;  /* milliseconds of quiet */
  guint patience; /* milliseconds until an unfinished file is reported; 0: 30,000 */
  guint most;    /* directories that are watched; 0: 10,000 */
} WatchLimits;

typedef struct Watch Watch;
Watch *watch_new(const char *path, const WatchLimits *limits, const WatchFunctions *functions);
void watch_free(Watch *watch); /* accepts NULL */
/* Why it isn't watched in full, so that it has to be asked for news; NULL: it is. Borrowed. */
const char *watch_trouble(const Watch *watch);
gboolean watch_is_unfinished(const Watch *watch); /* somebody is writing a file of it */
