/* A file or a directory as the source; git repositories are in git_source.c. */
#include "reconciler/source/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/source/git/update.h"
#include "reconciler/source/git/url.h"
#include "reconciler/source/git_source.h"
#include "reconciler/source/walk.h"

G_DEFINE_QUARK(reconcile-source-error, source_error)

typedef struct {
  FileTree tree;
  const char *root; /* canonical */
  char *buffer;     /* for one file after the other: room for the largest */
} Directory;

static char *cannot_read(int code) { return g_strdup_printf("can't be read: %s", g_strerror(code)); }

/* Whether what is open is a file of a size that may be read. */
static gboolean check_file(int fd, char **ret_error) {
  gsize limit = node_limits_default.max_bytes;
  struct stat status;
  if (fstat(fd, &status) < 0)
    *ret_error = cannot_read(errno);
  else if (!S_ISREG(status.st_mode))
    *ret_error = g_strdup("isn't a regular file");
  else if ((guint64)status.st_size > limit)
    *ret_error = g_strdup_printf("is larger than %zu bytes", limit);
  return *ret_error == NULL;
}

/* Opens without waiting for a writer, should it be a FIFO, and reads no more than is allowed. */
static const char *read_file(FileTree *tree, const char *path, gsize *ret_length, char **ret_error) {
  Directory *directory = (Directory *)tree;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    *ret_error = cannot_read(errno);
    return NULL;
  }
  gsize limit = node_limits_default.max_bytes, length = 0;
  gssize n = check_file(fd, ret_error) ? 1 : 0;
  while (n != 0 && length <= limit && *ret_error == NULL) {
    n = read(fd, directory->buffer + length, limit + 1 - length);
    if (n > 0)
      length += (gsize)n;
    else if (n < 0 && errno != EINTR)
      *ret_error = cannot_read(errno);
  }
  close(fd);
  directory->buffer[length] = '\0';
  *ret_length = length;
  return *ret_error == NULL ? directory->buffer : NULL;
}

/* A link may lead anywhere; what lies outside the source isn't part of it. */
static gboolean is_inside(const Directory *directory, const char *path) {
  char *real = realpath(path, NULL);
  gsize length = strlen(directory->root);
  gboolean inside = real != NULL && g_str_has_prefix(real, directory->root) &&
                    (real[length] == '/' || real[length] == '\0' || g_str_equal(directory->root, "/"));
  free(real);
  return inside;
}

static gboolean look(FileTree *tree, const char *path, Entry *ret_entry, char **ret_error) {
  struct stat link, status;
  gboolean found = lstat(path, &link) == 0;
  if (found && S_ISLNK(link.st_mode))
    found = stat(path, &status) == 0;
  else
    status = link;
  if (!found) {
    *ret_error = cannot_read(errno);
    return FALSE;
  }
  *ret_entry = (Entry){
      .kind = S_ISDIR(status.st_mode) ? ENTRY_DIRECTORY : S_ISREG(status.st_mode) ? ENTRY_FILE : ENTRY_OTHER,
      .leads_out = S_ISLNK(link.st_mode) && !is_inside((Directory *)tree, path),
      .identity = g_strdup_printf("%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino),
  };
  return TRUE;
}

static GPtrArray *list(G_GNUC_UNUSED FileTree *tree, const char *path, char **ret_error) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    *ret_error = cannot_read(errno);
    return NULL;
  }
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  errno = 0;
  for (struct dirent *entry; (entry = readdir(directory)); errno = 0)
    g_ptr_array_add(names, g_strdup(entry->d_name));
  if (errno != 0)
    *ret_error = cannot_read(errno);
  closedir(directory);
  return *ret_error == NULL ? g_steal_pointer(&names) : NULL;
}

gboolean source_is_git(const char *source) {
  g_autofree char *url = g_strndup(source, strcspn(source, "#"));
  return g_regex_match_simple("^[A-Za-z][A-Za-z0-9+.-]*://", url, 0, 0) ||
         g_regex_match_simple("^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:", url, 0, 0) ||
         g_str_has_suffix(url, ".git");
}

