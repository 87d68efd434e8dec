/* Repositories, trees and commits as plain data. Only mirror*.c know libgit2 (mirror_git.h).
 * Objects are named by 40 hexadecimal digits. Errors are GIT_SOURCE_ERROR: _MIRROR when the
 * repository on disk isn't what it should be, _UNREACHABLE when the other side isn't. What a hash
 * names is checked against it by libgit2 on every reading (GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION). */
#pragma once
#include "reconciler/source/git/ssh.h"
#include "reconciler/source/git_source.h"

#define MIRROR_ID_SIZE 41

typedef struct Mirror Mirror;
Mirror *mirror_open(const char *path, GError **error);
void mirror_free(Mirror *mirror);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Mirror, mirror_free)

typedef enum { MIRROR_FILE, MIRROR_DIRECTORY, MIRROR_LINK, MIRROR_SUBMODULE } MirrorKind;
typedef struct {
  MirrorKind kind;
  char id[MIRROR_ID_SIZE];
} MirrorEntry;
/* The tree of a commit. */
gboolean mirror_tree(Mirror *mirror, const char *commit, MirrorEntry *ret_tree, GError **error);
GPtrArray *mirror_names(Mirror *mirror, const char *tree, GError **error);
/* FALSE without an error: there is none of this name. */
gboolean mirror_find(Mirror *mirror, const char *tree, const char *name, MirrorEntry *ret_entry, GError **error);
/* What a file holds, NUL-terminated; NULL without an error: it is larger than `limit`, and wasn't read. */
char *mirror_text(Mirror *mirror, const char *file, gsize limit, gsize *ret_length, GError **error);

gboolean mirror_descends(Mirror *mirror, const char *commit, const char *ancestor, gboolean *ret_descends, GError **error);
/* Ids of `commit` and what led to it, without `since` and what led to that. */
GPtrArray *mirror_commits_since(Mirror *mirror, const char *commit, const char *since, GError **error);
/* The signature and what is signed; both NULL when it isn't signed. */
gboolean mirror_commit_signature(Mirror *mirror, const char *commit, char **ret_signature, GBytes **ret_payload, GError **error);
/* The text of the annotated tag that leads to `commit`; NULL without an error: it is none. */
char *mirror_tag(Mirror *mirror, const char *name, const char *commit, gsize *ret_length, GError **error);

/* Network; for a process of its own (fetch.h): options of libgit2 are set for all of it. */
typedef struct {
  const char *path; /* of the bare repository; made when absent */
  const char *url_text;
  const GitUrl *url;
  const char *ref;                   /* as in GitSource */
  const char *ca_file, *user, *token; /* https */
  const SshFiles *ssh;
  void (*alive)(void);               /* called whenever the other side has said something */
} MirrorFetch;
/* Brings branches and tags up to date, forced; gone ones are removed. The commit that `ref` names. */
char *mirror_fetch(const MirrorFetch *fetch, GError **error);
