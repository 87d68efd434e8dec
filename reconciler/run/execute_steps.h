/* The steps of a plan that is carried out: which can begin and which one ended, in the journal, in the slots, and for those that wait
 * for it. All of that happens in the run's own thread; the work itself doesn't (execute.c). */
#pragma once
#include "reconciler/run/execute.h"
#include "reconciler/run/slots.h"

typedef struct Step Step;

/* Of an object: one step at a time. */
typedef struct {
  const PlanObject *object;
  const FleetHost *host;
  gboolean busy, verified;
  guint ready;  /* steps that could begin */
  const Action *stopped; /* the machine was shut down to be started again, and wasn't yet; NULL: no */
  gboolean runs_again;   /* … and was without the plan's steps */
  GQueue queue; /* of Step *, ready but for the object being busy */
} Lane;

struct Step {
  Lane *lane;             /* its object's */
  const Action *action;
  ActionResult *result;
  GPtrArray *dependents;  /* of Step * */
  guint place;            /* in the plan */
  guint waits;            /* predecessors that aren't done */
  gint64 began;
  guint given_up;         /* how often connections were, when it began */
};

typedef struct {
  const Execution *execution;
  GPtrArray *results;       /* of ActionResult *, in the plan's order */
  GHashTable *steps;        /* action id → Step * */
  GHashTable *lanes;        /* object id → Lane * */
  GQueue ready;             /* of Step *, in the plan's order */
  GPtrArray *begun, *ended; /* of Step *: in this turn */
  Slots *slots;
} Steps;

void steps_init(Steps *steps, const Execution *execution);
void steps_release(Steps *steps); /* all but the results */

/* What can begin now is in `begun`, and so in the journal once that is kept. Of a run that is cancelled: only what starts a machine
 * again that it has stopped for that. */
void steps_begin(Steps *steps);
/* Journal before act: what can't be written down isn't begun. */
void steps_keep(Steps *steps);
/* `error` NULL: it went well, and `remarks` (or NULL) is what is to be told of it. What depends on it is ready, or skipped. */
void steps_end(Steps *steps, Step *step, const GError *error, const char *remarks);
/* Nothing more is begun. At first what may still start a machine again is left. */
void steps_cancel_rest(Steps *steps, gboolean all);
