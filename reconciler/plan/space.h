/* Room in storage pools, judged before anything is begun. Pure.
 *
 * Counted is the most that a plan's actions write into a pool, all of them together: argument `writes=`, else
 * `bytes=`, of those with `pool=`; and `room.POOL=` of those that write into several. What the plan deletes makes no room for what it writes: it may be deleted later, or not at all.
 * Blank volumes and overlays in directories take up next to nothing when they are made, and grow when a guest
 * writes: they aren't counted, but the plan says when a pool can't hold all that was promised of it. So is what they
 * are grown by: libvirt and QEMU only move the end of the file, or of its table, also where the volume was made with all of its
 * room. In volume groups they take all of their capacity at once. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/actual.h"

/* How much a move brings to which pool of another host: its check has an argument of this prefix and the pool's name for each. */
#define SPACE_BRINGS "brings."

/* Why the plan doesn't fit, with ret_pool the pool concerned; NULL: it does. */
char *space_check(const Actual *actual, const Plan *plan, char **ret_pool);
/* The most that an action writes into a pool, in bytes; 0: nothing that counts. */
guint64 space_taken(const Action *action, const ActualPool *pool);
/* Adds to what an action says that it writes into a pool; NULL: none. */
void space_add(Action *action, const char *pool, guint64 bytes);
/* The most that merging layers top … last of a chain (of ActualVolume *, top first) into layer base takes there. */
guint64 space_of_merge(const GPtrArray *chain, guint top, guint last, guint base);
/* Notes, where the plan makes a volume, that its pool can't hold all that its volumes may grow to. */
void space_note_promises(const Actual *actual, Plan *plan);
/* What the volumes of a pool may grow by, in bytes. */
guint64 space_promised(const ActualPool *pool);

/* The most that a stand-alone copy of a chain (of ActualVolume *, top first) takes. Base images may be
 * compressed, a copy isn't: they count as if they were full. */
guint64 space_of_copy(const GPtrArray *chain);
