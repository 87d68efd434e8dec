/* Files of the host that declarations name: what a machine that goes leaves to another one, to itself under another name, to
 * a Volume, or to an Image that is made of it. A declaration counts from the moment when it is made, whether or not anything on the host has the file yet: the
 * machine may be in error, held, or wait for its image in this run. Pure. */
#pragma once
#include "reconciler/plan/input.h"
#include "state/volume_users.h"

typedef struct DeclaredFiles DeclaredFiles;
/* Of all that is declared, for other hosts too: a path may be the same file there. All must outlive it. */
DeclaredFiles *declared_files_new(const PlanInput *input, const VolumeUsers *users);
void declared_files_free(DeclaredFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DeclaredFiles, declared_files_free)

/* The object that names the file, or one that is based on it: "vm/new", "volume/data.qcow2". NULL: none. Borrowed. */
const char *declared_files_by(const DeclaredFiles *files, const char *path);
/* Something declared has the file, or one beneath it, whose newer content it is then. */
gboolean declared_files_beneath(const DeclaredFiles *files, const char *path);
