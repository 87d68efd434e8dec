#include "reconciler/rules/rules.h"

#include "reconciler/plan/input.h"
#include "reconciler/plan/space.h"
#include "reconciler/rules/policy.h"
#include "reconciler/rules/windows.h"

typedef struct {
  const Rules *rules;
  Plan *plan;
  GHashTable *objects; /* object id → PlanObject * */
  GHashTable *held;    /* ids of actions that aren't done now */
  gint64 opens;        /* the soonest window that something waits for; 0: none */
} Holding;

static PlanObject *object_of(const Holding *holding, const Action *action) {
  return g_hash_table_lookup(holding->objects, action->object);
}

static gboolean is_held(const Holding *holding, const Action *action) { return g_hash_table_contains(holding->held, action->id); }

static void hold(PlanObject *object, HoldKind kind, char *note /* taken */) {
  if (object->hold == HOLD_NONE)
    object->hold = kind;
  for (guint i = 0; i < object->notes->len; i++)
    if (g_str_equal(object->notes->pdata[i], note)) {
      g_free(note);
      return;
    }
  g_ptr_array_add(object->notes, note);
}

static void hold_actions_of(Holding *holding, const PlanObject *object) {
  for (guint i = 0; i < holding->plan->actions->len; i++) {
    const Action *action = holding->plan->actions->pdata[i];
    if (object_of(holding, action) == object)
      g_hash_table_add(holding->held, action->id);
  }
}

/* What was planned counts as long as nothing forbids it: the file as it is now, else what it was. */
static gboolean is_suspended(const PlanObject *object, const Actual *actual) {
  const MetadataSpec *metadata = object->declared ? &object->declared->metadata : NULL;
  const ActualDomain *domain = object->kind == KIND_VIRTUAL_MACHINE ? g_hash_table_lookup(actual->domains, object->name) : NULL;
  if (!metadata && domain && domain->owner)
    metadata = &domain->owner->metadata;
  const char *value = metadata && given(metadata, MetadataSpec, annotations)
                          ? string_map_get(metadata->annotations, SUSPEND_ANNOTATION) : NULL;
  return value && !g_str_equal(value, "false"); /* "True", "yes": who writes it wants nothing to happen */
}

static void hold_object(Holding *holding, PlanObject *object, const char *id, const Actual *actual) {
  const Rules *rules = holding->rules;
  char *waits = rules->patience ? rules->patience(rules->patience_data, id) : NULL;
  if (rules->suspend)
    hold(object, HOLD_SUSPENDED, g_strdup("suspended by the configuration: nothing is changed"));
  else if (is_suspended(object, actual))
    hold(object, HOLD_SUSPENDED, g_strdup("suspended by its annotation " SUSPEND_ANNOTATION ": it is left as it is"));
  else if (waits)
    hold(object, HOLD_BACKOFF, g_steal_pointer(&waits));
  g_free(waits);
  if (object->hold != HOLD_NONE)
    hold_actions_of(holding, object);
}

/* One action beyond what is allowed, and its object stays as it is. */
static void hold_forbidden(Holding *holding) {
  for (guint i = 0; i < holding->plan->actions->len; i++) {
    const Action *action = holding->plan->actions->pdata[i];
    PlanObject *object = object_of(holding, action);
    if (action->impact < IMPACT_RESTART || action->permitted || (holding->rules->allow & ALLOW(action->impact)) ||
        object->hold != HOLD_NONE)
      continue;
    hold(object, HOLD_FORBIDDEN, g_strdup_printf("nothing is done: \"%s\" has the impact %s, which the configuration doesn't allow (allow: [%s])",
                                                          action->description, impact_words[action->impact], impact_words[action->impact]));
    hold_actions_of(holding, object);
  }
}

static void hold_by_window(Holding *holding, const Action *action) {
  const WindowSpec *window;
  gint64 opens;
  if (is_held(holding, action) || !windows_hold(holding->rules->windows, action->impact, holding->rules->now, &window, &opens))
    return;
  PlanObject *object = object_of(holding, action);
  g_autofree char *time = window_time_text(window, opens);
  hold(object, HOLD_WINDOW, g_strdup_printf("%s: waits for window %s until %s", action->description, window->name, time));
  g_hash_table_add(holding->held, action->id);
  if (holding->opens == 0 || opens < holding->opens)
    holding->opens = opens;
  if (object->change == CHANGE_DELETE)
    hold_actions_of(holding, object);
}

/* A machine isn't stopped where its start would have to wait. Nor is a move begun that would have to: its first part would be done
 * anew in every pass. */
static void hold_stops(Holding *holding) {
  for (guint i = 0; i < holding->plan->actions->len; i++) {
    const Action *action = holding->plan->actions->pdata[i];
    gboolean begins = action->impact >= IMPACT_RESTART || action->kind == ACTION_MOVE_CHECK;
    if (begins && object_of(holding, action)->hold == HOLD_WINDOW)
      g_hash_table_add(holding->held, action->id);
  }
}

