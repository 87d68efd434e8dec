/* Snapshots: taken when they are declared first, before anything else changes, or by the clock; taken
 * over where a person made one of the name. */
#include "reconciler/plan/build.h"
#include "reconciler/plan/snapshot_policy.h"
#include "reconciler/plan/snapshot_rules.h"
#include "reconciler/plan/space.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const ActualDomain *found; /* NULL: to be created */
} Stage;

static const VmSpec *now_of(const Stage *stage) {
  return stage->found == NULL ? object_vm(stage->object->desired) : actual_now(stage->found);
}

static const SnapshotFactSpec *fact_of(const Stage *stage, const char *name) {
  return stage->found != NULL && stage->found->owner != NULL ? snapshot_fact(&stage->found->owner->facts, name) : NULL;
}

/* The pool of the first disk, which gets the memory too. */
static const char *pool_of(const Stage *stage, const char *target) {
  const ActualDisk *disk = stage->found != NULL ? actual_disk(stage->found->disks, target) : NULL;
  const ActualVolume *top = disk != NULL && disk->chain->len > 0 ? disk->chain->pdata[0] : NULL;
  return top != NULL ? top->pool : NULL;
}

/* A new layer has its tables only; memory is written as a whole at most. */
#define LAYER_BYTES ((guint64)1 << 20)

static void add_space(const Stage *stage, Action *action, GStrv targets, gboolean memory) {
  for (char **target = targets; *target != NULL; target++)
    space_add(action, pool_of(stage, *target), LAYER_BYTES);
  if (memory)
    space_add(action, pool_of(stage, targets[0]), now_of(stage)->memory.max);
}

static char *describe(const SnapshotSpec *wanted, gboolean begun, GStrv targets, gboolean memory) {
  g_autofree char *disks = g_strjoinv(", ", targets);
  return g_strdup_printf("%s snapshot %s of %s%s%s", begun ? "complete" : "take", wanted->name, disks, memory ? " and the memory" : "",
                         given(wanted, SnapshotSpec, mode) && wanted->mode == SnapshotMode_internal ? ", within the disks' files" : "");
}

/* An action that takes it (or completes it). NULL with *ret_error. */
static Action *take(const Stage *stage, const SnapshotSpec *wanted, SnapshotOrigin origin, gboolean begun, char **ret_error) {
  SnapshotMode mode = given(wanted, SnapshotSpec, mode) ? (SnapshotMode)wanted->mode : SnapshotMode_external;
  Quiesce quiesce = given(wanted, SnapshotSpec, quiesce) ? (Quiesce)wanted->quiesce : Quiesce_automatic;
  g_autofree char *why = stage->found != NULL ? snapshot_obstacle(stage->found) : NULL;
  g_auto(GStrv) targets = why == NULL ? snapshot_disks(now_of(stage), object_vm(stage->object->desired), mode,
                                                       given(wanted, SnapshotSpec, disks) ? wanted->disks : NULL, &why) : NULL;
  gboolean runs = stage->found != NULL && stage->found->active;
  if (targets != NULL && mode == SnapshotMode_internal && runs && given(wanted, SnapshotSpec, memory) && !wanted->memory)
    why = g_strdup("an internal snapshot of a running machine always has its memory: stop it, or use mode external");
  if (why != NULL) {
    *ret_error = g_strdup_printf("snapshot %s: %s", wanted->name, why);
    return NULL;
  }
  gboolean memory = runs && ((given(wanted, SnapshotSpec, memory) && wanted->memory) || mode == SnapshotMode_internal);
  g_autofree char *disks = g_strjoinv(",", targets);
  Action *action = build_action(stage->builder, stage->object, ACTION_SNAPSHOT_TAKE, NULL, describe(wanted, begun, targets, memory),
                                "name", wanted->name, "description", given(wanted, SnapshotSpec, description) ? wanted->description : NULL,
                                "disks", disks, "memory", memory ? "true" : NULL, "mode", SnapshotMode_words.words[mode],
                                "quiesce", Quiesce_words.words[quiesce], "origin", SnapshotOrigin_words.words[origin], NULL);
  add_space(stage, action, targets, memory);
  return action;
}

/* One that the file declares. */
static char *plan_declared(const Stage *stage, const SnapshotSpec *wanted, Action **ret_action) {
  const ActualSnapshot *there = stage->found != NULL ? actual_snapshot(stage->found, wanted->name) : NULL;
  const SnapshotFactSpec *fact = fact_of(stage, wanted->name);
  gboolean begun = fact != NULL && !given(fact, SnapshotFactSpec, consistency);
  char *error = NULL;
  if (there != NULL && fact != NULL && !begun)
    return NULL;
  if (there != NULL && fact == NULL) {
    *ret_action = build_action(stage->builder, stage->object, ACTION_SNAPSHOT_ADOPT, NULL,
                               g_strdup_printf("take over snapshot %s, which a person made", wanted->name), "name", wanted->name, NULL);
    return NULL;
  }
  if (there == NULL && fact != NULL && !begun) {
    build_note(stage->object, g_strdup_printf("snapshot %s was taken and has been removed since, not by us: it isn't taken again; "
                                              "declare another one, or leave it out", wanted->name));
    return NULL;
  }
  if (plan_waits_for_flush(stage->object, stage->found, "snapshot", wanted->name))
    return NULL;
  stage->object->follows |= begun; /* its layers are seen once its completion has refreshed their pools */
  *ret_action = take(stage, wanted, fact != NULL ? (SnapshotOrigin)fact->origin : SnapshotOrigin_declared, begun, &error);
  return error;
}

char *plan_snapshots_taken(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  const Stage stage = {builder, object, found};
  const VmSpec *vm = object_vm(object->desired);
  for (guint i = 0; given(vm, VmSpec, snapshots) && i < vm->snapshots->len; i++) {
    Action *action = NULL;
    char *error = plan_declared(&stage, vm->snapshots->pdata[i], &action);
    if (error != NULL)
      return error;
    if (action == NULL)
      continue;
    build_wait_all(action, actions);
    g_ptr_array_add(actions, action);
  }
  return NULL;
}

Action *plan_snapshots_due(PlanBuilder *builder, PlanObject *object, const ActualDomain *found) {
  const Stage stage = {builder, object, found};
  const SnapshotPolicySpec *policy = policy_of(object_vm(object->desired));
  g_autoptr(GPtrArray) taken = policy_snapshots(policy, found, builder->input->now);
  if (policy == NULL || !policy_is_due(policy, taken, builder->input->now))
    return NULL;
  g_autofree char *name = policy_name(policy, builder->input->now), *error = NULL;
  SnapshotSpec wanted = {.name = name, .quiesce = policy->quiesce};
  set_given(&wanted, SnapshotSpec, name);
  if (given(policy, SnapshotPolicySpec, quiesce))
    set_given(&wanted, SnapshotSpec, quiesce);
  if (plan_waits_for_flush(object, found, "snapshot", name))
    return NULL;
  Action *action = take(&stage, &wanted, SnapshotOrigin_policy, FALSE, &error);
  if (action == NULL)
    build_note(object, g_strdup_printf("due, but not taken: %s", error));
  return action;
}

