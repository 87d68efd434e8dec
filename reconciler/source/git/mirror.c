#include "reconciler/source/git/mirror.h"

#include <string.h>

#include "reconciler/source/git/mirror_git.h"

#define MAX_COMMITS 10000 /* that are looked at for their signatures */

struct Mirror {
  git_repository *repository;
  git_odb *odb;
  GHashTable *trees; /* id → git_tree *: libgit2 doesn't keep large ones, and would read them anew for each name */
};

static void free_tree(gpointer tree) { git_tree_free(tree); }

/* Git's own configuration, of whoever runs this, could lead elsewhere (url.insteadOf). */
static gpointer begin(G_GNUC_UNUSED gpointer data) {
  git_libgit2_init(); /* never ended: other threads may be within */
  for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0); /* it guards against configuration that runs programs: none does here */
  return NULL;
}

void mirror_initialise(void) {
  static GOnce once = G_ONCE_INIT;
  g_once(&once, begin, NULL);
}

const char *mirror_last_message(void) {
  const git_error *last = git_error_last();
  return last != NULL && last->message != NULL ? last->message : "unknown error";
}

gboolean mirror_damaged(const char *what, GError **error) {
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_MIRROR, "the mirror of the git repository can't be used: %s: %s", what,
              mirror_last_message());
  return FALSE;
}

Mirror *mirror_open(const char *path, GError **error) {
  mirror_initialise();
  git_repository *repository = NULL;
  git_odb *odb = NULL;
  if (git_repository_open_bare(&repository, path) < 0 || git_repository_odb(&odb, repository) < 0) {
    mirror_damaged(path, error);
    git_repository_free(repository);
    return NULL;
  }
  Mirror *mirror = g_new(Mirror, 1);
  *mirror = (Mirror){repository, odb, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_tree)};
  return mirror;
}

void mirror_free(Mirror *mirror) {
  if (mirror == NULL)
    return;
  g_hash_table_unref(mirror->trees);
  git_odb_free(mirror->odb);
  git_repository_free(mirror->repository);
  g_free(mirror);
}

static git_commit *find_commit(Mirror *mirror, const char *commit, GError **error) {
  git_oid id;
  git_commit *found = NULL;
  if (git_oid_fromstr(&id, commit) < 0 || git_commit_lookup(&found, mirror->repository, &id) < 0)
    mirror_damaged(commit, error);
  return found;
}

gboolean mirror_tree(Mirror *mirror, const char *commit, MirrorEntry *ret_tree, GError **error) {
  g_autoptr(git_commit) found = find_commit(mirror, commit, error);
  if (found == NULL)
    return FALSE;
  ret_tree->kind = MIRROR_DIRECTORY;
  git_oid_tostr(ret_tree->id, MIRROR_ID_SIZE, git_commit_tree_id(found));
  return TRUE;
}

/* Borrowed. */
static git_tree *find_tree(Mirror *mirror, const char *tree, GError **error) {
  git_oid id;
  git_tree *found = g_hash_table_lookup(mirror->trees, tree);
  if (found != NULL)
    return found;
  if (git_oid_fromstr(&id, tree) < 0 || git_tree_lookup(&found, mirror->repository, &id) < 0)
    mirror_damaged(tree, error);
  else
    g_hash_table_insert(mirror->trees, g_strdup(tree), found);
  return found;
}

GPtrArray *mirror_names(Mirror *mirror, const char *tree, GError **error) {
  git_tree *found = find_tree(mirror, tree, error);
  if (found == NULL)
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  for (gsize i = 0; i < git_tree_entrycount(found); i++)
    g_ptr_array_add(names, g_strdup(git_tree_entry_name(git_tree_entry_byindex(found, i))));
  return names;
}

gboolean mirror_find(Mirror *mirror, const char *tree, const char *name, MirrorEntry *ret_entry, GError **error) {
  git_tree *found = find_tree(mirror, tree, error);
  const git_tree_entry *entry = found != NULL ? git_tree_entry_byname(found, name) : NULL;
  if (entry == NULL)
    return FALSE;
  git_filemode_t mode = git_tree_entry_filemode(entry);
  ret_entry->kind = mode == GIT_FILEMODE_TREE     ? MIRROR_DIRECTORY
                    : mode == GIT_FILEMODE_COMMIT ? MIRROR_SUBMODULE
                    : mode == GIT_FILEMODE_LINK   ? MIRROR_LINK
                                                  : MIRROR_FILE;
  git_oid_tostr(ret_entry->id, MIRROR_ID_SIZE, git_tree_entry_id(entry));
  return TRUE;
}

