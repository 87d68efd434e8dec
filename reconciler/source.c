/* The source stage: a file or a directory of YAML becomes the desired state, or nothing does.
 * What can't be read could be anything, so it is an error of the whole source; a machine
 * would count as an orphan otherwise. */
#include "reconciler/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/pipeline.h"

G_DEFINE_QUARK(reconcile-source-error, source_error)

#define SOURCE_MAX_DEPTH 64

typedef struct {
  const char *root;    /* canonical */
  GHashTable *visited; /* "device:inode" of directories and files: each is read once */
  Desired *desired;
  Diagnostics *diagnostics;
  char *buffer; /* for one file after the other: room for the largest */
} Walk;

static Place place_of(const char *file) { return (Place){.file = g_intern_string(file)}; }

/* Adds to a diagnostic what errno says. */
static void cannot_read(Walk *walk, const char *path, int code) {
  diag_error(walk->diagnostics, place_of(path), "can't be read: %s", g_strerror(code));
}

gboolean source_is_git(const char *source) {
  g_autofree char *url = g_strndup(source, strcspn(source, "#"));
  return g_regex_match_simple("^[A-Za-z][A-Za-z0-9+.-]*://", url, 0, 0) ||
         g_regex_match_simple("^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:", url, 0, 0) ||
         g_str_has_suffix(url, ".git");
}

static gboolean first_visit(Walk *walk, const struct stat *status) {
  return g_hash_table_add(walk->visited, g_strdup_printf("%ju:%ju", (uintmax_t)status->st_dev, (uintmax_t)status->st_ino));
}

/* Opens without waiting for a writer, should it be a FIFO, and reads no more than is allowed. */
static gboolean read_file(Walk *walk, const char *path, gsize *ret_length) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    cannot_read(walk, path, errno);
    return FALSE;
  }
  gsize limit = node_limits_default.max_bytes, length = 0;
  struct stat status;
  gboolean good = FALSE;
  if (fstat(fd, &status) < 0)
    cannot_read(walk, path, errno);
  else if (!S_ISREG(status.st_mode))
    diag_error(walk->diagnostics, place_of(path), "isn't a regular file");
  else if ((guint64)status.st_size > limit)
    diag_error(walk->diagnostics, place_of(path), "is larger than %zu bytes", limit);
  else
    good = TRUE;
  while (good && length <= limit) {
    gssize n = read(fd, walk->buffer + length, limit + 1 - length);
    if (n > 0) {
      length += (gsize)n;
    } else if (n == 0) {
      break;
    } else if (errno != EINTR) {
      cannot_read(walk, path, errno);
      good = FALSE;
    }
  }
  close(fd);
  walk->buffer[length] = '\0'; /* for strspn */
  *ret_length = length;
  return good;
}

static void read_declarations(Walk *walk, const char *path) {
  gsize length = 0;
  if (!read_file(walk, path, &length))
    return;
  /* So it is between an editor's truncating and writing it; who means nothing has a comment for it. */
  if (strspn(walk->buffer, " \t\r\n") == length)
    diag_error(walk->diagnostics, place_of(path), "is empty: remove it, or say in a comment why it declares nothing");
  else
    desired_decode(walk->desired, path, walk->buffer, length, walk->diagnostics);
}

/* A link may lead anywhere; what lies outside the source isn't part of it. */
static gboolean is_inside(const Walk *walk, const char *path) {
  char *real = realpath(path, NULL);
  gsize length = strlen(walk->root);
  gboolean inside = real && g_str_has_prefix(real, walk->root) &&
                    (real[length] == '/' || !real[length] || g_str_equal(walk->root, "/"));
  free(real);
  return inside;
}

static gboolean is_yaml(const char *name) { return g_str_has_suffix(name, ".yaml") || g_str_has_suffix(name, ".yml"); }

/* Hidden ones (.git, .#web.yaml, ..data) and what editors leave behind. */
static gboolean is_leftover(const char *name) { return name[0] == '.' || name[0] == '#' || g_str_has_suffix(name, "~"); }

