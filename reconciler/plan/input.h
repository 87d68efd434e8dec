/* What a plan is made from. */
#pragma once
#include "reconciler/image/facts.h"
#include "reconciler/plan/fleet.h"
#include "reconciler/plan/plan.h"
#include "state/actual.h"

typedef struct {
  const Desired *desired;
  const Actual *actual;
  const char *host;              /* of the fleet; NULL: the only one */
  const Fleet *fleet;            /* all its hosts; NULL: nobody knows */
  const GPtrArray *placed;       /* of Placed *: where the machines of the fleet are and belong; NULL: no fleet */
  const Desired *everywhere;     /* what all hosts of the fleet shall have; NULL: `desired` is all */
  const char *source, *revision; /* identity of the source; revision may be NULL */
  const char *const *formerly;   /* what it was called before it moved; NULL: it hasn't */
  guint allow;                   /* bits of Impact allowed for this run beyond the harmless ones */
  gboolean prune;
  gboolean collect;              /* delete base images that nothing uses … */
  guint64 scratch;               /* bytes available in the state directory; 0: unknown */
  guint64 collect_age;           /* … and nobody touched for so many milliseconds */
  guint round;                   /* how often this run has planned before: for the ids of actions */
  gint64 now;                    /* seconds since 1970, UTC */
  guint prune_percent;           /* most of what we own that one run may delete … */
  guint deleted_lately;          /* … together with what others deleted that count as one with it; G_MAXUINT: that isn't known */
} PlanInput;

/* Whether a record that names `source` is of this source, or was before it moved. */
static inline gboolean input_owns(const PlanInput *input, const char *source) {
  return g_strcmp0(source, input->source) == 0 || (input->formerly != NULL && source != NULL && g_strv_contains(input->formerly, source));
}

#define ALLOW(impact) (1u << (impact))
#define ALLOW_OVERCOMMIT (1u << IMPACT_N) /* write more into a pool than it has available */
