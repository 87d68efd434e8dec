/* What can't be read could be anything, so it is an error of the whole source; a machine would
 * count as an orphan otherwise. */
#include "reconciler/source/walk.h"

#include <string.h>

#include "reconciler/source/source.h"

#define MAX_DEPTH 64
#define MAX_ENTRIES 200000 /* a few hundred bytes of git can pretend to be billions of files */

typedef struct {
  FileTree *tree;
  GHashTable *visited; /* identities of directories and files */
  guint entries;
  Desired *desired; /* NULL: nobody asks what the files say */
  Diagnostics *diagnostics;
} Walk;

static Place place_of(const char *path) { return (Place){.file = g_intern_string(path)}; }

static void wrong(Walk *walk, const char *path, char *message /* taken */) {
  diag_error(walk->diagnostics, place_of(path), "%s", message);
  g_free(message);
}

static gboolean is_yaml(const char *name) { return g_str_has_suffix(name, ".yaml") || g_str_has_suffix(name, ".yml"); }

/* Hidden ones (.git, .#web.yaml, ..data) and what editors leave behind. */
static gboolean is_leftover(const char *name) { return name[0] == '.' || name[0] == '#' || g_str_has_suffix(name, "~"); }

static void read_file(Walk *walk, const char *path) {
  gsize length = 0;
  char *message = NULL;
  const char *text = walk->tree->read(walk->tree, path, &length, &message);
  if (text == NULL)
    wrong(walk, path, message);
  else if (walk->desired == NULL)
    return;
  /* So it is between an editor's truncating and writing it; who means nothing has a comment for it. */
  else if (strspn(text, " \t\r\n") == length)
    diag_error(walk->diagnostics, place_of(path), "is empty: remove it, or say in a comment why it declares nothing");
  else if (walk->tree->on_host)
    desired_decode(walk->desired, path, text, length, walk->diagnostics);
  else
    desired_decode_text(walk->desired, path, text, length, walk->diagnostics);
}

static int compare_names(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static GPtrArray *list_directory(Walk *walk, const char *path) {
  char *message = NULL;
  GPtrArray *names = walk->tree->list(walk->tree, path, &message);
  if (names == NULL)
    wrong(walk, path, message);
  else
    g_ptr_array_sort(names, compare_names);
  return names;
}

static void walk_directory(Walk *walk, const char *path, guint depth);

static void walk_entry(Walk *walk, const char *path, const char *name, guint depth) {
  Entry entry = {0};
  char *message = NULL;
  if (!walk->tree->look(walk->tree, path, &entry, &message)) {
    if (is_yaml(name)) /* a dangling link of another name is nobody's declaration */
      wrong(walk, path, g_steal_pointer(&message));
    g_free(message);
    return;
  }
  g_autofree char *identity = entry.identity;
  gboolean file = entry.kind == ENTRY_FILE || entry.kind == ENTRY_OTHER;
  if (file && !is_yaml(name))
    return;
  if (entry.leads_out)
    diag_error(walk->diagnostics, place_of(path), "is a link that leads out of the source directory");
  else if (!file && is_yaml(name)) /* what container engines make of a file that was to be mounted and isn't there */
    diag_error(walk->diagnostics, place_of(path), "is a directory, and its name is that of a file");
  else if (entry.kind == ENTRY_SUBMODULE)
    diag_warning(walk->diagnostics, place_of(path), "is a submodule: what it holds isn't read");
  else if (!g_hash_table_add(walk->visited, g_steal_pointer(&identity)))
    return;
  else if (entry.kind == ENTRY_DIRECTORY)
    walk_directory(walk, path, depth + 1);
  else
    read_file(walk, path);
}

static void walk_directory(Walk *walk, const char *path, guint depth) {
  if (depth > MAX_DEPTH) {
    diag_error(walk->diagnostics, place_of(path), "directories are nested deeper than %d", MAX_DEPTH);
    return;
  }
  g_autoptr(GPtrArray) names = list_directory(walk, path);
  for (guint i = 0; names != NULL && i < names->len; i++) {
    const char *name = names->pdata[i];
    if (is_leftover(name))
      continue;
    if (++walk->entries == MAX_ENTRIES)
      diag_error(walk->diagnostics, place_of(path), "the source holds more than %d files: name the directory of the declarations",
                 MAX_ENTRIES);
    if (walk->entries >= MAX_ENTRIES)
      return;
    g_autofree char *entry = g_str_equal(path, ".") || !*path ? g_strdup(name) : g_build_filename(path, name, NULL);
    walk_entry(walk, entry, name, depth);
  }
}

/* Profiles alone declare nothing that could exist. */
static gboolean declares_nothing(const Desired *desired) {
  for (guint i = 0; i < desired->objects->len; i++)
    if (((const Object *)desired->objects->pdata[i])->kind != KIND_PROFILE)
      return FALSE;
  return TRUE;
}

static gboolean check(const Walk *walk, const char *name, GError **error) {
  if (walk->diagnostics->errors > 0)
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_INVALID, "%s: nothing is done until all of it can be read", name);
  else if (declares_nothing(walk->desired))
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_EMPTY,
                "%s: nothing declared: refusing to treat an empty source as \"delete everything\"", name);
  else
    return TRUE;
  return FALSE;
}

static void walk_root(Walk *walk, const char *root) {
  Entry entry = {0};
  char *message = NULL;
  if (!walk->tree->look(walk->tree, root, &entry, &message)) {
    wrong(walk, root, message);
    return;
  }
  g_hash_table_add(walk->visited, entry.identity);
  if (entry.kind == ENTRY_DIRECTORY)
    walk_directory(walk, root, 0);
  else
    read_file(walk, root);
}

void source_read_all(FileTree *tree, const char *root) {
  g_autoptr(GHashTable) visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  walk_root(&(Walk){.tree = tree, .visited = visited, .diagnostics = diagnostics}, root);
}

Desired *source_walk(FileTree *tree, const char *root, const char *name, Diagnostics *diagnostics, GError **error) {
  g_autoptr(GHashTable) visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(Desired) desired = desired_new();
  Walk walk = {.tree = tree, .visited = visited, .desired = desired, .diagnostics = diagnostics};
  walk_root(&walk, root);
  desired_finish(desired, diagnostics);
  return check(&walk, name, error) ? g_steal_pointer(&desired) : NULL;
}