static int compare_names(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static GPtrArray *list_directory(Walk *walk, const char *path) {
  DIR *directory = opendir(path);
  if (!directory) {
    cannot_read(walk, path, errno);
    return NULL;
  }
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  errno = 0;
  for (struct dirent *entry; (entry = readdir(directory)); errno = 0)
    if (!is_leftover(entry->d_name))
      g_ptr_array_add(names, g_strdup(entry->d_name));
  if (errno)
    cannot_read(walk, path, errno);
  closedir(directory);
  g_ptr_array_sort(names, compare_names);
  return names;
}

static void walk_directory(Walk *walk, const char *path, guint depth);

static void walk_entry(Walk *walk, const char *path, const char *name, guint depth) {
  struct stat link, status;
  if (lstat(path, &link) < 0) {
    cannot_read(walk, path, errno);
    return;
  }
  if (stat(path, &status) < 0) {
    if (is_yaml(name)) /* a dangling link of another name is nobody's declaration */
      cannot_read(walk, path, errno);
    return;
  }
  gboolean directory = S_ISDIR(status.st_mode);
  if (!directory && !is_yaml(name))
    return;
  if (S_ISLNK(link.st_mode) && !is_inside(walk, path)) {
    diag_error(walk->diagnostics, place_of(path), "is a link that leads out of the source directory");
    return;
  }
  if (directory && is_yaml(name)) { /* what container engines make of a file that was to be mounted and isn't there */
    diag_error(walk->diagnostics, place_of(path), "is a directory, and its name is that of a file");
    return;
  }
  if (!first_visit(walk, &status))
    return;
  if (directory)
    walk_directory(walk, path, depth + 1);
  else
    read_declarations(walk, path);
}

static void walk_directory(Walk *walk, const char *path, guint depth) {
  if (depth > SOURCE_MAX_DEPTH) {
    diag_error(walk->diagnostics, place_of(path), "directories are nested deeper than %d", SOURCE_MAX_DEPTH);
    return;
  }
  g_autoptr(GPtrArray) names = list_directory(walk, path);
  for (guint i = 0; names && i < names->len; i++) {
    const char *name = names->pdata[i];
    g_autofree char *entry = g_str_equal(path, ".") ? g_strdup(name) : g_build_filename(path, name, NULL);
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

static void read_source(Walk *walk, const char *source, const struct stat *status) {
  first_visit(walk, status);
  if (S_ISDIR(status->st_mode))
    walk_directory(walk, source, 0);
  else
    read_declarations(walk, source);
  desired_finish(walk->desired, walk->diagnostics);
}

static gboolean check_source(const char *source, const Desired *desired, const Diagnostics *diagnostics, GError **error) {
  if (diagnostics->errors > 0)
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_INVALID, "%s: nothing is done until all of it can be read",
                source);
  else if (declares_nothing(desired))
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_EMPTY,
                "%s: nothing declared: refusing to treat an empty source as \"delete everything\"", source);
  else
    return TRUE;
  return FALSE;
}

Desired *source_read(const char *source, char **ret_identity, char **ret_revision, Diagnostics *diagnostics,
                     GError **error) {
  if (source_is_git(source)) {
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_UNSUPPORTED,
                "%s: git sources are not supported yet: clone it and give the directory", source);
    return NULL;
  }
  struct stat status;
  char *real = realpath(source, NULL);
  if (!real || stat(real, &status) < 0) {
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_READ, "%s: can't be read: %s", source, g_strerror(errno));
    free(real);
    return NULL;
  }
  g_autofree char *identity = g_strdup(real);
  free(real);
  g_autoptr(GHashTable) visited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(Desired) desired = desired_new();
  g_autofree char *buffer = g_malloc(node_limits_default.max_bytes + 2);
  Walk walk = {identity, visited, desired, diagnostics, buffer};
  read_source(&walk, source, &status);
  if (!check_source(source, desired, diagnostics, error))
    return NULL;
  *ret_identity = g_steal_pointer(&identity);
  *ret_revision = NULL;
  return g_steal_pointer(&desired);
}
