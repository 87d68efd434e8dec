#include "reconciler/source/git/tree.h"

#include <string.h>

#include "reconciler/source/git/mirror.h"
#include "reconciler/source/walk.h"

#define MAX_LINKS 40    /* as Linux has it */
#define MAX_TARGET 4096 /* bytes */

typedef struct {
  FileTree tree;
  Mirror *mirror;
  MirrorEntry root; /* of the commit */
  char *part;       /* what of it is the source, its own links followed; "": all */
  char *text;       /* of the file that was read last */
  gboolean left;    /* the path that was followed last leads out of the repository */
  GError *damage;   /* the first thing that the repository should have and hasn't */
} GitTree;

/* Where a path leads once its links are followed. */
typedef struct {
  GPtrArray *entries; /* of MirrorEntry *: from the root to what was found */
  GPtrArray *names;   /* of theirs; the root has none */
  gboolean is_link;   /* the path's last name was one */
} Found;

static void found_free(Found *found) {
  g_ptr_array_unref(found->entries);
  g_ptr_array_unref(found->names);
  g_free(found);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Found, found_free)

/* TRUE when there was none; else it is kept, and said in short. */
static gboolean is_sound(GitTree *self, GError *error /* taken */, char **ret_error) {
  if (error == NULL)
    return TRUE;
  g_free(*ret_error);
  *ret_error = g_strdup(error->message);
  if (self->damage == NULL)
    self->damage = error;
  else
    g_error_free(error);
  return FALSE;
}

/* The names of a path, last one first: a stack of what is still to go. */
static void push_names(GPtrArray *stack, const char *path) {
  g_auto(GStrv) names = g_strsplit(path, "/", -1);
  for (guint i = g_strv_length(names); i > 0; i--)
    if (*names[i - 1] != '\0' && !g_str_equal(names[i - 1], "."))
      g_ptr_array_add(stack, g_strdup(names[i - 1]));
}

static const MirrorEntry *last_entry(const Found *found) { return found->entries->pdata[found->entries->len - 1]; }

static gboolean leave(GitTree *self, char **ret_error) {
  self->left = TRUE;
  *ret_error = g_strdup("leads out of the repository");
  return FALSE;
}

static gboolean go_up(GitTree *self, Found *found, char **ret_error) {
  if (found->names->len == 0)
    return leave(self, ret_error);
  g_ptr_array_set_size(found->names, (gint)found->names->len - 1);
  g_ptr_array_set_size(found->entries, (gint)found->entries->len - 1);
  return TRUE;
}

static char *link_target(GitTree *self, const MirrorEntry *link, char **ret_error) {
  GError *error = NULL;
  gsize length = 0;
  g_autofree char *target = mirror_text(self->mirror, link->id, MAX_TARGET, &length, &error);
  if (!is_sound(self, error, ret_error))
    return NULL;
  if (target == NULL || *target == '\0' || strlen(target) != length)
    *ret_error = g_strdup("is a link that can't be one");
  else if (*target == '/')
    leave(self, ret_error);
  else
    return g_steal_pointer(&target);
  return NULL;
}

/* One name further down. */
static gboolean go_down(GitTree *self, Found *found, const char *name, GPtrArray *stack, guint *links, char **ret_error) {
  MirrorEntry entry;
  GError *error = NULL;
  gboolean there = last_entry(found)->kind == MIRROR_DIRECTORY && mirror_find(self->mirror, last_entry(found)->id, name, &entry, &error);
  if (!is_sound(self, error, ret_error))
    return FALSE;
  if (!there) {
    *ret_error = g_strdup("can't be read: there is no such file in the commit");
    return FALSE;
  }
  if (entry.kind != MIRROR_LINK) {
    g_ptr_array_add(found->names, g_strdup(name));
    g_ptr_array_add(found->entries, g_memdup2(&entry, sizeof(entry)));
    return TRUE;
  }
  if (++*links > MAX_LINKS) {
    *ret_error = g_strdup("can't be read: too many links lead to each other");
    return FALSE;
  }
  g_autofree char *target = link_target(self, &entry, ret_error);
  if (target == NULL)
    return FALSE;
  found->is_link |= stack->len == 0;
  push_names(stack, target);
  return TRUE;
}

static Found *find(GitTree *self, const char *path, char **ret_error) {
  g_autoptr(Found) found = g_new0(Found, 1);
  g_autoptr(GPtrArray) stack = g_ptr_array_new_with_free_func(g_free);
  guint links = 0;
  self->left = FALSE;
  found->entries = g_ptr_array_new_with_free_func(g_free);
  found->names = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(found->entries, g_memdup2(&self->root, sizeof(self->root)));
  push_names(stack, path);
  while (stack->len > 0) {
    g_autofree char *name = g_ptr_array_steal_index(stack, stack->len - 1);
    if (!(g_str_equal(name, "..") ? go_up(self, found, ret_error) : go_down(self, found, name, stack, &links, ret_error)))
      return NULL;
  }
  return g_steal_pointer(&found);
}

static char *found_path(const Found *found) {
  g_autoptr(GPtrArray) names = g_ptr_array_copy(found->names, (GCopyFunc)(void (*)(void))g_strdup, NULL);
  g_ptr_array_set_free_func(names, g_free);
  g_ptr_array_add(names, NULL);
  return g_strjoinv("/", (char **)names->pdata);
}

