/* Pools and networks alike: whether it is started, and whether it starts with the host. */
#include "reconciler/plan/build.h"

static ActionKind kind_of(const PlanObject *object, ActionKind of_pool, ActionKind of_network) {
  return object->kind == KIND_STORAGE_POOL ? of_pool : of_network;
}

/* Autostart is set last of all: one of ours that has neither was left half made. */
gboolean activity_is_new(const Activity *activity) {
  return !activity->exists || (activity->ours && !activity->active && !activity->autostarts && !activity->autostart_given);
}

gboolean activity_is_to_stop(const PlanBuilder *builder, Kind kind, const char *name) {
  const Object *declared = desired_find(builder->input->desired, kind, name);
  const StoragePoolSpec *pool = declared != NULL && kind == KIND_STORAGE_POOL ? declared->spec : NULL;
  const NetworkSpec *network = declared != NULL && kind == KIND_NETWORK ? declared->spec : NULL;
  return (pool != NULL && given(pool, StoragePoolSpec, state) && pool->state == PoolState_inactive) ||
         (network != NULL && given(network, NetworkSpec, state) && network->state == PoolState_inactive);
}

/* A new one is started, and with the host, unless the file says otherwise; one that is there is
 * left as it is where the file says nothing. */
Action *plan_activity(PlanBuilder *builder, const PlanObject *object, const Activity *activity, Action *last) {
  const char *what = object->kind == KIND_STORAGE_POOL ? "pool" : "network";
  gboolean is_new = activity_is_new(activity);
  gboolean wanted = activity->state_given ? activity->state == PoolState_active : is_new || activity->active;
  const char *after = last != NULL ? last->id : NULL;
  if (wanted && !activity->active)
    last = build_action(builder, object, kind_of(object, ACTION_POOL_START, ACTION_NETWORK_START), after,
                        g_strdup_printf("start the %s", what), NULL);
  else if (!wanted && activity->active)
    last = build_action(builder, object, kind_of(object, ACTION_POOL_STOP, ACTION_NETWORK_STOP), after,
                        g_strdup_printf("stop the %s", what), NULL);
  gboolean autostart = activity->autostart_given ? activity->autostart : is_new || activity->autostarts;
  if (autostart != activity->autostarts)
    last = build_action(builder, object, kind_of(object, ACTION_POOL_AUTOSTART, ACTION_NETWORK_AUTOSTART),
                        last != NULL ? last->id : NULL,
                        g_strdup_printf("%s the %s with the host", autostart ? "start" : "don't start", what), "value",
                        autostart ? "true" : "false", NULL);
  return last;
}
