/* What the files of the mirror share; no others include it, nor <git2.h>. mirror.c reads, mirror_fetch.c brings
 * up to date, through mirror_ssh.c where the other side is reached so, and mirror_packs.c keeps it quick. */
#pragma once
#include <git2.h>
#include <git2/sys/transport.h>

#include "reconciler/source/git/mirror.h"

/* GLib's way of cleaning up for what libgit2 hands out. */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_commit, git_commit_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_object, git_object_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_revwalk, git_revwalk_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_odb, git_odb_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_odb_object, git_odb_object_free)

/* Of libgit2; before anything else is asked of it. */
void mirror_initialise(void);
/* libgit2's, of this thread. */
const char *mirror_last_message(void);
/* FALSE, with GIT_SOURCE_ERROR_MIRROR: `what` and libgit2's last message. */
gboolean mirror_damaged(const char *what, GError **error);

/* What the callbacks need while one fetch runs. */
typedef struct {
  const MirrorFetch *fetch;
  git_remote *remote;
  guint asked; /* how often the server asked who we are */
  char *reason; /* why it ends, in better words than libgit2's */
  GError *ssh_error;
} Fetching;
void mirror_because(Fetching *fetching, char *reason /* taken */);

/* A git_smart_subtransport_cb, whose parameter is a Fetching: OpenSSH's client below libgit2's smart protocol. */
int mirror_ssh_new(git_smart_subtransport **ret_transport, git_transport *owner, void *fetching);

/* Each update brings a pack, and each has to be looked into for each object. Trouble here is none:
 * the next update tries again. */
void mirror_unite_packs(git_repository *repository, const MirrorFetch *fetch);
