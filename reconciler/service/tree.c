#include "reconciler/service/tree.h"

#include <stdint.h>
#include <string.h>

#include "schema/digest.h"

enum { MOST_DEPTH = 64 }; /* as the source stage */

typedef struct {
  const TreeVisitor *visitor;
  GHashTable *visited; /* "device:inode" of directories */
} Walk;

gboolean tree_is_declaration(const char *name) { return g_str_has_suffix(name, ".yaml") || g_str_has_suffix(name, ".yml"); }

static gboolean is_hidden(const char *name) { return name[0] == '.' || name[0] == '#' || g_str_has_suffix(name, "~"); }

static void walk(Walk *walking, const char *path, guint depth);

static int by_name(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void walk_directory(Walk *walking, const char *path, guint depth) {
  g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  for (const char *name; directory && (name = g_dir_read_name(directory));)
    if (!is_hidden(name))
      g_ptr_array_add(names, g_build_filename(path, name, NULL));
  g_ptr_array_sort(names, by_name);
  for (guint i = 0; i < names->len; i++)
    walk(walking, names->pdata[i], depth + 1);
}

static void walk(Walk *walking, const char *path, guint depth) {
  const TreeVisitor *visitor = walking->visitor;
  struct stat status;
  if (depth > MOST_DEPTH || stat(path, &status) < 0)
    return;
  if (!S_ISDIR(status.st_mode)) {
    if (visitor->file && (depth == 0 || tree_is_declaration(path)))
      visitor->file(visitor->data, path, &status);
    return;
  }
  char *inode = g_strdup_printf("%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
  if (!g_hash_table_add(walking->visited, inode))
    return;
  if (visitor->directory)
    visitor->directory(visitor->data, path);
  walk_directory(walking, path, depth);
}

void tree_walk(const char *path, const TreeVisitor *visitor) {
  g_autoptr(GHashTable) visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  walk(&(Walk){visitor, visited}, path, 0);
}

typedef struct {
  GString *text;
  gint64 newest;
} Stamp;

static void stamp_directory(gpointer data, const char *path) { g_string_append_printf(((Stamp *)data)->text, "%s/\n", path); }

static void stamp_file(gpointer data, const char *path, const struct stat *status) {
  Stamp *stamp = data;
  gint64 changed = (gint64)status->st_ctim.tv_sec * G_USEC_PER_SEC + status->st_ctim.tv_nsec / 1000;
  stamp->newest = MAX(stamp->newest, changed);
  g_string_append_printf(stamp->text, "%s %ju %ju %ju %ju.%09ld %ju.%09ld\n", path, (uintmax_t)status->st_dev, (uintmax_t)status->st_ino,
                         (uintmax_t)status->st_size, (uintmax_t)status->st_mtim.tv_sec, status->st_mtim.tv_nsec,
                         (uintmax_t)status->st_ctim.tv_sec, status->st_ctim.tv_nsec);
}

char *tree_stamp(const char *path, gint64 *ret_newest) {
  g_autoptr(GString) text = g_string_new(NULL);
  Stamp stamp = {.text = text};
  tree_walk(path, &(TreeVisitor){.directory = stamp_directory, .file = stamp_file, .data = &stamp});
  *ret_newest = stamp.newest;
  return digest_of_data(text->str, text->len);
}