static Desired *read_directory(const char *source, char **ret_identity, Diagnostics *diagnostics, GError **error) {
  char *real = realpath(source, NULL);
  if (real == NULL) {
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_READ, "%s: can't be read: %s", source, g_strerror(errno));
    return NULL;
  }
  g_autofree char *identity = g_strdup(real), *buffer = g_malloc(node_limits_default.max_bytes + 2);
  free(real);
  Directory directory = {.tree = {list, look, read_file, TRUE}, .root = identity, .buffer = buffer};
  Desired *desired = source_walk(&directory.tree, source, source, diagnostics, error);
  if (desired != NULL)
    *ret_identity = g_steal_pointer(&identity);
  return desired;
}

/* The commit of the last run that brought all of it. *ret_rewritten: that didn't follow from the one before. */
static char *find_last_applied(Journal *journal, const char *identity, gboolean *ret_rewritten, GError **error) {
  g_autoptr(GPtrArray) runs = journal != NULL ? journal_runs(journal, 0, error) : NULL;
  for (guint i = 0; runs != NULL && i < runs->len; i++) {
    const JournalRun *run = runs->pdata[i];
    if (run->exit_status == 0 && run->revision != NULL && g_strcmp0(run->source, identity) == 0) {
      *ret_rewritten = run->rewritten;
      return g_strdup(run->revision);
    }
  }
  return NULL;
}

/* A dry run, or a check, may be of somebody who can't write there. *ret_temporary is to be removed. */
static char *find_mirror_dir(const char *state_dir, char **ret_temporary, GError **error) {
  g_autofree char *dir = state_dir != NULL ? g_strdup(state_dir) : journal_default_dir();
  g_autofree char *mirrors = g_build_filename(dir, "mirrors", NULL);
  if (g_mkdir_with_parents(mirrors, 0700) == 0 && access(mirrors, W_OK | X_OK) == 0)
    return g_steal_pointer(&mirrors);
  *ret_temporary = g_dir_make_tmp("reconcile-git-XXXXXX", error);
  return g_strdup(*ret_temporary);
}

/* It follows from itself, but not from what was before. */
static void stay_rewritten(Desired *desired, gboolean rewritten, const char *revision, Diagnostics *diagnostics) {
  if (!rewritten)
    return;
  desired->rewritten = TRUE;
  diag_warning(diagnostics, (Place){0}, "commit %.12s didn't follow from what was applied before it: nothing is deleted for it, until a commit follows from it", revision);
}

static Desired *read_git(const SourceRequest *request, char **ret_identity, char **ret_revision, Diagnostics *diagnostics, GError **error) {
  GitSource source = {0};
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
  if (!git_source_parse(request->source, &source, texts, error))
    return NULL;
  g_autofree char *temporary = NULL, *mirrors = find_mirror_dir(request->state_dir, &temporary, error);
  gboolean rewritten = FALSE;
  g_autoptr(GError) trouble = NULL;
  g_autofree char *identity = git_source_identity(&source), *last = find_last_applied(request->journal, identity, &rewritten, &trouble);
  source.mirror_dir = mirrors;
  source.last_applied = git_is_commit_id(last) ? last : NULL;
  g_autofree char *revision = mirrors != NULL ? git_source_update(&source, request->cancel, error) : NULL;
  Desired *desired = revision != NULL ? git_source_read(&source, revision, diagnostics, error) : NULL;
  if (temporary != NULL)
    update_remove(temporary, NULL);
  if (desired != NULL) {
    stay_rewritten(desired, rewritten && g_strcmp0(last, revision) == 0, revision, diagnostics);
    desired->rewritten |= trouble != NULL;
    if (trouble != NULL)
      diag_warning(diagnostics, (Place){0}, "what was applied last can't be read in the journal, so nothing is deleted: %s", trouble->message);
    *ret_identity = g_steal_pointer(&identity);
    *ret_revision = g_steal_pointer(&revision);
  }
  return desired;
}

Desired *source_read(const SourceRequest *request, char **ret_identity, char **ret_revision, Diagnostics *diagnostics, GError **error) {
  const char *source = request->source != NULL ? request->source : ".";
  *ret_revision = NULL;
  return source_is_git(source) ? read_git(request, ret_identity, ret_revision, diagnostics, error)
                               : read_directory(source, ret_identity, diagnostics, error);
}
