/* What earlier moves of a machine left behind, and what interrupted ones began (see moved.c). */
#pragma once
#include "reconciler/plan/placement.h"
#include "reconciler/plan/build.h"

/* For a machine that is on the builder's host: the older copy there is elsewhere, volumes that it left, a move that
 * the file has taken back. */
void plan_moved(PlanBuilder *builder, const Placed *placed);
/* The same for one that shall move on: before that. Returns why it can't yet, or NULL; the id of the last action. */
char *plan_moved_before(PlanBuilder *builder, PlanObject *object, const Placed *placed, const char **ret_last);
