/* What differs, then kinds in the order in which they depend on each other, then orphans, then what can only be
 * judged over the whole: space, and the order of actions. */
#include "reconciler/plan/planner.h"

#include "reconciler/plan/build.h"
#include "reconciler/plan/space.h"

static void (*const plan_kind[KIND_N])(PlanBuilder *, const Object *) = {
    [KIND_STORAGE_POOL] = plan_storage_pool, [KIND_NETWORK] = plan_network, [KIND_IMAGE] = plan_image,
    [KIND_VOLUME] = plan_volume,             [KIND_VIRTUAL_MACHINE] = plan_vm,
};

static gint by_kind_then_name(gconstpointer a, gconstpointer b) {
  const PlanObject *left = *(PlanObject *const *)a, *right = *(PlanObject *const *)b;
  return left->kind != right->kind ? (gint)left->kind - (gint)right->kind : g_strcmp0(left->name, right->name);
}

Plan *planner_plan(const PlanInput *input) {
  Plan *plan = plan_new();
  plan->source = g_strdup(input->source);
  plan->revision = g_strdup(input->revision);
  plan->connection = g_strdup(input->actual->uri);
  PlanBuilder builder = {
      .input = input,
      .plan = plan,
      .uses = uses_new(input->actual),
      .compared = compare_machines(input),
      .ready = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
      .failed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
  };
  for (guint i = 0; i < input->desired->objects->len; i++) {
    const Object *object = input->desired->objects->pdata[i];
    if (plan_kind[object->kind] != NULL)
      plan_kind[object->kind](&builder, object);
  }
  plan_migrations(&builder);
  plan_orphans(&builder);
  plan_collect(&builder);
  g_ptr_array_sort(plan->objects, by_kind_then_name);
  space_note_promises(input->actual, plan);
  if (plan->refused == NULL && !(input->allow & ALLOW_OVERCOMMIT))
    plan->refused = space_check(input->actual, plan, &plan->short_pool);
  uses_free(builder.uses);
  g_hash_table_unref(builder.compared);
  g_hash_table_unref(builder.ready);
  g_hash_table_unref(builder.failed);
  return plan;
}

char *planner_refusal(const Plan *plan, guint allow) {
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    if (action->impact < IMPACT_RESTART || action->permitted || (allow & ALLOW(action->impact)))
      continue;
    return g_strdup_printf("%s: \"%s\" has the impact %s, which this run doesn't allow: nothing is changed; --allow %s permits it",
                           action->object, action->description, impact_words[action->impact], impact_words[action->impact]);
  }
  return NULL;
}
