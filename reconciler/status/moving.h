/* Machines that are on their way, as status tells it: by their records, those of the other hosts that are looked at, and the journal of the
 * run that moves them. */
#pragma once
#include "reconciler/plan/fleet.h"

/* Names of hosts, borrowed; NULL: none. */
typedef struct {
  const char *to;    /* it is being moved there, or something made for it is there since a move was interrupted */
  gboolean arriving; /* … and a copy of it may run there */
  const char *from;  /* it comes from there, and something of it may be left there */
} Moving;

/* fleet, here: may be NULL, then only what its own record says is known. */
Moving moving_of(const ActualDomain *domain, const Fleet *fleet, const FleetHost *here);
/* "moving to lab-b"; NULL: it stays. Free it. */
char *moving_text(const Moving *moving);

/* What the run that is under way has begun: const JournalAction *; NULL: there is no such run. */
GPtrArray *steps_under_way(Journal *journal);
/* What it is doing with a machine just now; NULL: nothing. */
const JournalAction *step_of(const GPtrArray *steps /* may be NULL */, const char *name);
