#include "reconciler/service/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "reconciler/service/tree.h"

enum { PATIENCE = 30000, MOST_WATCHES = 10000, BUFFER = 64 << 10 };

#define PLACES (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)
#define CONTENT (PLACES | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

/* A directory that is watched: all of it, or the way down to the source. */
typedef struct {
  char *path;
  gboolean whole;
  GPtrArray *names; /* of char *: of entries that matter where it isn't watched as a whole */
} Point;

struct Watch {
  char *path;
  WatchLimits limits;
  WatchFunctions functions;
  int fd; /* -1: not watched */
  guint source, timer;
  GHashTable *points;     /* watch descriptor → Point * */
  GHashTable *unfinished; /* path of a file that is being written → nothing */
  gint64 since;           /* the first event that nobody was told of; 0: none */
  gboolean reported;
  char *trouble;
};

static void point_free(gpointer data) {
  Point *point = data;
  g_free(point->path);
  g_ptr_array_unref(point->names);
  g_free(point);
}

static void set_trouble(Watch *watch, int code) {
  if (watch->trouble)
    return;
  const char *why = code == ENOSPC ? "the limit fs.inotify.max_user_watches is reached" : g_strerror(code);
  watch->trouble = g_strdup_printf("%s can't be watched: %s", watch->path, why);
}

/* --- what is watched --- */

static void add_point(Watch *watch, const char *path, const char *name /* NULL: all */) {
  if (watch->fd < 0 || g_hash_table_size(watch->points) >= watch->limits.most) {
    set_trouble(watch, ENOSPC);
    return;
  }
  int descriptor = inotify_add_watch(watch->fd, path, (name ? PLACES | IN_CLOSE_WRITE | IN_MODIFY : CONTENT) | IN_ONLYDIR | IN_MASK_ADD);
  if (descriptor < 0) {
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) /* what isn't there is seen from above */
      set_trouble(watch, errno);
    return;
  }
  Point *point = g_hash_table_lookup(watch->points, GINT_TO_POINTER(descriptor));
  if (!point) {
    point = g_new0(Point, 1);
    point->path = g_strdup(path);
    point->names = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_insert(watch->points, GINT_TO_POINTER(descriptor), point);
  }
  point->whole |= name == NULL;
  if (name)
    g_ptr_array_add(point->names, g_strdup(name));
}

static void add_directory(gpointer data, const char *path) { add_point(data, path, NULL); }

/* Each directory above, for the entry that leads to the source. */
static void add_way(Watch *watch, const char *path) {
  g_autofree char *at = g_canonicalize_filename(path, NULL);
  while (!g_str_equal(at, "/")) {
    g_autofree char *parent = g_path_get_dirname(at), *name = g_path_get_basename(at);
    add_point(watch, parent, name);
    g_free(at);
    at = g_steal_pointer(&parent);
  }
}

static gboolean on_events(gint fd, GIOCondition condition, gpointer data);

/* Anew, so that events from now on are of what will be read. */
static void rebuild(Watch *watch) {
  g_clear_handle_id(&watch->source, g_source_remove);
  if (watch->fd >= 0)
    close(watch->fd);
  g_hash_table_remove_all(watch->points);
  g_clear_pointer(&watch->trouble, g_free);
  watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (watch->fd < 0) {
    set_trouble(watch, errno);
    return;
  }
  char *real = realpath(watch->path, NULL);
  add_way(watch, watch->path);
  if (real && !g_str_equal(real, watch->path))
    add_way(watch, real);
  free(real);
  tree_walk(watch->path, &(TreeVisitor){.directory = add_directory, .data = watch});
  watch->source = g_unix_fd_add(watch->fd, G_IO_IN, on_events, watch);
}

/* --- what happens --- */

static gboolean on_quiet(gpointer data);

static void wait_for_quiet(Watch *watch) {
  if (watch->since == 0)
    watch->since = g_get_monotonic_time();
  g_clear_handle_id(&watch->timer, g_source_remove);
  watch->timer = g_timeout_add(watch->limits.settle, on_quiet, watch);
}

static void tell_changed(Watch *watch) {
  watch->since = 0;
  watch->reported = FALSE;
  rebuild(watch);
  watch->functions.changed(watch->functions.data);
}

