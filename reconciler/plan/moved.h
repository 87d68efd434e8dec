/* What earlier moves of a machine left behind, and what interrupted ones began (see moved.c). */
#pragma once
#include "reconciler/plan/placement.h"
#include "reconciler/plan/build.h"

/* Its migration ended without a copy that runs there, in a way that libvirt leaves to others: it is paused here, or a definition is
 * left there. That is taken back first (plan_moved), and nothing else is done to it before. */
gboolean moved_broke_off(const Placed *placed /* or NULL */, const ActualDomain *domain);
/* For a machine that is on the builder's host: the older copy there is elsewhere, volumes that it left, a move that
 * the file has taken back. */
void plan_moved(PlanBuilder *builder, const Placed *placed);
/* The same for one that shall move on: before that. Returns why it can't yet, or NULL; the id of the last action. */
char *plan_moved_before(PlanBuilder *builder, PlanObject *object, const Placed *placed, const char **ret_last);
/* For one that is to be deleted: what an interrupted move made of it elsewhere goes first. As plan_moved_before; the id NULL: nothing. */
char *plan_moved_orphan(PlanBuilder *builder, PlanObject *object, const ActualDomain *domain, const char **ret_last);
/* What is done first where snapshots that came along aren't known yet (move_awaits_notes), and alone: or why that can't be. Free it. */
char *moved_snapshots(PlanBuilder *builder, PlanObject *object, const Placed *placed, const ActualDomain *domain);
