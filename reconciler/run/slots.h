/* What may be done at once: steps in all (--jobs), objects on each host (limits.jobs), and machines that move to and
 * from it (limits.migrations). Of a plan alone, so that a saved one keeps to its hosts' limits too.
 *
 * A machine that moves takes a place on both hosts, and keeps them from step to step: nothing that moves stays off
 * because another one came between. It gives them back when none of its steps can go on, be it that it waits for
 * another machine's; so whoever holds a place never waits for one who needs it. */
#pragma once
#include "reconciler/plan/plan.h"

typedef struct Slots Slots;
/* Borrows the plan. jobs: in all; 0: what the hosts allow. */
Slots *slots_new(const Plan *plan, guint jobs);
void slots_free(Slots *slots);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Slots, slots_free)

/* The most steps that can ever run at once. */
guint slots_most(const Slots *slots);
/* Whether nothing more can begin now, whatever it is. */
gboolean slots_full(const Slots *slots);
/* A step begins, where that is possible now; and ends. */
gboolean slots_take(Slots *slots, const PlanObject *object, const Action *action);
void slots_give(Slots *slots, const PlanObject *object, const Action *action);
/* No step of the object runs, and none is ready. */
void slots_rest(Slots *slots, const PlanObject *object);
