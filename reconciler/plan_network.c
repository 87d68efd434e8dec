/* Networks. What is ours belongs to us as a whole, so what was there and isn't declared goes. */
#include "reconciler/diff.h"
#include "reconciler/plan_build.h"

static Object *resolve_network(const Object *declared, const ActualNetwork *found) {
  Object *object = object_copy(declared);
  NetworkSpec *spec = object->spec;
  if (found == NULL && !given(spec, NetworkSpec, uuid)) {
    spec->uuid = derive_uuid("network", object->metadata.name);
    set_given(spec, NetworkSpec, uuid);
  }
  return object;
}

static gboolean is_ours(const Object *declared, const ActualNetwork *found) {
  const NetworkSpec *spec = declared->spec;
  g_autofree char *derived = derive_uuid("network", declared->metadata.name);
  return g_str_equal(found->uuid, derived) || (given(spec, NetworkSpec, uuid) && g_str_equal(found->uuid, spec->uuid));
}

static Action *network_changes(PlanBuilder *builder, PlanObject *object) {
  gboolean define = FALSE, update = FALSE, pending = FALSE;
  for (guint i = 0; i < object->fields->len; i++) {
    FieldChange *change = object->fields->pdata[i];
    if (change->effect == EFFECT_NEVER) {
      build_error(builder, object, g_strdup_printf("%s can't be changed: %s", change->path, change->why));
      return NULL;
    }
    if (change->call == CALL_POWER || change->call == CALL_AUTOSTART)
      continue;
    if (change->effect == EFFECT_LIVE_CALL)
      update = TRUE;
    else
      define |= change->persistent;
    pending |= change->pending;
  }
  Action *last = NULL;
  if (define)
    last = build_action(builder, object, ACTION_NETWORK_DEFINE, NULL, g_strdup("change the network's definition"), NULL);
  if (update)
    last = build_action(builder, object, ACTION_NETWORK_UPDATE, last != NULL ? last->id : NULL,
                        g_strdup("update DHCP ranges and hosts"), NULL);
  if (pending)
    build_note(object, g_strdup("pending until the network is started anew, which disconnects the machines on it: "
                                "virsh net-destroy and net-start when that suits"));
  return last;
}

static Action *network_state(PlanBuilder *builder, PlanObject *object, const NetworkSpec *spec, const ActualNetwork *found, Action *last) {
  gboolean active = found != NULL && found->active;
  gboolean wanted = given(spec, NetworkSpec, state) ? spec->state == PoolState_active : found == NULL || active;
  const char *after = last != NULL ? last->id : NULL;
  if (wanted && !active)
    last = build_action(builder, object, ACTION_NETWORK_START, after, g_strdup("start the network"), NULL);
  else if (!wanted && active)
    last = build_action(builder, object, ACTION_NETWORK_STOP, after, g_strdup("stop the network"), NULL);
  gboolean autostart = given(spec, NetworkSpec, autostart) ? spec->autostart : TRUE;
  gboolean has = found != NULL && given(&found->persistent, NetworkSpec, autostart) && found->persistent.autostart;
  if ((given(spec, NetworkSpec, autostart) || found == NULL) && autostart != has)
    last = build_action(builder, object, ACTION_NETWORK_AUTOSTART, last != NULL ? last->id : NULL,
                        g_strdup(autostart ? "start the network with the host" : "don't start the network with the host"),
                        "value", autostart ? "true" : "false", NULL);
  return last;
}

/* from_host rows (state, autostart) are no part of what we take away when not declared. */
static NetworkSpec *applied_of(const ActualNetwork *found) {
  NetworkSpec *applied = spec_copy(&NetworkSpec_table, &found->persistent);
  for (guint i = 0; i < NetworkSpec_table.n_fields; i++)
    if (NetworkSpec_table.fields[i].from_host)
      spec_unset(&NetworkSpec_table, applied, &NetworkSpec_table.fields[i]);
  return applied;
}

void plan_network(PlanBuilder *builder, const Object *declared) {
  const char *name = declared->metadata.name;
  const ActualNetwork *found = g_hash_table_lookup(builder->input->actual->networks, name);
  PlanObject *object = build_object(builder, KIND_NETWORK, name, CHANGE_NONE, declared);
  object->desired = resolve_network(object->declared, found);
  if (builder->input->actual->networks_error != NULL) {
    build_error(builder, object, g_strdup_printf("networks can't be looked up: %s", builder->input->actual->networks_error));
    return;
  }
  const NetworkSpec *spec = object->desired->spec;
  gboolean adopt = given(&declared->metadata, MetadataSpec, adopt) && declared->metadata.adopt;
  Action *last = NULL;
  if (found == NULL) {
    object->change = CHANGE_CREATE;
    object->fingerprint = g_strdup("absent");
    last = build_action(builder, object, ACTION_NETWORK_DEFINE, NULL,
                        g_strdup_printf("define the %s network", NetworkMode_words.words[spec->mode]), NULL);
  } else if (!is_ours(declared, found) && !adopt) {
    build_error(builder, object, g_strdup("a network of this name exists that isn't ours: give metadata.adopt: true to take it over, or choose another name"));
    return;
  } else {
    object->fingerprint = g_strdup(found->fingerprint);
    NetworkSpec *applied = adopt ? NULL : applied_of(found);
    DiffInput diff = {.table = &NetworkSpec_table, .desired = spec, .applied = applied,
                      .persistent = &found->persistent, .live = found->active ? &found->live : NULL};
    g_ptr_array_unref(object->fields);
    object->fields = diff_spec(&diff);
    spec_free(&NetworkSpec_table, applied);
    last = network_changes(builder, object);
  }
  if (object->change == CHANGE_ERROR)
    return;
  last = network_state(builder, object, spec, found, last);
  if (found != NULL && last != NULL)
    object->change = CHANGE_UPDATE;
  build_ready(builder, KIND_NETWORK, name, last);
}
