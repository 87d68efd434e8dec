#include "reconciler/act/move.h"

#include "state/fault.h"
#include "state/life_sign.h"

static const FleetHost *peer_host(const ActionContext *context, const Action *action, const char *key, GError **error) {
  const char *name = act_need(action, key, error);
  const FleetHost *host = name && context->fleet ? fleet_host(context->fleet, name) : NULL;
  if (name && !host)
    act_fail(error, "%s is no host of this run", name);
  return host;
}

virConnectPtr move_peer(const ActionContext *context, const Action *action, const char *key, GError **error) {
  const FleetHost *host = peer_host(context, action, key, error);
  virConnectPtr handle = host ? connection_get(host->connection, error) : NULL;
  if (host && !handle)
    g_prefix_error(error, "%s can't be asked: ", host->name);
  return handle;
}

GError *move_trouble(const ActionContext *context, const Action *action, const char *key) {
  GError *error = NULL;
  const FleetHost *host = peer_host(context, action, key, &error);
  return host ? connection_trouble(host->connection) : error;
}

gboolean move_context(const ActionContext *context, const Action *action, const char *key, ActionContext *ret_context, GError **error) {
  const FleetHost *host = peer_host(context, action, key, error);
  if (!host)
    return FALSE;
  *ret_context = *context;
  ret_context->connection = host->connection;
  return TRUE;
}

gboolean move_find_there(virConnectPtr peer, const char *name, virDomainPtr *ret_domain, GError **error) {
  *ret_domain = virDomainLookupByName(peer, name);
  return *ret_domain || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || libvirt_fail(error, "cannot look up domain %s on the other host", name);
}

static void set_text(FactsSpec *facts, guint row, char **member, const char *text) {
  g_free(*member);
  *member = g_strdup(text);
  facts->given |= FIELD_BIT(row);
}

static void unset(FactsSpec *facts, guint row) { spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[row]); }

static void set_left(FactsSpec *facts, const char *left) {
  unset(facts, FactsSpec_left);
  if (!left)
    return;
  facts->left = g_strsplit(left, "\n", -1);
  set_given(facts, FactsSpec, left);
}

typedef struct {
  const char *to; /* NULL: nowhere */
  gboolean arriving;
} Note;

static gboolean set_note(FactsSpec *facts, gconstpointer data) {
  const Note *note = data;
  const char *before = given(facts, FactsSpec, movingTo) ? facts->movingTo : NULL;
  gboolean copied = note->arriving || !given(facts, FactsSpec, copied);
  if (g_strcmp0(before, note->to) == 0 && given(facts, FactsSpec, arriving) == note->arriving && copied)
    return FALSE;
  unset(facts, FactsSpec_movingTo);
  unset(facts, FactsSpec_arriving);
  if (note->to)
    set_text(facts, FactsSpec_movingTo, &facts->movingTo, note->to);
  else
    unset(facts, FactsSpec_nvram);
  if (note->arriving) {
    facts->arriving = TRUE;
    set_given(facts, FactsSpec, arriving);
  } else {
    unset(facts, FactsSpec_copied);
  }
  return TRUE;
}

gboolean move_note(virDomainPtr domain, const char *to, gboolean arriving, GError **error) {
  return act_change_facts(domain, set_note, &(Note){.to = to, .arriving = arriving}, error);
}

static gboolean set_epoch(FactsSpec *facts, gconstpointer data) {
  gint64 epoch = *(const gint64 *)data;
  if (epoch <= (given(facts, FactsSpec, epoch) ? facts->epoch : 0))
    return FALSE;
  facts->epoch = epoch;
  set_given(facts, FactsSpec, epoch);
  return TRUE;
}

gboolean move_outdate(virDomainPtr domain, gint64 epoch, GError **error) { return act_change_facts(domain, set_epoch, &epoch, error); }

static gboolean set_nvram(FactsSpec *facts, gconstpointer data) {
  const char *path = data;
  if (given(facts, FactsSpec, nvram) && g_strcmp0(facts->nvram, path) == 0)
    return FALSE;
  set_text(facts, FactsSpec_nvram, &facts->nvram, path);
  return TRUE;
}

gboolean move_note_nvram(virDomainPtr domain, const char *path, GError **error) { return act_change_facts(domain, set_nvram, path, error); }

static gboolean forget_restart(FactsSpec *facts, gconstpointer data G_GNUC_UNUSED) {
  gboolean any = given(facts, FactsSpec, restarting);
  unset(facts, FactsSpec_restarting);
  return any;
}

