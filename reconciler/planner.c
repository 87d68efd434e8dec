/* Kinds in the order in which they depend on each other, then orphans, then what can only be
 * judged over the whole: space, and the order of actions. */
#include "reconciler/planner.h"

#include "reconciler/plan_build.h"
#include "schema/value.h"

static void (*const plan_kind[KIND_N])(PlanBuilder *, const Object *) = {
    [KIND_STORAGE_POOL] = plan_storage_pool, [KIND_NETWORK] = plan_network, [KIND_IMAGE] = plan_image,
    [KIND_VOLUME] = plan_volume,             [KIND_VIRTUAL_MACHINE] = plan_vm,
};

/* Bytes that imports and copies will take, by pool: more than there is and nothing is begun. */
static char *check_space(const PlanInput *input, Plan *plan) {
  g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    const char *pool = string_map_get(action->args, "pool"), *bytes = string_map_get(action->args, "bytes");
    const ActualPool *found = pool != NULL ? g_hash_table_lookup(input->actual->pools, pool) : NULL;
    if (found == NULL || (action->kind != ACTION_IMAGE_IMPORT && action->kind != ACTION_VOLUME_COPY))
      continue;
    guint64 *sum = g_hash_table_lookup(wanted, pool);
    if (sum == NULL)
      g_hash_table_insert(wanted, (gpointer)pool, sum = g_new0(guint64, 1));
    *sum += g_ascii_strtoull(bytes, NULL, 10);
    if (found->active && *sum > found->available) {
      plan->short_pool = g_strdup(pool);
      g_autofree char *need = bytes_format_short(*sum), *have = bytes_format_short(found->available);
      return g_strdup_printf("pool %s has %s available, and this plan needs %s of it: make room, or use another pool", pool, have, need);
    }
  }
  return NULL;
}

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
      .ready = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
      .failed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
  };
  for (guint i = 0; i < input->desired->objects->len; i++) {
    const Object *object = input->desired->objects->pdata[i];
    if (plan_kind[object->kind] != NULL)
      plan_kind[object->kind](&builder, object);
  }
  plan_orphans(&builder);
  plan_collect(&builder);
  g_ptr_array_sort(plan->objects, by_kind_then_name);
  if (plan->refused == NULL)
    plan->refused = check_space(input, plan);
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
