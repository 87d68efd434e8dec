/* Carries out a plan: actions whose predecessors are done, several objects at once, one
 * action at a time per object, within what may be done at once (slots.h). One failure stops what depends on it and nothing else.
 * Before an object's first action, what it is like is held against what it was when planned. */
#pragma once
#include "reconciler/plan/fleet.h"
#include "reconciler/run/pipeline.h"
#include "state/journal.h"

typedef struct {
  const Fleet *fleet;     /* writable connections, and what was observed: for the chains of a fingerprint */
  const Plan *plan;
  Journal *journal;
  gint64 run;             /* of the journal */
  guint jobs;             /* steps at once in all; 0: what the hosts' limits allow */
  GCancellable *cancel;
  const RunEvents *events;
} Execution;

/* One ActionResult per action, in the plan's order. */
GPtrArray *execute_plan(const Execution *execution);
/* What isn't any more as it was planned: a message; NULL: all is as planned. */
char *execute_stale(const Plan *plan, const Fleet *fleet);
/* A machine must be what it was when it was planned; other kinds are checked by their actions. */
gboolean execute_verify(const FleetHost *host, const PlanObject *object, gboolean *ret_absent, GError **error);