static gboolean look(FileTree *tree, const char *path, Entry *ret_entry, char **ret_error) {
  static const EntryKind kinds_of[] = {[MIRROR_FILE] = ENTRY_FILE, [MIRROR_DIRECTORY] = ENTRY_DIRECTORY, [MIRROR_SUBMODULE] = ENTRY_SUBMODULE};
  GitTree *self = (GitTree *)tree;
  g_autoptr(Found) found = find(self, path, ret_error);
  if (self->left) { /* what is there can't be known, but it could be a directory of declarations */
    g_clear_pointer(ret_error, g_free);
    *ret_entry = (Entry){.kind = ENTRY_DIRECTORY, .leads_out = TRUE};
    return TRUE;
  }
  if (found == NULL)
    return FALSE;
  gsize length = strlen(self->part);
  char *identity = found_path(found);
  gboolean inside = length == 0 || (g_str_has_prefix(identity, self->part) && (identity[length] == '/' || identity[length] == '\0'));
  *ret_entry = (Entry){.kind = kinds_of[last_entry(found)->kind], .leads_out = found->is_link && !inside, .identity = identity};
  return TRUE;
}

static GPtrArray *list(FileTree *tree, const char *path, char **ret_error) {
  GitTree *self = (GitTree *)tree;
  g_autoptr(Found) found = find(self, path, ret_error);
  GError *error = NULL;
  GPtrArray *names = found != NULL ? mirror_names(self->mirror, last_entry(found)->id, &error) : NULL;
  is_sound(self, error, ret_error);
  return names;
}

static const char *read_file(FileTree *tree, const char *path, gsize *ret_length, char **ret_error) {
  GitTree *self = (GitTree *)tree;
  gsize limit = node_limits_default.max_bytes;
  g_autoptr(Found) found = find(self, path, ret_error);
  if (found == NULL)
    return NULL;
  GError *error = NULL;
  g_free(self->text);
  self->text = mirror_text(self->mirror, last_entry(found)->id, limit, ret_length, &error);
  if (is_sound(self, error, ret_error) && self->text == NULL)
    *ret_error = g_strdup_printf("is larger than %zu bytes", limit);
  return self->text;
}

/* Warns, as it may be meant: somebody rewrote the history, or went back. */
static gboolean look_back(GitTree *self, const GitSource *source, const char *commit, Diagnostics *diagnostics) {
  gboolean descends = TRUE;
  GError *error = NULL;
  char *message = NULL;
  if (source->last_applied != NULL)
    mirror_descends(self->mirror, commit, source->last_applied, &descends, &error);
  if (is_sound(self, error, &message) && !descends)
    diag_warning(diagnostics, (Place){0}, "commit %.12s doesn't follow from %.12s, which was applied last: the history was rewritten, or goes back; "
                 "nothing is deleted for it", commit, source->last_applied);
  g_free(message);
  return descends;
}

static gboolean find_part(GitTree *self, const GitSource *source, const char *commit, GError **error) {
  const char *path = source->path != NULL ? source->path : "";
  g_autofree char *message = NULL;
  g_autoptr(Found) found = find(self, path, &message);
  if (self->damage != NULL)
    return FALSE;
  if (found != NULL && last_entry(found)->kind != MIRROR_SUBMODULE) {
    self->part = found_path(found);
    return TRUE;
  }
  g_autofree char *url = git_url_shown(source->url);
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_ABSENT, "%s: commit %.12s has no directory or file %s", url, commit, path);
  return FALSE;
}

static gboolean open_tree(GitTree *self, const char *repository, const char *commit, GError **error) {
  *self = (GitTree){.tree = {list, look, read_file, FALSE}, .mirror = mirror_open(repository, error)};
  return self->mirror != NULL && mirror_tree(self->mirror, commit, &self->root, error);
}

/* FALSE and the damage, if there was any. */
static gboolean close_tree(GitTree *self, GError **error) {
  mirror_free(self->mirror);
  g_free(self->text);
  g_free(self->part);
  if (self->damage == NULL)
    return TRUE;
  g_clear_error(error);
  g_propagate_error(error, self->damage);
  return FALSE;
}

gboolean git_tree_is_whole(const GitSource *source, const char *repository, const char *commit, GError **error) {
  GitTree self;
  gboolean there = open_tree(&self, repository, commit, error);
  if (there && find_part(&self, source, commit, NULL))
    source_read_all(&self.tree, source->path != NULL ? source->path : "");
  return close_tree(&self, error) && there;
}

Desired *git_tree_read(const GitSource *source, const char *repository, const char *commit, Diagnostics *diagnostics, GError **error) {
  GitTree self;
  g_autofree char *identity = git_source_identity(source), *name = g_strdup_printf("%s at %.12s", identity, commit);
  g_autoptr(Desired) desired = NULL;
  if (open_tree(&self, repository, commit, error)) {
    gboolean descends = look_back(&self, source, commit, diagnostics);
    if (find_part(&self, source, commit, error))
      desired = source_walk(&self.tree, source->path != NULL ? source->path : "", name, diagnostics, error);
    if (desired != NULL)
      desired->rewritten = !descends;
  }
  return close_tree(&self, error) ? g_steal_pointer(&desired) : NULL;
}
