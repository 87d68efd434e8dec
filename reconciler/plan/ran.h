/* Whether a copy that a move brought was seen to run where it came to. libvirt doesn't tell later: it ends one that never ran, and
 * one that ran for hours, for the same reason. The copy's own record says so to every controller, and goes with the copy; our
 * history outlives it. Pure. */
#pragma once
#include "reconciler/plan/placement.h"

/* It runs now, or its record says that it did, and its move isn't over. */
gboolean ran_since_it_came(const ActualDomain *copy /* of ours */);
/* That is to be noted in its record. */
gboolean ran_is_news(const ActualDomain *copy /* of ours */);
/* The same of one that is there, as its record or our history says. */
gboolean ran_there(const Fleet *fleet, const FleetHost *there, const ActualDomain *copy /* of ours */);
/* Where our history saw a newer copy run, if that host answers and has none any more; NULL: nowhere. */
const FleetHost *ran_and_gone(const Fleet *fleet, const ActualDomain *older /* of ours */);

/* Errors, to be freed. The older copy runs on source, since libvirt didn't hear that the newer one ran, which is off on target. */
char *ran_on_both(const char *machine, const FleetHost *source, const FleetHost *target);
/* What stands still since it went, where the newer copy is gone; NULL: it isn't so. */
char *ran_and_undefined(const Placed *placed);
