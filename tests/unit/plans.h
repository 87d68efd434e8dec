/* Plans made by hand, for the tests of what is shown and saved. */
#pragma once
#include "reconciler/plan/plan.h"

static inline PlanObject *plans_object(Plan *plan, Kind kind, const char *name, ChangeKind change) {
  PlanObject *object = g_new0(PlanObject, 1);
  object->kind = kind;
  object->name = g_strdup(name);
  object->change = change;
  object->fields = g_ptr_array_new_with_free_func((GDestroyNotify)field_change_free);
  object->notes = g_ptr_array_new_with_free_func(g_free);
  object->fingerprint = g_strdup(change == CHANGE_CREATE ? "absent" : "0123abcd");
  if (change != CHANGE_ORPHAN && change != CHANGE_DELETE) {
    object->place = g_strdup_printf("specs/web.yaml:%u", 10 * (plan->objects->len + 1));
    object->declared = object_new(kind, name);
    object->desired = object_new(kind, name);
  }
  g_ptr_array_add(plan->objects, object);
  return object;
}

static inline FieldChange *plans_field(PlanObject *object, const char *path, const char *from, const char *to, Effect effect) {
  FieldChange *change = g_new0(FieldChange, 1);
  change->path = g_strdup(path);
  change->from = g_strdup(from);
  change->to = g_strdup(to);
  change->effect = effect;
  change->persistent = TRUE;
  g_ptr_array_add(object->fields, change);
  return change;
}

static inline Action *plans_action(Plan *plan, const PlanObject *object, ActionKind kind, Impact impact, const char *after,
                                   const char *description) {
  Action *action = g_new0(Action, 1);
  action->kind = kind;
  action->id = g_strdup_printf("a%u", plan->actions->len + 1);
  action->object = object_id(object->kind, object->name);
  action->impact = impact;
  action->after = g_ptr_array_new_with_free_func(g_free);
  if (after)
    g_ptr_array_add(action->after, g_strdup(after));
  action->args = string_map_new();
  action->description = g_strdup(description);
  g_ptr_array_add(plan->actions, action);
  return action;
}

static inline void plans_spec(Object *object, const char *json) {
  GError *error = NULL;
  gpointer spec = spec_from_json(kinds[object->kind].spec, json, "test", &error);
  g_assert_no_error(error);
  spec_free(kinds[object->kind].spec, object->spec);
  object->spec = spec;
}

static inline Plan *plans_empty(void) {
  Plan *plan = plan_new();
  plan->source = g_strdup("/srv/specs");
  plan->connection = g_strdup("qemu:///system");
  plans_object(plan, KIND_NETWORK, "lan", CHANGE_NONE);
  plans_object(plan, KIND_VIRTUAL_MACHINE, "web-1", CHANGE_NONE);
  return plan;
}

#define PLANS_NEW_VM \
  "{\"powerState\":\"running\",\"cpu\":{\"count\":2,\"max\":8},\"memory\":{\"size\":\"2GiB\"}," \
  "\"disks\":[{\"target\":\"vda\",\"image\":\"debian-12\",\"size\":\"20GiB\"},{\"target\":\"vdb\",\"size\":\"1GiB\"}]," \
  "\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"52:54:00:00:00:01\",\"network\":\"lan\"}]," \
  "\"description\":\"a line that is much longer than anybody wants to read in a plan, which is why it is cut\"}"

/* One of everything, with names and values that would move a cursor or start markup. */
static inline Plan *plans_mixed(void) {
  Plan *plan = plan_new();
  plan->source = g_strdup("https://git.example.org/vms.git");
  plan->revision = g_strdup("0a1b2c3d");
  plan->connection = g_strdup("qemu+ssh://host/system");

  plans_object(plan, KIND_NETWORK, "lan", CHANGE_NONE);
  PlanObject *image = plans_object(plan, KIND_IMAGE, "debian-12", CHANGE_ERROR);
  image->error = g_strdup("/srv/images/debian-12.qcow2 has another digest:\n\033[2Jexpected 00, found 11");
  PlanObject *adopted = plans_object(plan, KIND_VIRTUAL_MACHINE, "adopted", CHANGE_NONE);
  adopted->adopt = TRUE;
  plans_action(plan, adopted, ACTION_DOMAIN_RECORD, IMPACT_NONE, NULL, "take over");

  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "db-1", CHANGE_UPDATE);
  plans_field(web, "memory.size", "2GiB", "4GiB", EFFECT_LIVE_CALL)->live = TRUE;
  FieldChange *max = plans_field(web, "cpu.max", "4", "8", EFFECT_NEXT_START);
  max->live = max->pending = TRUE;
  plans_field(web, "title", NULL, "\033]0;owned\007|`<b>@all", EFFECT_LIVE_CALL);
  plans_field(web, "interfaces[eth0].model", "e1000", "virtio", EFFECT_LIVE_REPLUG);
  plans_field(web, "disks[vdc]", "size 1GiB", NULL, EFFECT_LIVE_CALL)->whole = TRUE;
  g_ptr_array_add(web->notes, g_strdup("waits for a restart: cpu.max"));
  plans_action(plan, web, ACTION_DOMAIN_REDEFINE, IMPACT_NONE, NULL, "change the definition");
  Action *memory = plans_action(plan, web, ACTION_SET_MEMORY, IMPACT_LIVE, "a2", "set the memory to 4GiB");
  string_map_set(memory->args, "bytes", "4294967296");
  plans_action(plan, web, ACTION_DOMAIN_SHUTDOWN, IMPACT_RESTART, "a3", "shut down, to start again")->permitted = TRUE;
  plans_action(plan, web, ACTION_DOMAIN_START, IMPACT_NONE, "a4", "start");

  PlanObject *gone = plans_object(plan, KIND_VIRTUAL_MACHINE, "gone", CHANGE_DELETE);
  plans_action(plan, gone, ACTION_DOMAIN_SHUTDOWN, IMPACT_RESTART, NULL, "shut down");
  plans_action(plan, gone, ACTION_DOMAIN_UNDEFINE, IMPACT_NONE, "a6", "undefine");
  PlanObject *orphan = plans_object(plan, KIND_VIRTUAL_MACHINE, "orphan", CHANGE_ORPHAN);
  g_ptr_array_add(orphan->notes, g_strdup("kept: --prune would delete it"));

  PlanObject *fresh = plans_object(plan, KIND_VIRTUAL_MACHINE, "web-1", CHANGE_CREATE);
  plans_spec(fresh->declared, PLANS_NEW_VM);
  plans_spec(fresh->desired, PLANS_NEW_VM);
  plans_action(plan, fresh, ACTION_VOLUME_CREATE, IMPACT_NONE, NULL, "create an overlay of image debian-12, 20GiB, for disk vda");
  plans_action(plan, fresh, ACTION_DOMAIN_DEFINE, IMPACT_NONE, "a8", "define the machine");
  return plan;
}
