/* One plan of several hosts: what each of them shall have, planned for each alone, and put together. Pure. */
#pragma once
#include "reconciler/plan/placement.h"
#include "reconciler/plan/input.h"

/* What of the declarations is one host's: its pools, networks and volumes, the machines that live or shall
 * live there, and the images that they need. Shares the objects. */
Desired *fleet_part(const Desired *whole, const GPtrArray *placed, const FleetHost *host);

/* A plan of nothing, which names the hosts (`only`, where given, leaves the others out). */
Plan *fleet_plan_new(const Fleet *fleet, const char *source, const char *revision);
/* Takes what was planned for one host into the plan of all. */
void fleet_plan_add(Plan *plan, Plan *part /* taken */);
/* Once all are in: what a machine needs on the host that it moves to comes before it, or it is an error. only: see
 * fleet_plan_only, which comes after; or NULL. */
void fleet_plan_link(Plan *plan, const char *only);
/* Hosts that can't be asked and machines that nothing can be done for, as errors: of the host where each shall be, or else is. */
void fleet_plan_troubles(Plan *plan, const Fleet *fleet, const GPtrArray *placed);
/* Leaves what concerns one host only: machines in error that are on none concern each. */
void fleet_plan_only(Plan *plan, const char *host);
