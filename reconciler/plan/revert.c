/* Going back to a snapshot: once for each request of the file, and to its end where an earlier run was interrupted.
 *
 * Two actions: one that shuts the machine down, keeps its present and lets it go back, which is over when our record
 * says `reverted`; and one that does what follows from it (libvirt's notes on snapshots, the start, what is left over)
 * and takes `reverting` off the record. */
#include "reconciler/plan/facts.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/revert_rules.h"
#include "reconciler/plan/snapshot_rules.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const ActualDomain *found;
  const GPtrArray *sources;
  const VmSpec *vm;              /* declared and resolved */
  const RevertFactSpec *begun;   /* NULL: none is under way */
  const VolumeUsers *users;
} Stage;

static PowerState power_now(const Stage *stage) {
  PowerState power = PowerState_stopped;
  power_state_of(stage->found->state, stage->found->has_managed_save, &power);
  return power;
}

/* As declared; else as it was, or resumed where the snapshot has the memory. */
static PowerState power_wanted(const Stage *stage, gboolean memory) {
  PowerState was = stage->begun != NULL ? (PowerState)stage->begun->power : power_now(stage);
  PowerState wanted = given(stage->vm, VmSpec, powerState) ? (PowerState)stage->vm->powerState : memory ? PowerState_running : was;
  gboolean paused = given(stage->vm, VmSpec, startPaused) && stage->vm->startPaused;
  return wanted == PowerState_hibernated ? PowerState_stopped : wanted == PowerState_running && paused ? PowerState_paused : wanted;
}

static void set_of_disk(Action *action, const char *key, const char *target, const char *value) {
  g_autofree char *name = g_strdup_printf("%s.%s", key, target);
  string_map_set(action->args, name, value);
}

static void set_bytes(Action *action, const char *target, guint64 bytes) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, bytes);
  set_of_disk(action, "bytes", target, text);
}

static guint64 declared_size(const Stage *stage, const char *target) {
  const DiskSpec *disk = vm_disk(stage->vm, target);
  return disk != NULL && given(disk, DiskSpec, size) ? disk->size : 0;
}

/* The machine's memory fits its disks only when all of them go back with it. */
static const char *memory_of(const Stage *stage, const ActualSnapshot *snapshot) {
  g_autoptr(GPtrArray) untouched = revert_untouched(stage->found, snapshot);
  if (snapshot->memory_path == NULL || untouched->len == 0)
    return snapshot->memory_path;
  build_note(stage->object, g_strdup_printf("the memory of snapshot %s isn't restored, the machine boots instead: it doesn't fit to disk %s, "
                                            "which stays as it is", snapshot->name, (char *)untouched->pdata[0]));
  return NULL;
}

/* The present must be kept in the same way: an overlay on a file within which the machine goes back would be lost. */
static char *check_safety(const Stage *stage, const RevertPlan *plan, const char *name, GStrv targets) {
  const FactsSpec *facts = &stage->found->owner->facts;
  gboolean ours = facts_find(facts, FactsSpec_snapshots, name) != NULL;
  if (actual_snapshot(stage->found, name) != NULL && !(ours && stage->begun != NULL))
    return g_strdup_printf("there is a snapshot %s already, and the present would be kept under that name: choose another word as request", name);
  g_autofree char *why = NULL;
  const VmSpec *now = actual_now(stage->found);
  g_auto(GStrv) disks = snapshot_disks(now, stage->vm, plan->internal ? SnapshotMode_internal : SnapshotMode_external,
                                       plan->internal ? NULL : targets, &why);
  return disks != NULL ? NULL : g_strdup_printf("the present can't be kept first: %s; with safety: false it isn't", why);
}

