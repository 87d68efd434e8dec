/* Who uses a file: an index of an observation by path. Pure.
 *
 * Of this host's files one under two names (links) is one file. Those of another host are compared as they are spelled:
 * see volume_users_aliases. What couldn't be read may use anything: see volume_users_doubt. */
#pragma once
#include "state/actual.h"

typedef enum {
  USER_OVERLAY,    /* a layer whose backing store it is: a pool's volume, or one that a snapshot tells of */
  USER_DISK,       /* a layer of a disk of the machine that runs */
  USER_DEFINITION, /* a layer of a disk as defined for the next start */
  USER_SAVED,      /* a layer of a disk of the machine that its saved memory brings back */
  USER_SNAPSHOT,   /* what a snapshot holds, or what lies beneath that */
  USER_SNAPSHOT_LAYER, /* the layer that took over when the snapshot was taken: says what the snapshot holds */
  USER_MEMORY,     /* a snapshot's file of memory */
  USER_JOB,        /* a block job writes to it */
  USER_BOOT,       /* a machine boots it: kernel, initrd, dtb, loader */
  USER_KEPT,       /* our record of a machine keeps it: what a disk was before, or will be */
  USER_N
} VolumeUse;
extern const char *const volume_use_words[USER_N + 1]; /* "overlay", … */

/* One use; texts are borrowed from the observation. */
typedef struct {
  VolumeUse use;
  guint depth;          /* layers between the one that is named and this one: 0: it itself */
  const char *domain;   /* NULL: USER_OVERLAY */
  const char *target;   /* the disk; NULL: USER_OVERLAY, USER_MEMORY */
  const char *snapshot; /* NULL: no snapshot's */
  const char *path;     /* USER_OVERLAY: of the overlay */
} VolumeUser;

typedef struct VolumeUsers VolumeUsers;
VolumeUsers *volume_users_new(const Actual *actual); /* which must outlive it */
void volume_users_free(VolumeUsers *users);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VolumeUsers, volume_users_free)

/* Of const VolumeUser *, by kind, then name; empty when nothing uses it. Borrowed. */
const GPtrArray *volume_users_of(const VolumeUsers *users, const char *path);
/* Why nobody may write to a file: something is based on it, which that would destroy. Says what helps. NULL: nothing is. Free it. */
char *volume_users_beneath(const VolumeUsers *users, const char *path);
/* Other paths in use that may be the same file: of the same name in another directory, unless the times of both say
 * that they are two. Of const char *, borrowed; free the array. */
GPtrArray *volume_users_aliases(const VolumeUsers *users, const char *path);
/* Why something that uses a file may be missing here; NULL: all was read. `but` (may be NULL): what isn't known of this
 * machine's snapshots doesn't count. */
const char *volume_users_doubt(const VolumeUsers *users, const char *but);
/* The same of pools and machines that couldn't be read alone. The rest, a refresh of its pool may show: an action looks. */
const char *volume_users_unread(const VolumeUsers *users);
/* The files that the rest is about: of const char *, borrowed; free the array. */
GPtrArray *volume_users_unknown(const VolumeUsers *users);
/* What is known of a file: as a running machine's chain says, else as its pool does; NULL: nothing. */
const ActualVolume *volume_users_layer(const VolumeUsers *users, const char *path);
/* A pool that was read is over the file's directory, and doesn't have it. */
gboolean volume_users_gone(const VolumeUsers *users, const char *path);
/* The file that an external snapshot holds of a disk; NULL: it can't be told. */
const char *volume_users_held(const VolumeUsers *users, const ActualSnapshotDisk *disk);
