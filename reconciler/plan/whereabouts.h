/* Where our history says that machines were put, against what a look at the hosts shows. Of two copies the one with the higher epoch counts:
 * what was put somewhere with a lower one than that of a copy is over. Pure. */
#pragma once
#include "reconciler/plan/placement.h"
#include "reconciler/plan/plan.h"

/* The epoch of the copy that an action of the plan makes, moves, or lets stay; JOURNAL_NO_EPOCH: none is given, or nobody knows. */
gint64 epoch_given(const Plan *plan, const FleetHost *host /* of the object */, const Action *action);

/* Whether what was put there may count as much as a copy that is seen, or more, and isn't that copy. */
gboolean fleet_place_counts(const Fleet *fleet, const JournalPlace *place, const FleetHost *host /* of the copy */, const ActualDomain *copy /* of ours */);

/* Whether what was put there was more than one move newer than a copy that is seen, and isn't there though its host says what it has: that
 * copy lacks what was written since. Not where the host is given up. */
gboolean fleet_place_is_missed(const Fleet *fleet, const JournalPlace *place, const ActualDomain *copy /* of ours */);

/* Whether something else than what was known (place NULL: nothing) is to be remembered: that it is on another host, under another name or
 * address of that host, or with another epoch, or (host NULL) that it certainly isn't there any more and is nowhere. It is the newest copy that
 * counts; an older one than what was put only where that is certainly gone, so that all hosts were asked. */
gboolean fleet_place_is_over(const Fleet *fleet, const char *machine, const JournalPlace *place, JournalPlace *ret_now /* borrowed */);
