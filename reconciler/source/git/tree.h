/* The tree of a commit as a place of declarations (source/walk.h). Symbolic links are followed as
 * the kernel would, within the part that the source names; submodules aren't. */
#pragma once
#include "reconciler/source/git_source.h"

/* GIT_SOURCE_ERROR_MIRROR when anything that had to be read is missing from the repository. */
Desired *git_tree_read(const GitSource *source, const char *repository, const char *commit, Diagnostics *diagnostics, GError **error);
/* Whether all of that is there, whatever it says. */
gboolean git_tree_is_whole(const GitSource *source, const char *repository, const char *commit, GError **error);
