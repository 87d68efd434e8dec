/* One virtual machine: volumes for its disks, its definition, what changes live, its power; stage by stage. */
#include "reconciler/plan/migration.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/context.h"
#include "reconciler/plan/moved.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const Comparison *compared;
  const ActualDomain *found;   /* NULL: to be created */
  const GPtrArray *sources;    /* of DiskSource *, of its disks */
  GPtrArray *actions;          /* so far */
  const char *after;           /* id of the action after which the machine is as defined; NULL: it is */
  const Action *due;           /* a snapshot by the clock: nothing waits for it */
  gboolean complete;           /* no further stage */
} Course;

/* Appends its actions. Returns why nothing can be done with the machine, or NULL. */
typedef char *(*Stage)(Course *course);

/* Definition and record. */

/* libvirt knows a machine by its UUID: one of another name was renamed by hand. */
static char *check_uuid(Course *course) {
  const Object *desired = course->object->desired;
  const ActualDomain *domain = uses_uuid(course->builder->uses, object_vm(desired)->uuid);
  return domain == NULL ? NULL
                        : g_strdup_printf("the machine %s has its UUID %s: if that was renamed, rename it back ('virsh domrename %s %s'); "
                                          "else give another uuid", domain->name, domain->uuid, domain->name, desired->metadata.name);
}

static char *wait_for_others(const Course *course, Action *action) {
  return plan_wait_for_others(course->builder, course->object, course->sources, action);
}

/* A copy of it may come back with a host that is given up. */
static void begin_epoch(const Course *course, Action *define) {
  const Placed *placed = placed_find(course->builder->input->placed, course->object->name);
  if (placed == NULL || !fleet_has_fenced(placed->fleet))
    return;
  g_autofree char *epoch = g_strdup_printf("%" G_GINT64_FORMAT, fleet_new_epoch(placed->fleet, course->builder->input->now));
  string_map_set(define->args, "epoch", epoch);
}

static char *define(Course *course) {
  Action *define = build_action(course->builder, course->object, ACTION_DOMAIN_DEFINE, NULL, g_strdup("define the machine"), NULL);
  begin_epoch(course, define);
  plan_taken(course->builder, define, NULL, course->sources);
  build_wait_all(define, course->actions);
  g_ptr_array_add(course->actions, define);
  course->after = define->id;
  return wait_for_others(course, define);
}

/* First of all where a machine is taken over: what is done to one is noted in our record. */
static char *take_over(Course *course) {
  if (!course->object->adopt)
    return NULL;
  Action *action = build_action(course->builder, course->object, ACTION_DOMAIN_RECORD, NULL,
                                g_strdup("take over: write our record into its metadata"), NULL);
  g_ptr_array_add(course->actions, action);
  return wait_for_others(course, action);
}

static gboolean needs_redefine(const PlanObject *object) {
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    gboolean ours = change->field->xml == NULL && change->effect == EFFECT_NONE;
    if (change->persistent && !ours && change->call != CALL_POWER && change->call != CALL_AUTOSTART && change->call != CALL_RESIZE_DISK)
      return TRUE;
  }
  return FALSE;
}

/* Brings definition and record in line. */
static char *define_anew(Course *course) {
  PlanObject *object = course->object;
  Action *action = NULL;
  if (needs_redefine(object))
    action = build_action(course->builder, object, ACTION_DOMAIN_REDEFINE, NULL, g_strdup("change the definition"), NULL);
  else if (!object->adopt && course->compared->record_differs)
    action = build_action(course->builder, object, ACTION_DOMAIN_RECORD, NULL, g_strdup("update our record in its metadata"), NULL);
  if (action == NULL)
    return NULL;
  if (action->kind == ACTION_DOMAIN_REDEFINE)
    plan_taken(course->builder, action, course->found, course->sources);
  build_wait_all(action, course->actions);
  g_ptr_array_add(course->actions, action);
  course->after = action->id;
  return wait_for_others(course, action);
}

static char *autostart(Course *course) {
  const VmSpec *vm = object_vm(course->object->desired);
  const GPtrArray *fields = course->object->fields;
  gboolean has = course->found != NULL && course->found->autostart, wanted = has;
  if (given(vm, VmSpec, autostart))
    wanted = vm->autostart;
  for (guint i = 0; i < fields->len; i++) {
    const FieldChange *change = fields->pdata[i];
    if (change->call == CALL_AUTOSTART)
      wanted = g_strcmp0(change->to, "true") == 0;
  }
  if (wanted != has)
    g_ptr_array_add(course->actions, build_action(course->builder, course->object, ACTION_DOMAIN_AUTOSTART, course->after,
                                                  g_strdup(wanted ? "start with the host" : "don't start with the host"), "value",
                                                  wanted ? "true" : "false", NULL));
  return NULL;
}