static void add_disk(const Stage *stage, Action *action, const RevertPlan *plan, const RevertDisk *disk, gboolean safety, gboolean memory) {
  if (plan->internal)
    return;
  g_autoptr(GPtrArray) abandoned = revert_abandoned(stage->users, stage->found, plan, disk, safety);
  for (guint i = 0; safety && i < abandoned->len; i++) /* nothing is lost where the present is kept */
    build_note(stage->object, g_strdup_printf("%s, of a branch that was left before, stays, and no snapshot names it any more: delete it when you "
                                              "don't need what is in it", (char *)abandoned->pdata[i]));
  g_ptr_array_add(abandoned, NULL);
  g_autofree char *leaving = g_strjoinv("\n", (char **)abandoned->pdata);
  set_of_disk(action, "holds", disk->target, disk->holds);
  set_of_disk(action, "format", disk->target, disk->format);
  set_of_disk(action, "pool", disk->target, disk->pool);
  set_of_disk(action, "from", disk->target, disk->top);
  /* What is resumed must find the disk as large as it knew it; it is grown then. */
  set_bytes(action, disk->target, memory ? disk->bytes : MAX(disk->bytes, declared_size(stage, disk->target)));
  if (*leaving && !safety)
    set_of_disk(action, "leaving", disk->target, leaving);
}

static char *describe(const Stage *stage, const RevertPlan *plan, const char *safety, Action *action) {
  g_autofree char *shutdown = plan_shutdown(stage->vm, TRUE, action);
  gboolean off = power_now(stage) == PowerState_stopped;
  g_autofree char *keep = safety != NULL ? g_strdup_printf("keep the present as snapshot %s, ", safety) : g_strdup("without keeping the present ");
  return g_strdup_printf("%s%s%sgo back to snapshot %s", off ? "" : shutdown, off ? "" : ", ", keep, plan->snapshot->name);
}

static Action *revert(const Stage *stage, const RevertPlan *plan, const char *safety, GStrv targets, PowerState power, const char *memory) {
  const RevertSpec *wanted = &stage->vm->revert;
  g_autofree char *disks = g_strjoinv(",", targets);
  Action *action = build_action(stage->builder, stage->object, ACTION_DOMAIN_REVERT, NULL, NULL, "to", wanted->to, "request", wanted->request,
                                "disks", disks, "safety", safety, "internal", plan->internal ? "true" : NULL, "power",
                                PowerState_words.words[power], "memory", memory, NULL);
  action->description = describe(stage, plan, safety, action);
  for (guint i = 0; i < plan->disks->len; i++)
    add_disk(stage, action, plan, plan->disks->pdata[i], safety != NULL, memory != NULL);
  action->impact = safety == NULL ? IMPACT_DATA_LOSS : stage->found->active ? IMPACT_RESTART : IMPACT_NONE;
  action->permitted = TRUE; /* that is what the request asks for */
  return action;
}

static Action *finish(const Stage *stage, const char *request, PowerState power, const char *memory, const Action *after, char *description) {
  g_autoptr(GPtrArray) targets = g_ptr_array_new();
  Action *action = build_action(stage->builder, stage->object, ACTION_REVERT_FINISH, after != NULL ? after->id : NULL, description, "request",
                                request, "power", PowerState_words.words[power], "memory", memory, NULL);
  for (guint i = 0; i < stage->found->defined_disks->len; i++) {
    const ActualDisk *disk = stage->found->defined_disks->pdata[i];
    const ActualVolume *top = volume_users_layer(stage->users, disk->path);
    if (top == NULL || top->pool == NULL)
      continue;
    g_ptr_array_add(targets, disk->target);
    set_of_disk(action, "pool", disk->target, top->pool);
    if (declared_size(stage, disk->target) > 0)
      set_bytes(action, disk->target, declared_size(stage, disk->target));
  }
  g_ptr_array_add(targets, NULL);
  g_autofree char *disks = g_strjoinv(",", (char **)targets->pdata);
  string_map_set(action->args, "disks", disks);
  action->impact = power == PowerState_stopped && stage->found->active ? IMPACT_RESTART : IMPACT_NONE;
  action->permitted = TRUE;
  plan_bases(stage->builder, action, stage->found->defined_disks, stage->sources);
  return action;
}

static const char *power_text(PowerState power, const char *memory) {
  if (power == PowerState_stopped)
    return "leave it off";
  return memory != NULL ? "resume it with the memory of the snapshot" : power == PowerState_paused ? "start it, CPUs stopped" : "start it";
}

