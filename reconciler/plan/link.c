/* What a machine that moves needs of its new host's part of the plan: pools and networks that are started there in the
 * same run, and files that another machine, or an image, brings. */
#include "reconciler/plan/fleet_plan.h"

static void wait_for(Action *action, const Action *before) {
  if (action != before && !g_ptr_array_find_with_equal_func(action->after, before->id, g_str_equal, NULL))
    g_ptr_array_add(action->after, g_strdup(before->id));
}

static Action *check_of(const Plan *plan, const char *object) {
  for (guint i = 0; i < plan->actions->len; i++) {
    Action *action = plan->actions->pdata[i];
    if (action->kind == ACTION_MOVE_CHECK && g_str_equal(action->object, object))
      return action;
  }
  return NULL;
}

/* All that is done to what is needed comes before the check. FALSE: it won't be there. */
static gboolean wait_for_need(const Plan *plan, const PlanNeed *need, Action *check) {
  gboolean starts = FALSE;
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    if (!g_str_equal(action->object, need->id))
      continue;
    starts |= action->kind == ACTION_POOL_START || action->kind == ACTION_NETWORK_START;
    wait_for(check, action);
  }
  return starts;
}

/* NULL: it is there, or will be. */
static char *trouble_with(const Plan *plan, const PlanNeed *need, Action *check, const char *only) {
  const PlanObject *needed = plan_object(plan, need->id);
  if (needed != NULL && needed->error != NULL)
    return g_strdup_printf("it needs %s: %s", need->id, needed->error);
  if (!wait_for_need(plan, need, check))
    return g_strdup(need->otherwise);
  if (only != NULL && !g_str_equal(only, need->host))
    return g_strdup_printf("it needs %s, which isn't there yet: run for %s first", need->id, need->host);
  return NULL;
}

static void link_needs(Plan *plan, PlanObject *object, const char *only) {
  g_autofree char *id = plan_object_id(object);
  Action *check = check_of(plan, id);
  char *trouble = NULL;
  for (guint i = 0; check != NULL && trouble == NULL && i < object->needs->len; i++)
    trouble = trouble_with(plan, object->needs->pdata[i], check, only);
  if (trouble != NULL)
    plan_reject(plan, object, trouble);
}

/* "HOST POOL NAME" of a file that an action brings and that stays for all; NULL: it doesn't. */
static char *brings(const Plan *plan, const Action *action) {
  const char *to = string_map_get(action->args, "to"), *path = string_map_get(action->args, "path");
  if (action->kind == ACTION_IMAGE_IMPORT) {
    const PlanObject *image = plan_object(plan, action->object);
    return g_strconcat(image->host, " ", string_map_get(action->args, "pool"), " ", string_map_get(action->args, "volume"), NULL);
  }
  if (action->kind != ACTION_MOVE_BASE && action->kind != ACTION_MOVE_FILE)
    return NULL;
  g_autofree char *name = g_path_get_basename(path);
  return g_strconcat(to, " ", string_map_get(action->args, "toPool"), " ", name, NULL);
}

/* Two that bring one file would write into each other's: an image is first, as it needs nobody, then the plan's order. */
static void link_files(Plan *plan, const char *only) {
  g_autoptr(GHashTable) first = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint images = 2; images-- > 0;)
    for (guint i = 0; i < plan->actions->len; i++) {
      Action *action = plan->actions->pdata[i];
      g_autofree char *file = (action->kind == ACTION_IMAGE_IMPORT) == (images == 1) ? brings(plan, action) : NULL;
      if (file == NULL || (only != NULL && !g_str_equal(plan_object(plan, action->object)->host, only)))
        continue;
      const Action *before = g_hash_table_lookup(first, file);
      if (before != NULL)
        wait_for(action, before);
      else
        g_hash_table_insert(first, g_steal_pointer(&file), action);
    }
}

/* What is waited for stands before who waits; else as it was. */
static void put_with_needs(Action *action, GHashTable *left, GPtrArray *ordered) {
  for (guint i = 0; i < action->after->len; i++) {
    Action *before = g_hash_table_lookup(left, action->after->pdata[i]);
    if (before != NULL)
      put_with_needs(before, left, ordered);
  }
  if (g_hash_table_remove(left, action->id))
    g_ptr_array_add(ordered, action);
}

static void put_in_order(Plan *plan) {
  g_autoptr(GHashTable) left = g_hash_table_new(g_str_hash, g_str_equal);
  GPtrArray *ordered = g_ptr_array_new_with_free_func((GDestroyNotify)action_free);
  for (guint i = 0; i < plan->actions->len; i++) {
    Action *action = plan->actions->pdata[i];
    g_hash_table_insert(left, action->id, action);
  }
  for (guint i = 0; i < plan->actions->len; i++)
    put_with_needs(plan->actions->pdata[i], left, ordered);
  g_ptr_array_set_free_func(plan->actions, NULL);
  g_ptr_array_unref(plan->actions);
  plan->actions = ordered;
}

void fleet_plan_link(Plan *plan, const char *only) {
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    if (object->needs != NULL)
      link_needs(plan, object, only);
  }
  link_files(plan, only);
  put_in_order(plan);
}
