/* Which host each machine of a fleet belongs on, and where it is. Pure. */
#pragma once
#include "reconciler/plan/fleet.h"

typedef struct {
  const Object *machine;
  const FleetHost *home;   /* where it shall be; NULL: see error */
  const FleetHost *later;  /* … when something is done where it is: NULL: home is where it shall be */
  const char *first;       /* … that this is over, in words */
  gboolean bare;           /* … and it has no snapshots then */
  const FleetHost *now;    /* where it is, and is ours; NULL: nowhere that could be asked */
  const FleetHost *stale;  /* where an older copy of it is, by its epoch; NULL: nowhere */
  const FleetHost *never_ran; /* where a migration left a newer copy of it that never ran, while this one goes on; NULL: nowhere */
  const FleetHost *adopts; /* where a domain is that shall become it; NULL: nowhere, or it is somewhere already */
  const Fleet *fleet;
  gboolean back;           /* home is only where it would rather be (failBack) */
  char *stays;             /* why it doesn't go back there, in words; NULL: it does, or needn't */
  char *unfit;             /* why `home` can't take it, as the hosts themselves say; NULL: it can, or it doesn't move */
  char *remark;            /* … what is worth knowing of `home`, though it can; NULL: nothing */
  char *error;             /* why nothing is done to it: no host fits, it is on two, a host that may run it can't be asked */
} Placed;

/* Placed *, one for each machine of desired. now: seconds since 1970. */
GPtrArray *placement_of(const Desired *desired, const Fleet *fleet, gint64 now);
/* What only goes back gladly doesn't where its new home turned out to refuse it: it stays, and says why. So does what was shut down
 * for a move that can't go on: it is started where it is, and the next plan has the refusal. Whether there was any: then all is to be
 * planned anew. */
gboolean placement_keep_refused(const GPtrArray *placed, const Plan *plan);
/* The copy that counts; NULL: none is seen. */
const ActualDomain *placed_domain(const Placed *placed);
/* How often a domain of ours has moved. */
gint64 placement_epoch(const ActualDomain *domain);
/* NULL: none of this name, or no fleet (NULL). */
const Placed *placed_find(const GPtrArray *placed, const char *machine);
/* What the file asks for: labels of a host, or its name; NULL: nothing of that sort. */
const StringMap *placement_selector(const Object *machine, const char **ret_host /* may be NULL */);
/* Whether a host has all labels of a selector. */
gboolean placement_matches(const StringMap *selector, const FleetHost *host);