gboolean move_started(virDomainPtr domain, GError **error) { return act_change_facts(domain, forget_restart, NULL, error); }

static gboolean set_autostarts(FactsSpec *facts, gconstpointer data) {
  gboolean autostarts = GPOINTER_TO_INT(data), changed = given(facts, FactsSpec, autostarts) != autostarts;
  unset(facts, FactsSpec_autostarts);
  if (autostarts) {
    facts->autostarts = TRUE;
    set_given(facts, FactsSpec, autostarts);
  }
  return changed;
}

static gboolean read_autostart(virDomainPtr domain, gboolean *ret_autostart, GError **error) {
  *ret_autostart = FALSE;
  return virDomainGetAutostart(domain, ret_autostart) == 0 || libvirt_fail(error, "cannot see whether it starts with its host");
}

gboolean move_take_autostart(virDomainPtr domain, GError **error) {
  gboolean autostart;
  if (!read_autostart(domain, &autostart, error))
    return FALSE;
  return !autostart || (act_change_facts(domain, set_autostarts, GINT_TO_POINTER(TRUE), error) &&
                        (virDomainSetAutostart(domain, 0) == 0 || libvirt_fail(error, "it can't be kept from starting with its host")));
}

gboolean move_give_autostart(virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = act_record(domain, error);
  if (!record || !given(&record->facts, FactsSpec, autostarts))
    return record != NULL;
  if (virDomainSetAutostart(domain, 1) < 0)
    return libvirt_fail(error, "it can't be made to start with its host");
  FAULT("move: autostart given");
  return act_change_facts(domain, set_autostarts, GINT_TO_POINTER(FALSE), error);
}

static gboolean set_vain(FactsSpec *facts, gconstpointer data) {
  facts->vainAt = fault_now(g_get_real_time() / G_USEC_PER_SEC);
  set_given(facts, FactsSpec, vainAt);
  set_text(facts, FactsSpec_vainTo, &facts->vainTo, data);
  return TRUE;
}

/* A host that can't be asked has none, unless `arriving` says so. */
static gboolean is_seen_there(const ActionContext *context, const Action *action) {
  virConnectPtr peer = move_peer(context, action, "to", NULL);
  g_autoptr(VirDomain) there = NULL;
  return peer && move_find_there(peer, context->object->name, &there, NULL) && there;
}

gboolean move_go_on(const ActionContext *context, const Action *action) {
  g_autoptr(VirDomain) domain = is_seen_there(context, action) ? NULL : act_own_domain(context, NULL);
  g_autoptr(Ownership) record = domain ? act_record(domain, NULL) : NULL;
  if (!record || !given(&record->facts, FactsSpec, restarting) || given(&record->facts, FactsSpec, arriving) || virDomainIsActive(domain) != 0 ||
      LIFE_LONG(virDomainCreate(domain)) < 0)
    return FALSE;
  FAULT("move: started here again");
  move_started(domain, NULL);
  if (!g_cancellable_is_cancelled(context->cancel))
    act_change_facts(domain, set_vain, act_arg(action, "to"), NULL);
  return TRUE;
}

static gboolean set_ran(FactsSpec *facts, gconstpointer data G_GNUC_UNUSED) {
  if (given(facts, FactsSpec, ran) || !given(facts, FactsSpec, movedFrom))
    return FALSE;
  facts->ran = TRUE;
  set_given(facts, FactsSpec, ran);
  return TRUE;
}

gboolean move_seen(virDomainPtr domain, GError **error) {
  int state = act_domain_state(domain, NULL, error);
  if (state < 0 || (state != VIR_DOMAIN_RUNNING && state != VIR_DOMAIN_BLOCKED))
    return state >= 0;
  return act_change_facts(domain, set_ran, NULL, error);
}

static gboolean forget_left(FactsSpec *facts, gconstpointer data G_GNUC_UNUSED) {
  gboolean any = given(facts, FactsSpec, movedFrom) || given(facts, FactsSpec, left);
  unset(facts, FactsSpec_ran);
  spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_movedFrom]);
  spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_left]);
  spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_copied]);
  return any;
}

gboolean move_forget_left(virDomainPtr domain, GError **error) { return act_change_facts(domain, forget_left, NULL, error); }

gint64 move_epoch(virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = act_record(domain, error);
  return !record ? -1 : given(&record->facts, FactsSpec, epoch) ? record->facts.epoch : 0;
}