/* Whether and when a guest gives memory back is up to it. */
static void note_balloon(Course *course) {
  const VmSpec *desired = object_vm(course->object->desired), *live = actual_live(course->found);
  const DiffInput diff = diff_input(desired, NULL, course->found);
  if (!context_awaits_balloon(&diff))
    return;
  g_autofree char *has = bytes_format(live->memory.size), *told = bytes_format(desired->memory.size);
  build_note(course->object, given(&live->balloon, BalloonSpec, model) && live->balloon.model == BalloonModel_none
             ? g_strdup_printf("it has no memory balloon, and so %s of memory, not %s", has, told)
             : g_strdup_printf("the guest has %s of memory and was told to give back all but %s: it hasn't yet, or took some again", has, told));
}

static char *live_changes(Course *course) {
  note_balloon(course);
  if (course->found->active)
    plan_live_changes(course->builder, course->object, course->found, course->after, course->actions);
  return NULL;
}

/* Disks and snapshots. */

static char *networks(Course *course) {
  return plan_network_trouble(course->builder, object_vm(course->object->desired), course->found);
}

static char *shared(Course *course) {
  return plan_shared(course->builder, course->object, course->found, course->sources);
}

static char *volumes(Course *course) {
  return plan_disk_volumes(course->builder, course->object, course->sources, course->actions);
}

/* Growth and new volumes, after all that comes before anything changes. */
static char *storage(Course *course) {
  guint first = course->actions->len;
  plan_disks_left(course->object, course->found);
  plan_disks_as_made(course->builder, course->object, course->found);
  char *error = plan_disk_growth(course->builder, course->object, course->found, course->actions);
  if (error == NULL)
    error = volumes(course);
  for (guint i = first; i < course->actions->len; i++)
    for (guint before = 0; before < first; before++)
      build_wait(course->actions->pdata[i], ((const Action *)course->actions->pdata[before])->id);
  return error;
}

static char *helper_end(Course *course) {
  plan_helper_end(course->builder, course->object, course->found, course->actions);
  return NULL;
}

/* Where the rest may need a restart, that is shown by the request. */
static void show_restart(const Course *course) {
  for (guint i = 0; plan_may_restart(course->builder, object_vm(course->object->desired)) && i < course->actions->len; i++) {
    Action *action = course->actions->pdata[i];
    if (action->kind == ACTION_DOMAIN_REVERT)
      action->impact = MAX(action->impact, IMPACT_RESTART);
  }
}

/* A machine that goes back to a snapshot is then what only that brings to light: the rest follows. */
static void leave_rest(const Course *course) {
  PlanObject *object = course->object;
  g_autoptr(GString) rest = g_string_new(NULL);
  object->change = CHANGE_UPDATE;
  object->follows = TRUE;
  for (guint i = object->fields->len; i > 0; i--) {
    const FieldChange *change = object->fields->pdata[i - 1];
    if (g_str_has_prefix(change->path, "revert") || change->call == CALL_POWER || change->call == CALL_RESIZE_DISK)
      continue; /* done with it */
    g_string_append_printf(rest, "%s%s", rest->len > 0 ? ", " : "", change->path);
    g_ptr_array_remove_index(object->fields, i - 1);
  }
  if (rest->len == 0)
    return;
  show_restart(course);
  build_note(object, g_strdup_printf("the rest is looked at and done when it is back, in the same run: %s", rest->str));
}

static char *revert(Course *course) {
  char *error = plan_revert(course->builder, course->object, course->found, course->sources, course->actions, &course->complete);
  if (error == NULL && course->complete)
    leave_rest(course);
  return error;
}

static char *refusal(Course *course) { return build_refusal(course->object->fields); }

static char *snapshots_taken(Course *course) {
  char *error = plan_snapshots_taken(course->builder, course->object, course->found, course->actions);
  if (course->found != NULL && course->actions->len > 0)
    course->after = ((const Action *)course->actions->pdata[course->actions->len - 1])->id;
  return error;
}

static char *first_snapshot_due(Course *course) {
  Action *due = plan_snapshots_due(course->builder, course->object, NULL);
  if (due != NULL) {
    build_wait_all(due, course->actions);
    g_ptr_array_add(course->actions, due);
  }
  return NULL;
}

static char *snapshots_kept(Course *course) {
  course->due = plan_snapshots_due(course->builder, course->object, course->found);
  plan_snapshots_removed(course->builder, course->object, course->found, course->due, course->actions);
  return NULL;
}

static char *chains(Course *course) {
  plan_chain(course->builder, course->object, course->found, course->actions);
  return NULL;
}

static char *conversions(Course *course) {
  char *error = plan_convert_fields(course->builder, course->object, course->found, course->sources);
  if (error == NULL && !course->found->active)
    plan_convert(course->builder, course->object, course->found, course->sources, course->actions);
  return error;
}

static char *exports(Course *course) {
  return plan_exports(course->builder, course->object, course->found, course->sources, course->actions);
}

static char *settle(Course *course) {
  plan_settle(course->builder, course->object, course->found, course->actions);
  return NULL;
}

