/* What an interrupted run left of a machine's disks, and volumes that were replaced: the old one is deleted once the
 * machine runs on the new one, in the plan that starts it where there is one. */
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/build.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const ActualDomain *found;
  GPtrArray *actions;
} Stage;

static Action *add(const Stage *stage, const char *target, char *description) {
  Action *action = build_action(stage->builder, stage->object, ACTION_DISK_SETTLE, NULL, description, "target", target, NULL);
  build_wait_all(action, stage->actions);
  g_ptr_array_add(stage->actions, action);
  return action;
}

static void add_retired(const Stage *stage, const char *target, const char *path /* NULL: this plan replaces it */) {
  Action *action = add(stage, target, g_strdup_printf("delete %s, which disk %s was before: the machine runs on the new volume",
                                                      path != NULL ? path : "the volume", target));
  string_map_set(action->args, "retired", "true");
}

static const char *target_of(const Action *action) { return string_map_get(action->args, "target"); }

static gboolean is_worked_on(const GPtrArray *actions, const char *target) {
  for (guint i = 0; i < actions->len; i++) {
    const Action *action = actions->pdata[i];
    if ((action->kind == ACTION_LAYER_COMMIT || action->kind == ACTION_DISK_FLATTEN || action->kind == ACTION_DISK_CONVERT) &&
        g_strcmp0(target_of(action), target) == 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean lies_in(const GPtrArray *disks, const char *path) {
  for (guint i = 0; disks != NULL && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    gboolean there = g_strcmp0(disk->path, path) == 0;
    for (guint j = 0; j < disk->chain->len && !there; j++)
      there = g_strcmp0(((const ActualVolume *)disk->chain->pdata[j])->path, path) == 0;
    if (there)
      return TRUE;
  }
  return FALSE;
}

static gboolean goes(const ActualDomain *found, const DiskFactSpec *fact) {
  return given(fact, DiskFactSpec, retired) && found->active && !lies_in(found->disks, fact->retired) &&
         !lies_in(found->defined_disks, fact->retired);
}

/* A person made it the disk again: nothing is to be done about it but to forget that it was replaced. */
static gboolean is_back(const ActualDomain *found, const DiskFactSpec *fact) {
  return given(fact, DiskFactSpec, retired) && lies_in(found->defined_disks, fact->retired);
}

char *plan_retired_wait(const ActualDomain *found, const char *target) {
  const DiskFactSpec *fact = found->owner != NULL ? disk_facts(&found->owner->facts, target) : NULL;
  if (fact == NULL || !given(fact, DiskFactSpec, retired) || goes(found, fact) || is_back(found, fact))
    return NULL;
  return g_strdup_printf("%s, which it was before, is kept until the machine has run on the present one", fact->retired);
}

Action *plan_helper_end(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  const Stage stage = {.builder = builder, .object = object, .found = found, .actions = actions};
  return found->has_helper ? add(&stage, NULL, g_strdup("end the helper domain that an interrupted run left")) : NULL;
}

static const GPtrArray *facts_of(const ActualDomain *found) {
  const FactsSpec *facts = found->owner != NULL ? &found->owner->facts : NULL;
  return facts != NULL && given(facts, FactsSpec, disks) ? facts->disks : NULL;
}

static char *put_away(const DiskFactSpec *fact) { return g_strdup_printf("put away what an interrupted run left of disk %s", fact->target); }

static gboolean is_off(const ActualDomain *found, const GPtrArray *actions) {
  gboolean off = !found->active;
  for (guint i = 0; i < actions->len && !off; i++)
    off = ((const Action *)actions->pdata[i])->kind == ACTION_DOMAIN_SHUTDOWN;
  return off && !found->has_managed_save;
}

gboolean plan_flattened(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  const GPtrArray *facts = facts_of(found);
  const Stage stage = {.builder = builder, .object = object, .found = found, .actions = actions};
  guint before = actions->len;
  for (guint i = 0; facts != NULL && is_off(found, actions) && i < facts->len; i++) {
    const DiskFactSpec *fact = facts->pdata[i];
    const ActualDisk *disk = actual_disk(found->disks, fact->target);
    if (disk != NULL && given(fact, DiskFactSpec, flushing) && !disk_facts_elsewhere(fact, disk))
      add(&stage, fact->target, put_away(fact));
  }
  return actions->len > before;
}

/* The one that comes after the machine is off: a disk that another QEMU has can't be seen to before, and needn't be. */
static gboolean flushes(const ActualDomain *found, const Action *action) {
  const char *target = action->kind == ACTION_DISK_SETTLE ? target_of(action) : NULL;
  const DiskFactSpec *fact = target != NULL && found->owner != NULL ? disk_facts(&found->owner->facts, target) : NULL;
  return fact != NULL && given(fact, DiskFactSpec, flushing);
}

GPtrArray *plan_settle_off(const ActualDomain *found, GPtrArray *actions) {
  guint first = 0;
  while (first < actions->len && !flushes(found, actions->pdata[first]))
    first++;
  GPtrArray *later = g_ptr_array_new(); /* each waits for those before it */
  for (guint i = first; i < actions->len; i++)
    g_ptr_array_add(later, actions->pdata[i]);
  g_ptr_array_set_size(actions, (gint)first);
  return later;
}

gboolean plan_waits_for_flush(PlanObject *object, const ActualDomain *found, const char *what, const char *name) {
  const DiskFactSpec *fact = found != NULL ? disk_facts_flushing(found) : NULL;
  if (fact == NULL)
    return FALSE;
  object->follows |= found->active; /* nothing is done about a hibernated one */
  build_note(object, g_strdup_printf("%s %s waits: disk %s was flattened by an interrupted run, and it isn't certain yet that it holds all", what, name,
                                     fact->target));
  return TRUE;
}

static char *elsewhere(const ActualDisk *disk, const DiskFactSpec *fact) {
  return g_strdup_printf("disk %s was %s when it was flattened, and is %s now. The former may not hold all that was copied into it: it is seen to when it "
                         "is the disk again; what lay beneath it (%s) is kept until then", fact->target, fact->pulledInto, disk->path,
                         fact->beneath != NULL ? fact->beneath : "unknown");
}

void plan_settle(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  const GPtrArray *facts = facts_of(found);
  const Stage stage = {.builder = builder, .object = object, .found = found, .actions = actions};
  for (guint i = 0; facts != NULL && i < facts->len; i++) {
    const DiskFactSpec *fact = facts->pdata[i];
    gboolean begun = given(fact, DiskFactSpec, leaving) || given(fact, DiskFactSpec, coming) || given(fact, DiskFactSpec, flushing);
    const ActualDisk *disk = actual_disk(found->disks, fact->target);
    if (disk == NULL)
      continue;
    if (disk_facts_elsewhere(fact, disk)) {
      build_note(object, elsewhere(disk, fact));
      continue;
    }
    if (!found->active && given(fact, DiskFactSpec, flushing)) { /* hibernated: its QEMU has written all that it had */
      build_note(object, g_strdup_printf("disk %s was flattened, and what an interrupted run left of that stays until the machine runs", fact->target));
      continue;
    }
    if (goes(found, fact))
      add_retired(&stage, fact->target, fact->retired);
    else if ((begun || is_back(found, fact)) && !is_worked_on(actions, fact->target))
      add(&stage, fact->target, begun ? put_away(fact)
                                      : g_strdup_printf("forget that disk %s was replaced: it is %s again", fact->target, fact->retired));
    else
      continue;
    object->follows |= begun; /* what was begun stood in the way of a snapshot's removal, or of a merge */
  }
}

/* The machine runs at the plan's end, and not since before it. */
static gboolean is_started(const GPtrArray *actions) {
  for (guint i = 0; i < actions->len; i++)
    if (((const Action *)actions->pdata[i])->kind == ACTION_DOMAIN_START)
      return TRUE;
  return FALSE;
}

/* Disks that this plan itself replaces, before it starts the machine. */
static void settle_replaced(const Stage *stage) {
  guint count = stage->actions->len;
  for (guint i = 0; i < count; i++) {
    const Action *action = stage->actions->pdata[i];
    if (action_replaces_disk(action))
      add_retired(stage, target_of(action), NULL);
  }
}

void plan_retired(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions) {
  const GPtrArray *facts = facts_of(found);
  const Stage stage = {.builder = builder, .object = object, .found = found, .actions = actions};
  gboolean started = is_started(actions);
  for (guint i = 0; facts != NULL && !found->active && i < facts->len; i++) {
    const DiskFactSpec *fact = facts->pdata[i];
    if (!given(fact, DiskFactSpec, retired) || is_back(found, fact))
      continue;
    if (started && actual_disk(found->disks, fact->target) != NULL)
      add_retired(&stage, fact->target, fact->retired);
    else
      build_note(object, g_strdup_printf("disk %s was replaced, and %s, which it was before, is kept until the machine has run", fact->target,
                                         fact->retired));
  }
  if (started)
    settle_replaced(&stage);
}