char *mirror_text(Mirror *mirror, const char *file, gsize limit, gsize *ret_length, GError **error) {
  git_oid id;
  gsize size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  g_autoptr(git_odb_object) object = NULL;
  if (git_oid_fromstr(&id, file) < 0 || git_odb_read_header(&size, &type, mirror->odb, &id) < 0) {
    mirror_damaged(file, error);
    return NULL;
  }
  if (size > limit)
    return NULL;
  if (type != GIT_OBJECT_BLOB || git_odb_read(&object, mirror->odb, &id) < 0) {
    mirror_damaged(file, error);
    return NULL;
  }
  *ret_length = git_odb_object_size(object);
  char *text = g_malloc(*ret_length + 1);
  memcpy(text, git_odb_object_data(object), *ret_length);
  text[*ret_length] = '\0';
  return text;
}

gboolean mirror_descends(Mirror *mirror, const char *commit, const char *ancestor, gboolean *ret_descends, GError **error) {
  git_oid id, other;
  int result = git_oid_fromstr(&id, commit);
  if (result == 0)
    result = git_oid_fromstr(&other, ancestor);
  if (result == 0 && git_odb_exists(mirror->odb, &other)) /* what left the server's history may never have been here */
    result = git_oid_equal(&id, &other) ? 1 : git_graph_descendant_of(mirror->repository, &id, &other);
  *ret_descends = result == 1;
  return result >= 0 || mirror_damaged(commit, error);
}

GPtrArray *mirror_commits_since(Mirror *mirror, const char *commit, const char *since, GError **error) {
  g_autoptr(git_revwalk) walk = NULL;
  g_autoptr(GPtrArray) commits = g_ptr_array_new_with_free_func(g_free);
  git_oid id;
  int result = git_oid_fromstr(&id, commit);
  if (result == 0)
    result = git_revwalk_new(&walk, mirror->repository);
  if (result == 0)
    result = git_revwalk_push(walk, &id);
  if (result == 0 && git_oid_fromstr(&id, since) == 0)
    result = git_revwalk_hide(walk, &id);
  while (result == 0 && (result = git_revwalk_next(&id, walk)) == 0 && commits->len <= MAX_COMMITS)
    g_ptr_array_add(commits, g_strdup(git_oid_tostr((char[MIRROR_ID_SIZE]){0}, MIRROR_ID_SIZE, &id)));
  if (commits->len > MAX_COMMITS)
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_UNSIGNED, "there are more than %d commits between %.12s and %.12s", MAX_COMMITS,
                since, commit);
  else if (result == GIT_ITEROVER)
    return g_steal_pointer(&commits);
  else
    mirror_damaged(commit, error);
  return NULL;
}

gboolean mirror_commit_signature(Mirror *mirror, const char *commit, char **ret_signature, GBytes **ret_payload, GError **error) {
  git_oid id;
  git_buf signature = GIT_BUF_INIT, payload = GIT_BUF_INIT;
  int result = git_oid_fromstr(&id, commit);
  if (result == 0)
    result = git_commit_extract_signature(&signature, &payload, mirror->repository, &id, NULL);
  *ret_signature = result == 0 ? g_strndup(signature.ptr, signature.size) : NULL;
  *ret_payload = result == 0 ? g_bytes_new(payload.ptr, payload.size) : NULL;
  git_buf_dispose(&signature);
  git_buf_dispose(&payload);
  return result == 0 || result == GIT_ENOTFOUND || mirror_damaged(commit, error);
}

char *mirror_tag(Mirror *mirror, const char *name, const char *commit, gsize *ret_length, GError **error) {
  git_oid id, wanted;
  g_autoptr(git_object) object = NULL, peeled = NULL;
  g_autoptr(git_odb_object) raw = NULL;
  int result = git_reference_name_to_id(&id, mirror->repository, name);
  if (result == 0)
    result = git_object_lookup(&object, mirror->repository, &id, GIT_OBJECT_ANY);
  if (result == GIT_ENOTFOUND || result == GIT_EINVALIDSPEC || (result == 0 && git_object_type(object) != GIT_OBJECT_TAG))
    return NULL;
  if (result < 0 || git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) < 0 || git_oid_fromstr(&wanted, commit) < 0 ||
      git_odb_read(&raw, mirror->odb, &id) < 0) {
    mirror_damaged(name, error);
    return NULL;
  }
  if (!git_oid_equal(git_object_id(peeled), &wanted)) /* it was moved meanwhile */
    return NULL;
  *ret_length = git_odb_object_size(raw);
  char *text = g_malloc(*ret_length + 1);
  memcpy(text, git_odb_object_data(raw), *ret_length);
  text[*ret_length] = '\0';
  return text;
}