/* What is declared now, its new place above all. */
static void renew(const ActionContext *context, Ownership *record) {
  const Ownership declared = act_ownership(context, NULL);
  if (record->source && g_strcmp0(record->source, declared.source) != 0) {
    g_free(record->facts.takenFrom);
    record->facts.takenFrom = g_strdup(record->source);
    set_given(&record->facts, FactsSpec, takenFrom);
  }
  g_free(record->source);
  g_free(record->revision);
  g_free(record->place);
  record->source = g_strdup(declared.source);
  record->revision = g_strdup(declared.revision);
  record->place = g_strdup(declared.place);
  spec_clear(&MetadataSpec_table, &record->metadata);
  spec_copy_into(&MetadataSpec_table, &declared.metadata, &record->metadata);
  spec_clear(&VmSpec_table, &record->spec);
  spec_copy_into(&VmSpec_table, &declared.spec, &record->spec);
}

/* Its new number of CPUs and memory, and nothing else. */
static gboolean resize(const ActionContext *context, xmlNode *domain, GError **error) {
  const VmSpec *vm = act_vm(context, error);
  if (!vm)
    return FALSE;
  gboolean changed;
  VmSpec size = {.cpu = vm->cpu, .memory = vm->memory};
  if (given(vm, VmSpec, cpu))
    set_given(&size, VmSpec, cpu);
  if (given(vm, VmSpec, memory))
    set_given(&size, VmSpec, memory);
  return domain_xml_patch(domain, &size, NULL, NULL, &changed, error);
}

/* As the file says; where it doesn't, as it is, or was before the move was begun. */
static gboolean carry_autostart(const ActionContext *context, virDomainPtr domain, FactsSpec *facts, GError **error) {
  gboolean now;
  const VmSpec *vm = act_vm(context, error);
  if (!vm || !read_autostart(domain, &now, error))
    return FALSE;
  gboolean before = now || given(facts, FactsSpec, autostarts);
  set_autostarts(facts, GINT_TO_POINTER(given(vm, VmSpec, autostart) ? vm->autostart : before));
  return TRUE;
}

/* Until libvirt there knows them, nobody does anything to it. */
static void set_snapshots(FactsSpec *facts, const char *names) {
  unset(facts, FactsSpec_snapshotsComing);
  if (!names)
    return;
  facts->snapshotsComing = g_strsplit(names, "\n", -1);
  set_given(facts, FactsSpec, snapshotsComing);
}

char *move_definition(const ActionContext *context, const Action *action, virDomainPtr domain, GError **error) {
  const char *left = act_arg(action, "left"), *to = act_need(action, "to", error);
  g_autoptr(xmlDoc) doc = to ? act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE, error) : NULL;
  if (!doc)
    return NULL;
  GError *unreadable = NULL;
  g_autoptr(Ownership) record = ownership_read(xmlDocGetRootElement(doc), &unreadable);
  if (unreadable || !record) {
    if (unreadable)
      g_propagate_error(error, unreadable);
    else
      act_not_ours(domain, error);
    return NULL;
  }
  if (!act_arg(action, "rest"))
    renew(context, record);
  if (act_arg(action, "resize") && !resize(context, xmlDocGetRootElement(doc), error))
    return NULL;
  const char *nvram = act_arg(action, "nvram");
  if (nvram && !xml_path_exists(xml_path("os/nvram"), xmlDocGetRootElement(doc))) /* else libvirt there would choose */
    xml_path_set(xml_path("os/nvram"), xmlDocGetRootElement(doc), nvram);
  FactsSpec *facts = &record->facts;
  if (!carry_autostart(context, domain, facts, error))
    return NULL;
  unset(facts, FactsSpec_nvram);
  unset(facts, FactsSpec_movingTo);
  unset(facts, FactsSpec_arriving);
  unset(facts, FactsSpec_vainTo);
  unset(facts, FactsSpec_vainAt);
  unset(facts, FactsSpec_ran);
  if (action->kind == ACTION_DOMAIN_ARRIVE && !act_arg(action, "start")) /* what stopped it doesn't start it again */
    unset(facts, FactsSpec_restarting);
  facts->epoch = MIN(given(facts, FactsSpec, epoch) ? facts->epoch : 0, G_MAXINT64 - 1) + 1;
  set_given(facts, FactsSpec, epoch);
  set_text(facts, FactsSpec_home, &facts->home, to);
  set_text(facts, FactsSpec_movedFrom, &facts->movedFrom, context->object->host);
  set_left(facts, left);
  set_snapshots(facts, act_arg(action, "snapshots"));
  ownership_write(xmlDocGetRootElement(doc), record);
  return xml_text(doc);
}
