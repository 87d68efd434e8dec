/* Whether a machine may be, or may run, where nobody can look: on a host that can't be asked, or that the file has lost, or as a
 * domain that can't be read. Then it is neither made nor started elsewhere. Pure.
 * Each says why nothing is done to the machine; NULL: there is no doubt. */
#pragma once
#include "reconciler/plan/placement.h"

/* Its copy was to go to another host, or has, and that one may run. */
char *doubt_gone(const Placed *placed);
/* It would be started, and a newer copy may run elsewhere. */
char *doubt_runs(const Placed *placed);
/* No copy of it is seen: whether it may be made at its home. */
char *doubt_new(const Placed *placed, const Desired *desired);
/* On another host than where it is planned is a domain that may be another copy of it. */
char *doubt_name(const Placed *placed, const FleetHost *here);
