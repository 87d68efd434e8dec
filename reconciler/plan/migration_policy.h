/* How a machine is sent to another host: its policy and what the hosts say, as arguments of the action, and
 * what of it doesn't go together there. What its own file can contradict is the schema's matter. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/host_needs.h"

typedef struct {
  const VmSpec *vm;       /* as declared */
  const HostSpec *from, *to;
  gboolean copies_disks;
} MigrationPolicy;

/* What is asked of both hosts where it goes while it runs. */
HostNeeds migration_needs(const VmSpec *vm);
/* Why it can't be sent so; NULL: it can. Free it. */
char *migration_refusal(const MigrationPolicy *policy);
/* Each field under its own name, quantities in bytes and milliseconds; what is off is left out. */
void migration_arguments(const MigrationPolicy *policy, Action *action);
