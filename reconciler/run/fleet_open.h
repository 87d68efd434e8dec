/* The hosts of a run (plan/fleet.h), connected to and looked at. */
#pragma once
#include "reconciler/plan/fleet.h"
#include "state/libvirt/connection.h"
#include "state/observation.h"
#include "state/observe.h"

/* One host; NULL as known: it is connected to `uri`. */
Fleet *fleet_new_single(KnownHost *known, const char *uri, gboolean read_only);
/* The hosts that are declared, borrowed from `desired`; those that are fenced aren't connected. known: of
 * KnownHost *, may be NULL. */
Fleet *fleet_new_declared(const Desired *desired, const GPtrArray *known, gboolean read_only);
/* The hosts that a saved plan names. Those that it was made without aren't asked, unless it makes machines: one that was given up may be
 * back, and have them. */
Fleet *fleet_new_planned(const Plan *plan, gboolean read_only);
void fleet_free(Fleet *fleet);
/* The same from a file, without asking anybody: the observations are taken out of it. One that it has nothing of can't
 * be asked. `what` names it. */
void fleet_take_observation(Fleet *fleet, Observation *observation, const char *what);
/* Those that a service knows get what was seen of them. */
void fleet_give_back(Fleet *fleet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fleet, fleet_free)

/* Looks at all of them at once that weren't lost; at what is known of one, the first time only where it may have changed. */
void fleet_observe(Fleet *fleet, const ObserveOptions *options);
