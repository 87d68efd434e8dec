/* `reconcile graph`: machines, disks, layers and snapshots as Graphviz, and a plan's actions in their order. Pure. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/volume_users.h"

/* `domains`: of const ActualDomain *; `plan` may be NULL. */
void graph_append(GString *out, const GPtrArray *domains, const VolumeUsers *users, const Plan *plan);
