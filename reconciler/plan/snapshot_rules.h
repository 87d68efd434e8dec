/* Which disks a snapshot is of, where its layers go, and what it is worth. Pure. */
#pragma once
#include "state/actual.h"

/* What our record says of a snapshot; NULL: it isn't ours. */
const SnapshotFactSpec *snapshot_fact(const FactsSpec *facts, const char *name);

/* Why no snapshot can be taken or removed of the machine as it is; NULL: it can. Free it. */
char *snapshot_obstacle(const ActualDomain *found);

/* Targets of the disks, in the order of the machine. `now`: the machine as it is, with paths. `declared`
 * (may be NULL) says which disks are ephemeral. `wanted` NULL: external ones of all disks that the guest
 * can write and that are its own, but of no ephemeral ones; internal ones are always of all disks that it
 * can write. NULL with *ret_error: why it can't be taken. */
GStrv snapshot_disks(const VmSpec *now, const VmSpec *declared, SnapshotMode mode, char *const *wanted, char **ret_error);
/* "DIRECTORY/VM-TARGET.SNAPSHOT.qcow2", in the directory of the disk's file. */
char *snapshot_layer_path(const char *vm, const char *target, const char *snapshot, const char *disk_path);
/* What a snapshot is worth at least, where nobody remembers how it was taken. */
Consistency snapshot_consistency(const ActualSnapshot *snapshot, Quiesce wanted);
/* "declared, crash-consistent: …", "a person's" for people; fact NULL: it isn't ours. Free it. */
char *snapshot_whose(const SnapshotFactSpec *fact);
/* "crash-consistent: as after a power cut" */
const char *consistency_phrase(Consistency consistency);
/* "DIRECTORY/VM.SNAPSHOT.memory" */
char *snapshot_memory_path(const char *vm, const char *snapshot, const char *disk_path);
/* Of a path that one of the two made. */
gboolean snapshot_is_memory_path(const char *path);
