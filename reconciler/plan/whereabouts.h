/* What a look at the hosts tells of where our history says that machines were put. Pure. */
#pragma once
#include "reconciler/plan/fleet.h"

/* Whether the machine certainly isn't there any more, or is there under another name or address of that host, and where it is now: what
 * was known is to be forgotten then. While a host can't be asked nothing is certain. */
gboolean fleet_place_is_over(const Fleet *fleet, const char *machine, const JournalPlace *place, const FleetHost **ret_now /* NULL: nowhere */);
