#include "reconciler/plan/plan.h"

#include <string.h>

const char *const impact_words[IMPACT_N + 1] = {"none", "live", "next-start", "restart", "data-loss", NULL};
const char *const change_words[CHANGE_N + 1] = {"none", "create", "update", "delete", "orphan", "error", NULL};
const char *const hold_words[HOLD_N + 1] = {"none", "suspended", "backoff", "forbidden", "window", "other", NULL};
const char *const action_words[ACTION_N + 1] = {
#define ACTION(id, name, function, impact, help) [ACTION_##id] = name,
#include "reconciler/plan/actions.def"
#undef ACTION
};
const Impact action_least_impact[ACTION_N] = {
#define ACTION(id, name, function, impact, help) [ACTION_##id] = impact,
#include "reconciler/plan/actions.def"
#undef ACTION
};

const char *effect_word(Effect effect) {
  switch (effect) {
  case EFFECT_LIVE_CALL:
  case EFFECT_LIVE_UPDATE:
  case EFFECT_LIVE_REPLUG: return "live";
  case EFFECT_NEXT_START: return "next-start";
  case EFFECT_NEVER: return "never";
  default: return "none";
  }
}

const char *effect_via(Effect effect) {
  switch (effect) {
  case EFFECT_LIVE_CALL: return "call";
  case EFFECT_LIVE_UPDATE: return "update";
  case EFFECT_LIVE_REPLUG: return "replug";
  default: return NULL;
  }
}

gboolean action_replaces_disk(const Action *action) {
  return (action->kind == ACTION_DISK_CONVERT || action->kind == ACTION_DISK_FLATTEN) && string_map_get(action->args, "volume") != NULL;
}

gboolean action_needs_success(const Action *action, const Action *before) {
  return !action->regardless || !g_ptr_array_find_with_equal_func(action->regardless, before->id, g_str_equal, NULL);
}

gboolean action_moves(const Action *action) { return action->kind == ACTION_DOMAIN_MIGRATE || action->kind == ACTION_DOMAIN_ARRIVE; }

void action_free(Action *action) {
  if (!action)
    return;
  g_free(action->id);
  g_free(action->object);
  g_clear_pointer(&action->after, g_ptr_array_unref);
  g_clear_pointer(&action->regardless, g_ptr_array_unref);
  g_clear_pointer(&action->args, string_map_free);
  g_free(action->description);
  g_free(action);
}

void field_change_free(FieldChange *change) {
  if (!change)
    return;
  g_free(change->path);
  g_free(change->from);
  g_free(change->to);
  g_free(change->match);
  g_free(change->why);
  g_free(change);
}

static void need_free(gpointer data) {
  PlanNeed *need = data;
  g_free(need->host);
  g_free(need->id);
  g_free(need->otherwise);
  g_free(need);
}

void plan_need(PlanObject *object, Kind kind, const char *host, const char *name, char *otherwise) {
  PlanNeed *need = g_new0(PlanNeed, 1);
  need->host = g_strdup(host);
  need->id = g_strconcat(host, "/", kinds[kind].word, "/", name, NULL);
  need->otherwise = otherwise;
  if (!object->needs)
    object->needs = g_ptr_array_new_with_free_func(need_free);
  g_ptr_array_add(object->needs, need);
}

void plan_object_free(PlanObject *object) {
  if (!object)
    return;
  g_free(object->name);
  g_free(object->host);
  g_clear_pointer(&object->fields, g_ptr_array_unref);
  g_free(object->error);
  g_clear_pointer(&object->notes, g_ptr_array_unref);
  g_free(object->place);
  object_free(object->declared);
  object_free(object->desired);
  g_free(object->fingerprint);
  g_clear_pointer(&object->needs, g_ptr_array_unref);
  g_free(object);
}

static void host_free(gpointer data) {
  PlanHost *host = data;
  g_free(host->name);
  g_free(host->connection);
  spec_free(&HostSpec_table, host->spec);
  g_free(host);
}

Plan *plan_new(void) {
  Plan *plan = g_new0(Plan, 1);
  plan->hosts = g_ptr_array_new_with_free_func(host_free);
  plan->objects = g_ptr_array_new_with_free_func((GDestroyNotify)plan_object_free);
  plan->actions = g_ptr_array_new_with_free_func((GDestroyNotify)action_free);
  return plan;
}

void plan_free(Plan *plan) {
  if (!plan)
    return;
  g_free(plan->source);
  g_free(plan->revision);
  g_free(plan->connection);
  g_ptr_array_unref(plan->hosts);
  g_ptr_array_unref(plan->objects);
  g_ptr_array_unref(plan->actions);
  g_free(plan->refused);
  g_free(plan->short_pool);
  g_free(plan);
}

char *plan_object_id(const PlanObject *object) {
  return g_strconcat(object->host ? object->host : "", object->host ? "/" : "", kinds[object->kind].word, "/", object->name, NULL);
}

/* The rest of the text after a word and a slash; NULL: it begins otherwise. */
static const char *after_word(const char *text, const char *word) {
  gsize length = strlen(word);
  return g_str_has_prefix(text, word) && text[length] == '/' ? text + length + 1 : NULL;
}

const PlanObject *plan_object(const Plan *plan, const char *object_id) {
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    const char *rest = object->host ? after_word(object_id, object->host) : object_id;
    const char *name = rest ? after_word(rest, kinds[object->kind].word) : NULL;
    if (name && g_str_equal(name, object->name))
      return object;
  }
  return NULL;
}

static gboolean is_pending(const PlanObject *object) {
  for (guint i = 0; object->fields && i < object->fields->len; i++)
    if (((const FieldChange *)object->fields->pdata[i])->pending)
      return TRUE;
  return FALSE;
}

PlanSummary plan_summary(const Plan *plan) {
  PlanSummary summary = {.actions = plan->actions->len};
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    switch (object->change) {
    case CHANGE_CREATE: summary.create++; break;
    case CHANGE_UPDATE: summary.update++; break;
    case CHANGE_DELETE: summary.delete++; break;
    case CHANGE_ORPHAN: summary.orphans++; break;
    case CHANGE_ERROR: summary.errors++; break;
    default: summary.unchanged += !object->adopt;
    }
    summary.adopt += object->adopt;
    summary.pending += is_pending(object);
  }
  return summary;
}

gboolean plan_in_sync(const Plan *plan) {
  PlanSummary summary = plan_summary(plan);
  return summary.create + summary.update + summary.delete + summary.errors + summary.actions == 0;
}

void plan_drop_actions(Plan *plan, const char *object_id) {
  for (guint i = plan->actions->len; i-- > 0;)
    if (g_str_equal(((Action *)plan->actions->pdata[i])->object, object_id))
      g_ptr_array_remove_index(plan->actions, i);
}

void plan_reject(Plan *plan, PlanObject *object, char *error) {
  g_autofree char *id = plan_object_id(object);
  object->change = CHANGE_ERROR;
  g_free(object->error);
  object->error = error;
  plan_drop_actions(plan, id);
}
