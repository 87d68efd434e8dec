#include "reconciler/source/git/update.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/source/git/mirror.h"
#include "reconciler/source/git/tree.h"
#include "state/fault.h"
#include "state/journal.h"
#include "state/writer_lock.h"

#define MAX_TOKEN 8192
#define LOCK_PAUSE 50000 /* microseconds */
#define DEFAULT_SILENCE 60

static gboolean fail(GError **error, const char *what, const char *why) {
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_MIRROR, "%s: %s", what, why);
  return FALSE;
}

/* A name that people recognise, and a digest that makes it the only one. */
static char *mirror_folder(const GitSource *source) {
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, source->url, -1);
  gboolean suffix = g_str_has_suffix(source->url, ".git");
  g_autofree char *name_part = g_strndup(source->url, strlen(source->url) - (suffix ? strlen(".git") : 0));
  g_autofree char *base = g_path_get_basename(name_part);
  g_strcanon(base, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "-_", '-');
  g_autofree char *name = g_strdup_printf("%.40s-%.16s", base, digest);
  return g_build_filename(source->mirror_dir, name, NULL);
}

char *update_mirror_path(const GitSource *source) {
  g_autofree char *folder = mirror_folder(source);
  return g_build_filename(folder, "repository.git", NULL);
}

static int remove_one(const char *path, G_GNUC_UNUSED const struct stat *status, G_GNUC_UNUSED int type,
                      G_GNUC_UNUSED struct FTW *at) {
  return g_remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

gboolean update_remove(const char *path, GError **error) {
  if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT)
    return TRUE;
  return fail(error, path, g_strerror(errno));
}

/* At once, so that who reads meanwhile finds one or the other; the damaged one is at `made` then. A
 * file system that can't exchange them loses the damaged one first. */
static gboolean replace(const char *made, const char *path, GError **error) {
  if (renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
    return TRUE;
  return update_remove(path, error) && (g_rename(made, path) == 0 || fail(error, path, g_strerror(errno)));
}

/* -1: another process has held it all the time. */
static int wait_for_lock(const char *folder, guint seconds, void (*alive)(void), GError **error) {
  for (guint i = 0;; i++) {
    g_autoptr(GError) held = NULL;
    int lock = writer_lock_take(folder, &held);
    if (lock >= 0)
      return lock;
    if (!g_error_matches(held, JOURNAL_ERROR, JOURNAL_ERROR_LOCKED) || i >= seconds * (G_USEC_PER_SEC / LOCK_PAUSE)) {
      fail(error, "the mirror of the git repository can't be updated", held->message);
      return -1;
    }
    alive();
    g_usleep(LOCK_PAUSE);
  }
}

static gboolean read_token(const GitSource *source, char **ret_token, GError **error) {
  g_autofree char *text = NULL;
  g_autoptr(GError) wrong = NULL;
  gsize length = 0;
  if (source->token_file == NULL)
    return TRUE;
  if (!g_file_get_contents(source->token_file, &text, &length, &wrong)) {
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_INVALID, "the token file can't be read: %s", wrong->message);
    return FALSE;
  }
  gboolean whole = strlen(text) == length;
  g_strstrip(text);
  if (*text != '\0' && whole && length <= MAX_TOKEN && strpbrk(text, "\r\n") == NULL) {
    *ret_token = g_steal_pointer(&text);
    return TRUE;
  }
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_INVALID, "%s holds no token: it has one line with that alone", source->token_file);
  return FALSE;
}

/* Whether all can be read that will be: what is missing is found here then, and not by those who
 * can't fetch it. */
static gboolean is_whole(const GitSource *source, const char *path, const char *commit, GError **error) {
  gboolean walked = source->signatures == SIGNATURES_ALL && source->last_applied != NULL, descends = FALSE;
  if (!git_tree_is_whole(source, path, commit, error))
    return FALSE;
  g_autoptr(Mirror) mirror = walked ? mirror_open(path, error) : NULL;
  if (mirror == NULL)
    return !walked;
  if (!mirror_descends(mirror, commit, source->last_applied, &descends, error))
    return FALSE;
  g_autoptr(GError) wrong = NULL;
  GPtrArray *commits = descends ? mirror_commits_since(mirror, commit, source->last_applied, &wrong) : NULL;
  g_clear_pointer(&commits, g_ptr_array_unref);
  if (!g_error_matches(wrong, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_MIRROR))
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&wrong));
  return FALSE;
}

static char *fetch(const GitSource *source, const char *path, void (*alive)(void), GError **error) {
  g_autoptr(GitUrl) url = git_url_parse(source->url, error);
  g_autofree char *token = NULL;
  if (url == NULL || !read_token(source, &token, error))
    return NULL;
  SshFiles ssh = {source->ssh_key, source->ssh_known_hosts};
  const char *user = source->user != NULL ? source->user : url->user;
  MirrorFetch order = {path, source->url, url, git_source_ref(source), source->ca_file, user, token, &ssh, alive};
  g_autofree char *commit = mirror_fetch(&order, error);
  return commit != NULL && is_whole(source, path, commit, error) ? g_steal_pointer(&commit) : NULL;
}

static char *make_anew(const GitSource *source, const char *folder, void (*alive)(void), GError **error) {
  g_autofree char *path = g_build_filename(folder, "repository.git", NULL), *made = g_build_filename(folder, "new.git", NULL);
  g_autofree char *commit = fetch(source, made, alive, error);
  FAULT("git: made anew");
  gboolean good = commit != NULL && replace(made, path, error);
  FAULT("git: new one in its place");
  update_remove(made, NULL);
  return good ? g_steal_pointer(&commit) : NULL;
}

/* Packs that weren't received to the end. */
static void remove_unfinished_packs(const char *repository) {
  g_autofree char *path = g_build_filename(repository, "objects", "pack", NULL);
  g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
  for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;)
    if (g_str_has_prefix(name, "pack_")) {
      g_autofree char *file = g_build_filename(path, name, NULL);
      g_unlink(file);
    }
}

static char *update_locked(const GitSource *source, const char *folder, void (*alive)(void), GError **error) {
  g_autofree char *path = g_build_filename(folder, "repository.git", NULL), *made = g_build_filename(folder, "new.git", NULL);
  g_autoptr(GError) wrong = NULL;
  if (!update_remove(made, error)) /* of an interrupted run */
    return NULL;
  remove_unfinished_packs(path);
  char *commit = g_file_test(path, G_FILE_TEST_EXISTS) ? fetch(source, path, alive, &wrong) : NULL;
  FAULT("git: fetched");
  if (commit != NULL || (wrong != NULL && !g_error_matches(wrong, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_MIRROR))) {
    if (wrong != NULL)
      g_propagate_error(error, g_steal_pointer(&wrong));
    return commit;
  }
  return make_anew(source, folder, alive, error);
}

char *update_mirror(const GitSource *source, void (*alive)(void), GError **error) {
  g_autofree char *folder = mirror_folder(source);
  if (g_mkdir_with_parents(folder, 0700) < 0) {
    fail(error, folder, g_strerror(errno));
    return NULL;
  }
  int lock = wait_for_lock(folder, source->silence_seconds != 0 ? source->silence_seconds : DEFAULT_SILENCE, alive, error);
  if (lock < 0)
    return NULL;
  char *commit = update_locked(source, folder, alive, error);
  close(lock);
  return commit;
}
