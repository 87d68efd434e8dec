/* A mirror on disk: MIRROR_DIR/NAME-DIGEST/{lock,repository.git}, and new.git while it is made anew.
 * All of that is done under the lock, and ends in the old or the new repository.git wherever it is
 * interrupted. */
#pragma once
#include "reconciler/source/git_source.h"

/* MIRROR_DIR/NAME-DIGEST/repository.git. Free it. */
char *update_mirror_path(const GitSource *source);
/* What git_source_update() does, in the process that talks to the network. */
char *update_mirror(const GitSource *source, void (*alive)(void), GError **error);
/* A directory with all in it; symbolic links aren't followed. */
gboolean update_remove(const char *path, GError **error);