/* A file that vanished meanwhile isn't written any more. */
static gboolean is_gone(gpointer path, gpointer value, gpointer data) {
  (void)value, (void)data;
  return !g_file_test(path, G_FILE_TEST_EXISTS);
}

static gboolean on_quiet(gpointer data) {
  Watch *watch = data;
  watch->timer = 0;
  g_hash_table_foreach_remove(watch->unfinished, is_gone, NULL);
  if (g_hash_table_size(watch->unfinished) == 0) {
    tell_changed(watch);
    return G_SOURCE_REMOVE;
  }
  GHashTableIter iter;
  gpointer path;
  g_hash_table_iter_init(&iter, watch->unfinished);
  g_hash_table_iter_next(&iter, &path, NULL);
  if (!watch->reported && g_get_monotonic_time() - watch->since > (gint64)watch->limits.patience * 1000) {
    watch->reported = TRUE;
    watch->functions.unfinished(watch->functions.data, path);
  }
  watch->timer = g_timeout_add(MAX(watch->limits.settle, 50), on_quiet, watch);
  return G_SOURCE_REMOVE;
}

static gboolean matters(const Point *point, const struct inotify_event *event) {
  const char *name = event->len ? event->name : "";
  if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
    return TRUE;
  for (guint i = 0; i < point->names->len; i++)
    if (g_str_equal(point->names->pdata[i], name))
      return TRUE;
  /* Content of what isn't a declaration doesn't matter; an entry that comes or goes may be a link. */
  return point->whole && (!(event->mask & (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)) || tree_is_declaration(name));
}

/* Who modifies closes in the end; a file that takes the place of another is complete. */
static void note_writer(Watch *watch, const Point *point, const struct inotify_event *event) {
  if (!event->len || event->mask & IN_ISDIR)
    return;
  char *path = g_build_filename(point->path, event->name, NULL);
  if (event->mask & IN_MODIFY)
    g_hash_table_add(watch->unfinished, g_steal_pointer(&path));
  else if (event->mask & (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE))
    g_hash_table_remove(watch->unfinished, path);
  g_free(path);
}

static void on_event(Watch *watch, const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) { /* nobody knows what was missed, also who has closed */
    g_hash_table_remove_all(watch->unfinished);
    wait_for_quiet(watch);
    return;
  }
  const Point *point = g_hash_table_lookup(watch->points, GINT_TO_POINTER(event->wd));
  if (!point || event->mask & IN_IGNORED || !matters(point, event))
    return;
  note_writer(watch, point, event);
  wait_for_quiet(watch);
}

static gboolean on_events(gint fd, GIOCondition condition, gpointer data) {
  (void)condition;
  Watch *watch = data;
  g_autofree char *buffer = g_malloc(BUFFER);
  ssize_t length = read(fd, buffer, BUFFER);
  for (ssize_t at = 0; length > 0 && at < length;) {
    const struct inotify_event *event = (const void *)(buffer + at);
    on_event(watch, event);
    at += (ssize_t)sizeof *event + event->len;
  }
  return G_SOURCE_CONTINUE;
}

Watch *watch_new(const char *path, const WatchLimits *limits, const WatchFunctions *functions) {
  Watch *watch = g_new0(Watch, 1);
  watch->path = g_canonicalize_filename(path, NULL);
  watch->limits = *limits;
  watch->limits.patience = limits->patience ? limits->patience : PATIENCE;
  watch->limits.most = limits->most ? limits->most : MOST_WATCHES;
  watch->functions = *functions;
  watch->fd = -1;
  watch->points = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, point_free);
  watch->unfinished = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  rebuild(watch);
  return watch;
}

void watch_free(Watch *watch) {
  if (!watch)
    return;
  g_clear_handle_id(&watch->source, g_source_remove);
  g_clear_handle_id(&watch->timer, g_source_remove);
  if (watch->fd >= 0)
    close(watch->fd);
  g_hash_table_unref(watch->points);
  g_hash_table_unref(watch->unfinished);
  g_free(watch->trouble);
  g_free(watch->path);
  g_free(watch);
}

const char *watch_trouble(const Watch *watch) { return watch->trouble; }
gboolean watch_is_unfinished(const Watch *watch) { return g_hash_table_size(watch->unfinished) > 0; }