static char *plan_request(const Stage *stage, GPtrArray *actions) {
  const RevertSpec *wanted = &stage->vm->revert;
  char *error = NULL;
  g_autoptr(RevertPlan) plan = revert_plan_new(stage->builder->input->actual, stage->users, stage->found, wanted->to, wanted->request,
                                               stage->begun != NULL, &error);
  if (plan == NULL)
    return error;
  gboolean keep = !given(wanted, RevertSpec, safety) || wanted->safety;
  g_autofree char *safety = keep ? g_strconcat("revert-", wanted->request, NULL) : NULL;
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < plan->disks->len; i++)
    g_ptr_array_add(names, g_strdup(((const RevertDisk *)plan->disks->pdata[i])->target));
  g_ptr_array_add(names, NULL);
  error = keep ? check_safety(stage, plan, safety, (GStrv)names->pdata) : NULL;
  if (error != NULL)
    return error;
  g_autoptr(GPtrArray) untouched = revert_untouched(stage->found, plan->snapshot);
  for (guint i = 0; i < untouched->len; i++)
    build_note(stage->object, g_strdup_printf("disk %s stays as it is: snapshot %s doesn't have it", (char *)untouched->pdata[i], wanted->to));
  const char *memory = memory_of(stage, plan->snapshot);
  gboolean resumes = memory != NULL || (plan->internal && plan->snapshot->memory);
  PowerState power = power_wanted(stage, resumes);
  if (power == PowerState_stopped)
    memory = NULL;
  Action *back = revert(stage, plan, safety, (GStrv)names->pdata, power, memory);
  build_wait_all(back, actions);
  g_ptr_array_add(actions, back);
  g_autofree char *text = g_strdup_printf("finish the revert: %s", power_text(power, memory));
  g_ptr_array_add(actions, finish(stage, wanted->request, power, memory, back, g_steal_pointer(&text)));
  return NULL;
}

/* One that an interrupted run has carried out, or that nobody asks for any more. */
static char *plan_rest(const Stage *stage, gboolean done, GPtrArray *actions) {
  const ActualSnapshot *snapshot = actual_snapshot(stage->found, stage->begun->to);
  const char *memory = done && snapshot != NULL ? memory_of(stage, snapshot) : NULL;
  PowerState power = power_wanted(stage, memory != NULL);
  const char *path = power != PowerState_stopped ? memory : NULL;
  char *text = g_strdup_printf("%s the revert to snapshot %s that was interrupted: %s", done ? "finish" : "give up", stage->begun->to,
                               power_text(power, path));
  Action *rest = finish(stage, stage->begun->request, power, path, NULL, text);
  build_wait_all(rest, actions);
  g_ptr_array_add(actions, rest);
  return NULL;
}

static char *plan_stage(const Stage *stage, GPtrArray *actions, gboolean *ret_alone) {
  const FactsSpec *facts = &stage->found->owner->facts;
  const RevertSpec *wanted = given(stage->vm, VmSpec, revert) ? &stage->vm->revert : NULL;
  const char *last = given(facts, FactsSpec, reverted) ? facts->reverted : NULL;
  gboolean asked = wanted != NULL && g_strcmp0(wanted->request, last) != 0;
  gboolean done = stage->begun != NULL && g_strcmp0(stage->begun->request, last) == 0;
  gboolean same = stage->begun != NULL && asked && g_str_equal(stage->begun->request, wanted->request) && g_str_equal(stage->begun->to, wanted->to);
  *ret_alone = TRUE;
  if (stage->begun != NULL && (done || !same))
    return plan_rest(stage, done, actions);
  if (asked)
    return plan_request(stage, actions);
  *ret_alone = FALSE;
  return NULL;
}

char *plan_revert(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions,
                  gboolean *ret_alone) {
  const VmSpec *vm = object_vm(object->desired);
  *ret_alone = FALSE;
  if (found->owner == NULL)
    return given(vm, VmSpec, revert) ? g_strdup("revert: take the machine over first, without revert; then ask for it") : NULL;
  const FactsSpec *facts = &found->owner->facts;
  if (!given(vm, VmSpec, revert) && !given(facts, FactsSpec, reverting))
    return NULL;
  Stage stage = {builder, object, found, sources, vm, given(facts, FactsSpec, reverting) ? &facts->reverting : NULL, NULL};
  stage.users = uses_volumes(builder->uses);
  g_autofree char *error = plan_stage(&stage, actions, ret_alone);
  return error != NULL ? g_strdup_printf("revert to %s: %s", given(vm, VmSpec, revert) ? vm->revert.to : facts->reverting.to, error) : NULL;
}
