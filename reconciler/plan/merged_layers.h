/* What is left of a disk's chain once a plan's actions have merged layers of it away. Pure. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/actual.h"

/* The layer that is on top then, counted from the one that is now. */
guint merged_layers_top(const Plan *plan, const PlanObject *object, const ActualDomain *found, const ActualDisk *disk);
/* A snapshot that holds layers of the disk then, of those that are there or are taken; NULL: none. Borrowed. */
const char *merged_layers_snapshot(const Plan *plan, const PlanObject *object, const ActualDomain *found, const char *target);
/* A new volume takes the disk's place. */
gboolean merged_layers_replaced(const Plan *plan, const PlanObject *object, const char *target);
/* Snapshots of the machine come or go. */
gboolean merged_layers_change(const Plan *plan, const PlanObject *object);
