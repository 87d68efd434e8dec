/* Definitions of domains: new ones, patched ones, and our record alone. */
#include "reconciler/act/device.h"
#include "reconciler/act/secret.h"
#include "reconciler/act/volume.h"
#include "state/fault.h"

gboolean act_write_definition(const ActionContext *context, xmlDoc *doc, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  g_autofree char *text = xml_text(doc);
  g_autoptr(VirDomain) domain = virDomainDefineXMLFlags(connect, text, 0);
  explicit_bzero(text, strlen(text)); /* it may hold a password */
  FAULT("domain: defined");
  return domain || libvirt_fail(error, "cannot define domain %s", context->object->name);
}

/* Only the persistent record: that of the running machine says what it was started with. */
static gboolean write_record(virDomainPtr domain, const Ownership *record, GError **error) {
  const char *name = virDomainGetName(domain);
  g_autofree char *text = ownership_text(record);
  return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, METADATA_PREFIX, METADATA_NAMESPACE,
                              VIR_DOMAIN_AFFECT_CONFIG) == 0 ||
         libvirt_fail(error, "cannot write our record of domain %s", name);
}

static gboolean same_record(const Ownership *a, const Ownership *b) {
  g_autofree char *first = ownership_text(a), *second = ownership_text(b);
  return g_str_equal(first, second);
}

xmlDoc *act_definition(virDomainPtr domain, Ownership **ret_record, GError **error) {
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);
  if (!doc)
    return NULL;
  g_autoptr(GError) unreadable = NULL;
  *ret_record = ownership_read(xmlDocGetRootElement(doc), &unreadable);
  if (!unreadable)
    return g_steal_pointer(&doc);
  g_propagate_error(error, g_steal_pointer(&unreadable));
  return NULL;
}

static gboolean patch(const ActionContext *context, xmlDoc *doc, const VmSpec *applied, const Ownership *record,
                      gboolean *ret_changed, GError **error) {
  xmlNode *root = xmlDocGetRootElement(doc);
  const VmSpec *vm = act_vm(context, error);
  gboolean changed = FALSE;
  if (!vm || !domain_xml_patch(root, vm, applied, record, &changed, error) ||
      !graphics_passwords(context, root, vm, applied, &changed, error))
    return FALSE;
  *ret_changed = changed;
  return TRUE;
}

/* A domain of the name is there: done when it is ours and what we would define. */
static gboolean check_existing(const ActionContext *context, virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = NULL;
  g_autoptr(xmlDoc) doc = act_definition(domain, &record, error);
  if (!doc)
    return FALSE;
  const char *name = context->object->name;
  if (!record)
    return act_refuse(error, "there is a domain %s already, and it isn't ours", name);
  Ownership wanted = act_ownership(context, record);
  gboolean changed;
  if (!patch(context, doc, &record->spec, &wanted, &changed, error))
    return FALSE;
  if (changed)
    return act_refuse(error, "there is a domain %s already, with another definition", name);
  return same_record(record, &wanted) || write_record(domain, &wanted, error);
}

gboolean act_domain_define(const ActionContext *context, const Action *action, GError **error) {
  guint64 epoch = 0;
  g_autoptr(VirDomain) existing = NULL;
  if (!act_arg_optional(action, "epoch", &epoch, error))
    return FALSE;
  const VmSpec *vm = act_vm(context, error);
  if (!vm || (!context->found_absent && !act_find_domain(context, &existing, error)))
    return FALSE;
  if (existing)
    return check_existing(context, existing, error);
  if (!volume_check_taken(context, action, error))
    return FALSE;
  Ownership record = act_ownership(context, NULL);
  if (given(&record.spec, VmSpec, revert)) { /* a new machine has nothing to go back to */
    record.facts.reverted = record.spec.revert.request;
    set_given(&record.facts, FactsSpec, reverted);
  }
  if (epoch) {
    record.facts.epoch = (gint64)epoch;
    set_given(&record.facts, FactsSpec, epoch);
  }
  g_autoptr(xmlDoc) doc = domain_xml_new(context->object->name, vm, &record, error);
  return doc && graphics_passwords(context, xmlDocGetRootElement(doc), vm, NULL, NULL, error) &&
         act_write_definition(context, doc, error);
}

gboolean act_domain_redefine(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_vm(context, error) ? act_domain(context, error) : NULL;
  g_autoptr(Ownership) last = NULL;
  g_autoptr(xmlDoc) doc = domain ? act_definition(domain, &last, error) : NULL;
  if (!doc)
    return FALSE;
  if (!last)
    return act_not_ours(domain, error);
  if (!volume_check_taken(context, action, error))
    return FALSE;
  Ownership record = act_ownership(context, last);
  gboolean changed;
  if (!patch(context, doc, &last->spec, &record, &changed, error) ||
      !device_note_leaving(domain, &last->spec, act_vm(context, error), error))
    return FALSE;
  /* Every definition costs an fsync on the host. */
  if (changed)
    return act_write_definition(context, doc, error);
  return same_record(last, &record) || write_record(domain, &record, error);
}

gboolean act_domain_record(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirDomain) domain = act_vm(context, error) ? act_domain(context, error) : NULL;
  g_autoptr(Ownership) last = NULL;
  g_autoptr(xmlDoc) doc = domain ? act_definition(domain, &last, error) : NULL;
  if (!doc)
    return FALSE;
  if (!last && !act_adopts(context))
    return act_not_ours(domain, error);
  Ownership record = act_ownership(context, last);
  if (!device_note_leaving(domain, last ? &last->spec : NULL, act_vm(context, error), error))
    return FALSE;
  return (last && same_record(last, &record)) || write_record(domain, &record, error);
}

Ownership *act_record(virDomainPtr domain, GError **error) {
  Ownership *record = NULL;
  g_autoptr(xmlDoc) doc = act_definition(domain, &record, error);
  if (doc && !record)
    act_not_ours(domain, error);
  return record;
}

gboolean act_change_facts(virDomainPtr domain, FactsChange change, gconstpointer data, GError **error) {
  g_autoptr(Ownership) record = NULL;
  g_autoptr(xmlDoc) doc = act_definition(domain, &record, error);
  if (!doc)
    return FALSE;
  if (!record)
    return act_not_ours(domain, error);
  return !change(&record->facts, data) || write_record(domain, record, error);
}
