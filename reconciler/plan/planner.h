/* Desired and actual state in, plan out. Pure: the same input gives the same plan, to the byte. */
#pragma once
#include "reconciler/plan/input.h"

Plan *planner_plan(const PlanInput *input);
/* The first action whose impact is beyond what was allowed, as a message; NULL: none. */
char *planner_refusal(const Plan *plan, guint allow);
