/* The table of actions, and the helpers that act.h and common.h promise. */
#include <errno.h>
#include "reconciler/act/common.h"
#include "state/life_sign.h"

const ActionInfo action_info[ACTION_N] = {
#define ACTION(id, text, run, least, about) \
  [ACTION_##id] = { .name = text, .function = run, .impact = least, .help = about },
#define ACTION_CHECKED(id, text, run, ask, least, about) \
  [ACTION_##id] = { .name = text, .function = run, .check = ask, .impact = least, .help = about },
#include "reconciler/plan/actions.def"
#undef ACTION
};

G_DEFINE_QUARK(execute-error-quark, execute_error)

#define SET_ERROR(code)                                                \
  do {                                                                 \
    va_list arguments;                                                 \
    va_start(arguments, format);                                       \
    g_autofree char *message = g_strdup_vprintf(format, arguments);    \
    va_end(arguments);                                                 \
    g_set_error_literal(error, EXECUTE_ERROR, code, message);          \
  } while (0)

gboolean act_stale(GError **error, const char *format, ...) {
  SET_ERROR(EXECUTE_ERROR_STALE);
  return FALSE;
}

gboolean act_refuse(GError **error, const char *format, ...) {
  SET_ERROR(EXECUTE_ERROR_REFUSED);
  return FALSE;
}

gboolean act_fail(GError **error, const char *format, ...) {
  SET_ERROR(EXECUTE_ERROR_FAILED);
  return FALSE;
}

void act_progress(const ActionContext *context, const Action *action, guint64 done, guint64 total, const char *phase) {
  life_sign();
  if (context->progress)
    context->progress(context->progress_data, action, done, total, phase);
}

void act_remark(const ActionContext *context, const char *format, ...) {
  if (!context->remarks)
    return;
  if (context->remarks->len)
    g_string_append_c(context->remarks, '\n');
  va_list arguments;
  va_start(arguments, format);
  g_string_append_vprintf(context->remarks, format, arguments);
  va_end(arguments);
}

gboolean act_cancelled(const ActionContext *context, GError **error) {
  life_sign();
  if (!g_cancellable_is_cancelled(context->cancel))
    return FALSE;
  g_set_error_literal(error, EXECUTE_ERROR, EXECUTE_ERROR_CANCELLED, "interrupted");
  return TRUE;
}

gboolean act_sleep(const ActionContext *context, guint milliseconds, GError **error) {
  gint64 end = g_get_monotonic_time() + milliseconds * G_GINT64_CONSTANT(1000);
  for (;;) {
    if (act_cancelled(context, error))
      return FALSE;
    gint64 left = end - g_get_monotonic_time();
    if (left <= 0)
      return TRUE;
    g_usleep((gulong)MIN(left, 50000));
  }
}

static gboolean comes_after(const Action *action, const Action *before) {
  return g_str_equal(action->object, before->object) && g_ptr_array_find_with_equal_func(action->after, before->id, g_str_equal, NULL);
}

gboolean act_check_after(const ActionContext *context, const Action *stop, GError **error) {
  const GPtrArray *actions = context->plan->actions;
  for (guint i = 0; actions && i < actions->len; i++) {
    const Action *action = actions->pdata[i];
    ActionFunction check = action_info[action->kind].check;
    if (check && comes_after(action, stop) && !check(context, action, error))
      return FALSE;
  }
  return TRUE;
}

const char *act_arg(const Action *action, const char *key) {
  return action->args ? string_map_get(action->args, key) : NULL;
}

const char *act_need(const Action *action, const char *key, GError **error) {
  const char *value = act_arg(action, key);
  if (!value)
    act_fail(error, "the plan's action %s has no argument '%s'", action_info[action->kind].name, key);
  return value;
}

gboolean act_arg_optional(const Action *action, const char *key, guint64 *ret_value, GError **error) {
  const char *text = act_arg(action, key);
  if (!text)
    return TRUE;
  g_autoptr(GError) wrong = NULL;
  if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, ret_value, &wrong))
    return act_fail(error, "the plan's argument %s=%s isn't a number", key, text);
  return TRUE;
}

gboolean act_arg_uint64(const Action *action, const char *key, guint64 *ret_value, GError **error) {
  return act_need(action, key, error) && act_arg_optional(action, key, ret_value, error);
}

/* Handles. */