static char *power(Course *course) {
  plan_power(course->builder, course->object, course->found, course->sources, course->actions);
  return NULL;
}

static char *retired(Course *course) {
  plan_retired(course->builder, course->object, course->found, course->actions);
  return NULL;
}

static const Stage creation[] = {check_uuid, networks, shared, volumes, define, snapshots_taken, first_snapshot_due, autostart, exports, power, NULL};
/* Snapshots that aren't known to libvirt would be merged away as nobody's, and what stands still since its migration broke off is
 * to run on: moved.c sees to it first. */
static char *left_by_a_move(Course *course) {
  course->complete = move_awaits_notes(course->found) || moved_broke_off(placed_find(course->builder->input->placed, course->object->name), course->found);
  if (course->complete)
    g_ptr_array_set_size(course->object->fields, 0);
  return NULL;
}

/* Alone: what its disks are is known only then. */
static char *flattened(Course *course) {
  PlanObject *object = course->object;
  course->complete = plan_flattened(course->builder, object, course->found, course->actions);
  if (!course->complete)
    return NULL;
  g_ptr_array_set_size(object->fields, 0);
  object->change = CHANGE_UPDATE;
  object->follows = TRUE;
  build_note(object, g_strdup("a disk was flattened, and the machine ended before it was certain that the disk holds all that was copied into it: "
                              "the rest is looked at and done when that is seen to, in the same run"));
  return NULL;
}

static char *saved_memory(Course *course) {
  return plan_saved_memory(course->builder, course->object, course->found, course->sources, course->actions, &course->complete);
}

static const Stage update[] = {left_by_a_move, helper_end,   flattened,   revert,   saved_memory,       refusal,        networks, shared, take_over,   snapshots_taken, storage, define_anew,
                               autostart,    live_changes, snapshots_kept, chains,   conversions, exports,         settle,  power,
                               retired,      NULL};

/* FALSE: the machine is in error, and its actions are no more. */
static gboolean go(Course *course, const Stage *stages) {
  for (; *stages != NULL && !course->complete && course->object->change != CHANGE_ERROR; stages++) {
    char *error = (*stages)(course);
    if (error != NULL)
      build_error(course->builder, course->object, error);
  }
  return course->object->change != CHANGE_ERROR;
}

static void plan_create(Course *course) {
  course->object->change = CHANGE_CREATE;
  course->object->fingerprint = g_strdup("absent");
  if (go(course, creation))
    build_ready(course->builder, KIND_VIRTUAL_MACHINE, course->object->name, course->actions->pdata[course->actions->len - 1]);
}

/* What names this source in our record from then on. */
static gboolean writes_record(const Course *course) {
  for (guint i = 0; i < course->actions->len; i++) {
    ActionKind kind = ((const Action *)course->actions->pdata[i])->kind;
    if (kind == ACTION_DOMAIN_REDEFINE || kind == ACTION_DOMAIN_RECORD)
      return TRUE;
  }
  return FALSE;
}

static void plan_update(Course *course, GPtrArray *fields /* taken */) {
  PlanObject *object = course->object;
  object->fingerprint = g_strdup(course->found->fingerprint);
  g_ptr_array_unref(object->fields);
  object->fields = fields;
  if (!go(course, update) || (course->actions->len == 0 && course->due == NULL))
    return;
  const char *source = course->found->owner != NULL ? course->found->owner->source : NULL;
  gboolean takes = source != NULL && g_strcmp0(source, course->builder->input->source) != 0 && (course->complete || writes_record(course));
  char *contested = takes ? build_contested(course->builder, course->found) : NULL;
  if (contested != NULL) {
    build_error(course->builder, object, contested);
    return;
  }
  if (course->complete)
    return;
  if (takes)
    build_note(object, g_strdup_printf("so far it was declared by another source, %s: this run takes it over", source));
  gboolean adopt_only = object->adopt && course->actions->len == 1 && course->due == NULL && object->fields->len == 0;
  object->change = adopt_only ? CHANGE_NONE : CHANGE_UPDATE;
}

void plan_vm(PlanBuilder *builder, const Object *declared) {
  Comparison *compared = g_hash_table_lookup(builder->compared, declared);
  PlanObject *object = build_object(builder, KIND_VIRTUAL_MACHINE, declared->metadata.name, CHANGE_NONE, declared);
  if (compared->error != NULL) {
    build_error(builder, object, g_steal_pointer(&compared->error));
    return;
  }
  object->desired = g_steal_pointer(&compared->resolved->desired);
  object->adopt = compared->found != NULL && compared->found->owner == NULL;
  g_autoptr(GPtrArray) actions = g_ptr_array_new();
  Course course = {.builder = builder, .object = object, .compared = compared, .found = compared->found,
                   .sources = compared->resolved->sources, .actions = actions};
  if (course.found == NULL)
    plan_create(&course);
  else
    plan_update(&course, g_steal_pointer(&compared->fields));
}
