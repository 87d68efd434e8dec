/* Storage rounds capacities up: of files to sectors, in volume groups to extents. More than what was asked for, and less than
 * one of these more, is what was asked for. Pure. */
#pragma once
#include "state/actual.h"

/* Whether the volume at `path` (known to a pool or not) has the capacity that storage makes of `wanted`, in bytes. */
gboolean capacity_is_met(const Actual *actual, const char *path, guint64 wanted, guint64 capacity);
