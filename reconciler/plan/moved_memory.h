/* What libvirt paused to move it, and died: whether its memory, which is from then, still fits its disks. Pure. */
#pragma once
#include "reconciler/plan/placement.h"

/* The machine may have run elsewhere since and written to disks that are shared: its memory is not to go on. FALSE: what it has here
 * is as old as its memory, or all hosts were asked and it went to none. */
gboolean moved_memory_may_be_old(const Placed *placed, const ActualDomain *domain);