/* Actions stand in an order that respects what they wait for: once through finds all that follows. */
static void hold_followers(Holding *holding) {
  for (guint i = 0; i < holding->plan->actions->len; i++) {
    const Action *action = holding->plan->actions->pdata[i];
    for (guint n = 0; n < action->after->len && !is_held(holding, action); n++) {
      if (!g_hash_table_contains(holding->held, action->after->pdata[n]))
        continue;
      g_hash_table_add(holding->held, action->id);
      PlanObject *object = object_of(holding, action);
      if (object->hold == HOLD_NONE)
        hold(object, HOLD_OTHER, g_strdup_printf("%s: waits for another object, which isn't changed now", action->description));
    }
  }
}

/* What a restart would have brought is pending again where the restart doesn't happen. */
static void restore_pending(PlanObject *object) {
  for (guint i = 0; i < object->fields->len; i++) {
    FieldChange *change = object->fields->pdata[i];
    if (change->live && change->effect == EFFECT_NEXT_START)
      change->pending = TRUE;
  }
}

static void drop_held(Holding *holding) {
  GPtrArray *actions = holding->plan->actions;
  for (guint i = 0; i < actions->len;) {
    Action *action = actions->pdata[i];
    if (!is_held(holding, action)) {
      i++;
      continue;
    }
    if (action->impact == IMPACT_RESTART)
      restore_pending(object_of(holding, action));
    g_hash_table_remove(holding->held, action->id); /* its key goes with the action */
    g_ptr_array_remove_index(actions, i);
  }
}

/* Too little space in a pool concerns those who would take it. */
static void reject_who_takes(Plan *plan, const ActualPool *pool) {
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    for (guint n = 0; n < plan->actions->len && object->change != CHANGE_ERROR; n++) {
      const Action *action = plan->actions->pdata[n];
      if (g_str_equal(action->object, id) && space_taken(action, pool) > 0)
        plan_reject(plan, object, g_strdup(plan->refused));
    }
  }
}

/* Pool by pool: what is left of the plan may be too much for another one. */
static void reject_for_space(Plan *plan, const Actual *actual) {
  while (plan->short_pool) {
    g_autofree char *name = g_steal_pointer(&plan->short_pool);
    const ActualPool *pool = g_hash_table_lookup(actual->pools, name);
    if (pool)
      reject_who_takes(plan, pool);
    g_clear_pointer(&plan->refused, g_free);
    if (pool)
      plan->refused = space_check(actual, plan, &plan->short_pool);
  }
}

/* An action that waits for one that was rejected can't be done either. */
static void reject_orphans(Plan *plan, GHashTable *before) {
  g_autoptr(GHashTable) now = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < plan->actions->len; i++)
    g_hash_table_add(now, ((Action *)plan->actions->pdata[i])->id);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    for (guint n = 0; n < action->after->len; n++) {
      const char *after = action->after->pdata[n];
      if (g_hash_table_contains(now, after) || !g_hash_table_contains(before, after))
        continue;
      PlanObject *object = (PlanObject *)plan_object(plan, action->object);
      plan_reject(plan, object, g_strdup_printf("it needs %s, which is refused", (const char *)g_hash_table_lookup(before, after)));
      reject_orphans(plan, before);
      return;
    }
  }
}

static void apply_policy(const Rules *rules, Plan *plan, const Actual *actual) {
  g_autoptr(GHashTable) before = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    g_hash_table_insert(before, g_strdup(action->id), g_strdup(action->object));
  }
  reject_for_space(plan, actual);
  if (rules->policy)
    policy_apply(rules->policy, rules->resolve, plan, actual);
  reject_orphans(plan, before);
}

gint64 rules_apply(const Rules *rules, Plan *plan, const Actual *actual) {
  apply_policy(rules, plan, actual);
  g_autoptr(GHashTable) objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) held = g_hash_table_new(g_str_hash, g_str_equal);
  Holding holding = {.rules = rules, .plan = plan, .objects = objects, .held = held};
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    g_hash_table_insert(objects, plan_object_id(object), object);
  }
  g_autoptr(GHashTable) acting = g_hash_table_new(g_direct_hash, g_direct_equal);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    PlanObject *object = object_of(&holding, action);
    if (g_hash_table_add(acting, object))
      hold_object(&holding, object, action->object, actual);
  }
  hold_forbidden(&holding);
  for (guint i = 0; i < plan->actions->len; i++)
    hold_by_window(&holding, plan->actions->pdata[i]);
  hold_stops(&holding);
  hold_followers(&holding);
  drop_held(&holding);
  return holding.opens;
}