gboolean act_find_domain(const ActionContext *context, virDomainPtr *ret_domain, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  virDomainPtr domain = virDomainLookupByName(connect, context->object->name);
  if (!domain && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
    return libvirt_fail(error, "cannot look up domain %s", context->object->name);
  *ret_domain = domain;
  return TRUE;
}

gboolean act_find_pool(const ActionContext *context, const char *name, virStoragePoolPtr *ret_pool, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  virStoragePoolPtr pool = virStoragePoolLookupByName(connect, name);
  if (!pool && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_POOL)
    return libvirt_fail(error, "cannot look up storage pool %s", name);
  *ret_pool = pool;
  return TRUE;
}

gboolean act_find_network(const ActionContext *context, virNetworkPtr *ret_network, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  virNetworkPtr network = virNetworkLookupByName(connect, context->object->name);
  if (!network && virGetLastErrorCode() != VIR_ERR_NO_NETWORK)
    return libvirt_fail(error, "cannot look up network %s", context->object->name);
  *ret_network = network;
  return TRUE;
}

virDomainPtr act_domain(const ActionContext *context, GError **error) {
  virDomainPtr domain = NULL;
  if (act_find_domain(context, &domain, error) && !domain)
    act_stale(error, "there is no domain %s any more", context->object->name);
  return domain;
}

virStoragePoolPtr act_pool(const ActionContext *context, const char *name, GError **error) {
  virStoragePoolPtr pool = NULL;
  if (act_find_pool(context, name, &pool, error) && !pool)
    act_stale(error, "there is no storage pool %s", name);
  return pool;
}

virNetworkPtr act_network(const ActionContext *context, GError **error) {
  virNetworkPtr network = NULL;
  if (act_find_network(context, &network, error) && !network)
    act_stale(error, "there is no network %s", context->object->name);
  return network;
}

/* Whose it is. */

gboolean act_adopts(const ActionContext *context) {
  const Object *desired = context->object->desired;
  return desired && given(&desired->metadata, MetadataSpec, adopt) && desired->metadata.adopt;
}

gboolean act_not_ours(virDomainPtr domain, GError **error) {
  return act_refuse(error, "domain %s isn't ours: its metadata has no record of reconcile; "
                    "to take it over, declare it with metadata.adopt: true", virDomainGetName(domain));
}

gboolean act_check_ours(virDomainPtr domain, GError **error) {
  const char *name = virDomainGetName(domain); /* asking for it forgets the last error */
  g_autofree char *record = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, METADATA_NAMESPACE,
                                                 VIR_DOMAIN_AFFECT_CONFIG);
  if (record)
    return TRUE;
  if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA)
    return libvirt_fail(error, "cannot read whose domain %s is", name);
  return act_not_ours(domain, error);
}

virDomainPtr act_own_domain(const ActionContext *context, GError **error) {
  g_autoptr(VirDomain) domain = act_domain(context, error);
  if (!domain || !act_check_ours(domain, error))
    return NULL;
  return g_steal_pointer(&domain);
}

virDomainPtr act_live_domain(const ActionContext *context, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  if (!domain)
    return NULL;
  int active = virDomainIsActive(domain);
  if (active == 1)
    return g_steal_pointer(&domain);
  if (active < 0)
    libvirt_fail(error, "cannot see whether domain %s is running", context->object->name);
  else
    act_stale(error, "domain %s isn't running any more", context->object->name);
  return NULL;
}

xmlDoc *act_domain_doc(virDomainPtr domain, guint flags, GError **error) {
  const char *name = virDomainGetName(domain);
  g_autofree char *text = virDomainGetXMLDesc(domain, flags);
  if (!text) {
    libvirt_fail(error, "cannot read the definition of domain %s", name);
    return NULL;
  }
  return xml_parse(text, name, error);
}

int act_domain_state(virDomainPtr domain, int *ret_reason, GError **error) {
  const char *name = virDomainGetName(domain);
  int state, reason;
  if (virDomainGetState(domain, &state, &reason, 0) < 0) {
    libvirt_fail(error, "cannot read the state of domain %s", name);
    return -1;
  }
  if (ret_reason)
    *ret_reason = reason;
  return state;
}

const VmSpec *act_vm(const ActionContext *context, GError **error) {
  const Object *desired = context->object->desired;
  if (desired && context->object->declared && desired->kind == KIND_VIRTUAL_MACHINE)
    return object_vm(desired);
  act_fail(error, "the plan holds no specification of %s", context->object->name);
  return NULL;
}

Ownership act_ownership(const ActionContext *context, const Ownership *last) {
  /* As the files say: what was filled in for this host isn't the people's wish. */
  const Object *declared = context->object->declared;
  Ownership record = {
    .source = context->plan->source, .revision = context->plan->revision, .place = context->object->place,
    .metadata = declared->metadata, .spec = *object_vm(declared),
  };
  if (last)
    record.facts = last->facts;
  if (given(&record.spec, VmSpec, powerState) && record.spec.powerState != PowerState_running)
    record.facts.given &= ~FIELD_BIT(FactsSpec_restarting); /* whatever was to be, it isn't to be started again */
  if (context->object->host) {
    record.facts.home = context->object->host;
    set_given(&record.facts, FactsSpec, home);
  }
  if (last && last->source && g_strcmp0(last->source, record.source) != 0) {
    record.facts.takenFrom = last->source;
    set_given(&record.facts, FactsSpec, takenFrom);
  }
  return record;
}

static gboolean set_restarting(FactsSpec *facts, gconstpointer data) {
  gboolean restarting = GPOINTER_TO_INT(data);
  if (given(facts, FactsSpec, restarting) == restarting)
    return FALSE;
  if (restarting)
    set_given(facts, FactsSpec, restarting);
  else
    spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_restarting]);
  facts->restarting = restarting;
  return TRUE;
}

gboolean act_note_restart(virDomainPtr domain, const Action *action, gboolean restarting, GError **error) {
  return !act_arg(action, "again") || act_change_facts(domain, set_restarting, GINT_TO_POINTER(restarting), error);
}
