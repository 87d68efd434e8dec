/* What of a plan may be done now, on a host with a configuration: its policy, what is suspended, who
 * waits after a failure, impacts that aren't allowed, and maintenance windows. What may not is taken out
 * of the plan with a note that says what it waits for, together with what would have come after it; the
 * rest goes on. Pure: the time is given. */
#pragma once
#include "reconciler/plan/plan.h"
#include "reconciler/rules/policy.h"
#include "state/actual.h"

#define SUSPEND_ANNOTATION "reconcile.dev/suspend"

/* Whether the object waits after failures, and until when (text for people, to be freed); NULL: no. */
typedef char *(*PatienceFunction)(gpointer data, const char *object_id);

typedef struct {
  const PolicySpec *policy;   /* NULL: none */
  ResolvePath resolve;        /* where links of the host lead (policy.h); NULL: they can't be followed */
  const GPtrArray *windows;   /* of WindowSpec *; NULL: none */
  gboolean suspend;           /* everything */
  guint allow;                /* bits of Impact, as in RunOptions */
  PatienceFunction patience;  /* NULL: nobody waits */
  gpointer patience_data;
  gint64 now;                 /* microseconds since 1970 */
} Rules;

/* Returns when a window opens that something waits for; 0: nothing does. */
gint64 rules_apply(const Rules *rules, Plan *plan, const Actual *actual);
