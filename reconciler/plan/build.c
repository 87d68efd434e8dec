#include "reconciler/plan/build.h"
#include "schema/value.h"

PlanObject *build_object(PlanBuilder *builder, Kind kind, const char *name, ChangeKind change, const Object *declared) {
  PlanObject *object = g_new0(PlanObject, 1);
  object->kind = kind;
  object->name = g_strdup(name);
  object->host = g_strdup(builder->input->host);
  object->change = change;
  object->fields = g_ptr_array_new_with_free_func((GDestroyNotify)field_change_free);
  object->notes = g_ptr_array_new_with_free_func(g_free);
  if (declared != NULL) {
    object->place = g_strdup_printf("%s:%u", declared->at.file, declared->at.line);
    object->declared = object_ref(declared);
  }
  g_ptr_array_add(builder->plan->objects, object);
  return object;
}

static gboolean is_ready_by(gpointer key G_GNUC_UNUSED, gpointer value, gpointer action) { return g_str_equal(value, ((const Action *)action)->id); }

/* A base that it would have brought is for the next one that needs it to bring. */
static void forget_ready(PlanBuilder *builder, const char *object) {
  for (guint i = 0; i < builder->plan->actions->len; i++) {
    Action *action = builder->plan->actions->pdata[i];
    if (g_str_equal(action->object, object))
      g_hash_table_foreach_remove(builder->ready, is_ready_by, action);
  }
}

void build_error(PlanBuilder *builder, PlanObject *object, char *message) {
  g_autofree char *id = plan_object_id(object);
  forget_ready(builder, id);
  plan_drop_actions(builder->plan, id);
  object->change = CHANGE_ERROR;
  g_free(object->error);
  object->error = message;
  g_hash_table_replace(builder->failed, g_steal_pointer(&id), g_strdup(message));
}

void build_note(PlanObject *object, char *note) { g_ptr_array_add(object->notes, note); }

Action *build_action(PlanBuilder *builder, const PlanObject *object, ActionKind kind, const char *after,
                     char *description, ...) {
  Action *action = g_new0(Action, 1);
  action->kind = kind;
  action->id = g_strdup_printf("%c%u", (char)('a' + builder->input->round), ++builder->next);
  action->object = plan_object_id(object);
  action->impact = action_least_impact[kind];
  action->after = g_ptr_array_new_with_free_func(g_free);
  action->args = string_map_new();
  action->description = description;
  va_list list;
  va_start(list, description);
  const char *key;
  while ((key = va_arg(list, const char *)) != NULL) {
    const char *value = va_arg(list, const char *);
    if (value != NULL)
      string_map_set(action->args, key, value);
  }
  va_end(list);
  build_wait(action, after);
  g_ptr_array_add(builder->plan->actions, action);
  return action;
}

void build_wait(Action *action, const char *after) {
  if (after == NULL || g_str_equal(after, action->id))
    return;
  for (guint i = 0; i < action->after->len; i++)
    if (g_str_equal(action->after->pdata[i], after))
      return;
  g_ptr_array_add(action->after, g_strdup(after));
}

void build_wait_end(Action *action, const char *after) {
  build_wait(action, after);
  if (action->regardless == NULL)
    action->regardless = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(action->regardless, g_strdup(after));
}

void build_last(PlanBuilder *builder, Action *action) {
  guint place = 0;
  if (g_ptr_array_find(builder->plan->actions, action, &place))
    g_ptr_array_add(builder->plan->actions, g_ptr_array_steal_index(builder->plan->actions, place));
}

void build_wait_all(Action *action, const GPtrArray *actions) {
  for (guint i = 0; i < actions->len; i++)
    build_wait(action, ((const Action *)actions->pdata[i])->id);
}

void build_ready(PlanBuilder *builder, Kind kind, const char *name, const Action *action) {
  if (action != NULL)
    g_hash_table_replace(builder->ready, object_id(kind, name), g_strdup(action->id));
}

const char *build_needs(const PlanBuilder *builder, Kind kind, const char *name) {
  g_autofree char *id = object_id(kind, name);
  return g_hash_table_lookup(builder->ready, id);
}

const char *build_failed(const PlanBuilder *builder, Kind kind, const char *name) {
  g_autofree char *id = object_id(kind, name);
  return g_hash_table_lookup(builder->failed, id);
}

char *build_contested(const PlanBuilder *builder, const ActualDomain *domain) {
  const PlanInput *input = builder->input;
  const Ownership *owner = domain->owner;
  if (owner == NULL || owner->source == NULL || !given(&owner->facts, FactsSpec, takenFrom) || input_owns(input, owner->source) ||
      !input_owns(input, owner->facts.takenFrom))
    return NULL;
  return g_strdup_printf("two sources declare it: this one, %s, and %s, which took it over from this one: take it out of one of them; if this one shall "
                         "have it from now on, run it once with --formerly '%s', without --prune", input->source, owner->source, owner->source);
}

char *build_refusal(const GPtrArray *changes) {
  for (guint i = 0; i < changes->len; i++) {
    const FieldChange *change = changes->pdata[i];
    if (change->effect == EFFECT_NEVER)
      return g_strdup_printf("%s is %s and can't become %s: %s", change->path, change->from != NULL ? change->from : "unset",
                             change->to != NULL ? change->to : "unset", change->why);
  }
  return NULL;
}

char *build_scratch(PlanBuilder *builder, guint64 bytes, const char *doing, const char *instead) {
  const PlanInput *input = builder->input;
  builder->scratch += bytes;
  if (input->scratch == 0 || builder->scratch <= input->scratch || (input->allow & ALLOW_OVERCOMMIT))
    return NULL;
  g_autofree char *need = bytes_format_short(builder->scratch), *have = bytes_format_short(input->scratch);
  return g_strdup_printf("the state directory's file system has %s available, and %s may take %s there: make room, give another one by --state-dir%s, "
                         "or insist with --allow overcommit", have, doing, need, instead);
}
