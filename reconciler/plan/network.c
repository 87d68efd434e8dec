/* Networks: definition, what libvirt can change while they are active, and whether they are. */
#include "reconciler/plan/diff.h"
#include "reconciler/plan/build.h"
#include "state/fingerprint.h"

/* By our record, or by a UUID that is ours. */
static gboolean is_ours(const Object *declared, const ActualNetwork *found) {
  if (found->owner != NULL)
    return TRUE;
  const NetworkSpec *spec = declared->spec;
  g_autofree char *derived = derive_uuid("network", declared->metadata.name);
  return g_str_equal(found->uuid, derived) || (given(spec, NetworkSpec, uuid) && g_str_equal(found->uuid, spec->uuid));
}

static gboolean record_differs(const PlanObject *object, const ActualNetwork *found) {
  return found->owner == NULL || !spec_equal(&NetworkSpec_table, object->declared->spec, &found->owner->spec) ||
         !spec_equal(&MetadataSpec_table, &object->declared->metadata, &found->owner->metadata);
}

static gboolean is_of_address(const FieldChange *change) { return g_str_equal(change->path, "address") || g_str_equal(change->path, "prefix"); }

/* DHCP ranges and hosts lie in the network's own: where that is another one from its next start, so are they. */
static void wait_for_address(PlanObject *object) {
  gboolean moves = FALSE;
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    moves |= change->live && is_of_address(change);
  }
  for (guint i = 0; moves && i < object->fields->len; i++) {
    FieldChange *change = object->fields->pdata[i];
    if (!change->live || change->effect != EFFECT_LIVE_CALL || !g_str_has_prefix(change->path, "dhcp"))
      continue;
    change->effect = EFFECT_NEXT_START;
    change->pending = TRUE;
  }
}

static Action *network_changes(PlanBuilder *builder, PlanObject *object, const ActualNetwork *found) {
  char *refusal = build_refusal(object->fields);
  if (refusal != NULL) {
    build_error(builder, object, refusal);
    return NULL;
  }
  wait_for_address(object);
  gboolean define = record_differs(object, found), update = FALSE, pending = FALSE;
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    if (change->call == CALL_POWER || change->call == CALL_AUTOSTART)
      continue;
    define |= change->persistent;
    update |= change->live && change->effect == EFFECT_LIVE_CALL;
    pending |= change->pending;
  }
  Action *last = NULL;
  /* Live first: what went is known from the record, which the definition writes anew. */
  if (update)
    last = build_action(builder, object, ACTION_NETWORK_UPDATE, NULL, g_strdup("update DHCP ranges and hosts"), NULL);
  if (define)
    last = build_action(builder, object, ACTION_NETWORK_DEFINE, last != NULL ? last->id : NULL,
                        g_strdup("change the network's definition"), NULL);
  if (pending)
    build_note(object, g_strdup("pending until the network is started anew, which disconnects the machines on it: "
                                "virsh net-destroy and net-start when that suits"));
  return last;
}

static Activity activity_of(const NetworkSpec *spec, const ActualNetwork *found, const char *name) {
  g_autofree char *derived = derive_uuid("network", name);
  return (Activity){
      .exists = found != NULL,
      .ours = found != NULL && g_str_equal(found->uuid, derived),
      .active = found != NULL && found->active,
      .autostarts = found != NULL && given(&found->persistent, NetworkSpec, autostart) && found->persistent.autostart,
      .state_given = given(spec, NetworkSpec, state),
      .state = spec->state,
      .autostart_given = given(spec, NetworkSpec, autostart),
      .autostart = spec->autostart,
  };
}

void plan_network(PlanBuilder *builder, const Object *declared) {
  const char *name = declared->metadata.name;
  const ActualNetwork *found = g_hash_table_lookup(builder->input->actual->networks, name);
  PlanObject *object = build_object(builder, KIND_NETWORK, name, CHANGE_NONE, declared);
  object->desired = object_copy(object->declared);
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
  } else if (found->error != NULL || !found->is_persistent) {
    build_error(builder, object, found->error != NULL ? g_strdup_printf("it can't be read: %s", found->error)
                                                      : g_strdup("a transient network of this name runs, which has no definition to manage: stop it ('virsh net-destroy'), or define it"));
    return;
  } else {
    object->fingerprint = fingerprint_network(found);
    object->adopt = found->owner == NULL && adopt;
    DiffInput diff = {.table = &NetworkSpec_table, .desired = spec, .applied = found->owner != NULL ? &found->owner->spec : NULL,
                      .persistent = &found->persistent, .live = found->active ? &found->live : NULL};
    g_ptr_array_unref(object->fields);
    object->fields = diff_spec(&diff);
    last = network_changes(builder, object, found);
  }
  if (object->change == CHANGE_ERROR)
    return;
  const Activity activity = activity_of(spec, found, name);
  last = plan_activity(builder, object, &activity, last);
  if (found != NULL && last != NULL)
    object->change = object->adopt && object->fields->len == 0 ? CHANGE_NONE : CHANGE_UPDATE;
  build_ready(builder, KIND_NETWORK, name, last);
}
