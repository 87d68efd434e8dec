/* What belongs to a domain as a whole beside its definition and its power: autostart, and its end. */
#include "reconciler/act/move.h"
#include "state/fault.h"

gboolean act_domain_autostart(const ActionContext *context, const Action *action, GError **error) {
  const char *value = act_need(action, "value", error);
  g_autoptr(VirDomain) domain = value ? act_own_domain(context, error) : NULL;
  if (!domain)
    return FALSE;
  int wanted = g_str_equal(value, "true"), now;
  if (virDomainGetAutostart(domain, &now) < 0)
    return libvirt_fail(error, "cannot read autostart of domain %s", context->object->name);
  if (!!now == wanted || virDomainSetAutostart(domain, wanted) == 0)
    return TRUE;
  return libvirt_fail(error, "cannot set autostart of domain %s", context->object->name);
}

static gboolean check_removable(virDomainPtr domain, GError **error) {
  const char *name = virDomainGetName(domain);
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  g_autoptr(GError) unreadable = NULL;
  g_autoptr(Ownership) record = ownership_read(xmlDocGetRootElement(doc), &unreadable);
  if (unreadable) {
    g_propagate_error(error, g_steal_pointer(&unreadable));
    return FALSE;
  }
  if (!record)
    return act_not_ours(domain, error);
  if (given(&record->spec, VmSpec, deletionProtection) && record->spec.deletionProtection)
    return act_refuse(error, "domain %s has deletionProtection", name);
  int active = virDomainIsActive(domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", name);
  return !active || act_refuse(error, "domain %s is running", name);
}

/* Those that the plan knew of go with the definition. */
static gboolean check_snapshots(virDomainPtr domain, const Action *action, GError **error) {
  const char *name = virDomainGetName(domain), *planned = act_arg(action, "snapshots");
  g_auto(GStrv) known = g_strsplit(planned ? planned : "", "\n", -1);
  virDomainSnapshotPtr *all = NULL;
  int n = virDomainListAllSnapshots(domain, &all, 0);
  if (n < 0)
    return libvirt_fail(error, "cannot list the snapshots of domain %s", name);
  g_autofree char *late = NULL;
  for (int i = 0; i < n; i++) {
    const char *each = virDomainSnapshotGetName(all[i]);
    if (!late && !g_strv_contains((const char *const *)known, each))
      late = g_strdup(each);
    virDomainSnapshotFree(all[i]);
  }
  free(all);
  return !late || act_stale(error, "the snapshot %s of domain %s was made since this was planned, and would be forgotten with it: it isn't "
                            "undefined; plan again", late, name);
}

/* libvirt's notes of snapshots and checkpoints go with the definition. */
static gboolean check_notes(virDomainPtr domain, const Action *action, GError **error) {
  const char *name = virDomainGetName(domain);
  if (!check_snapshots(domain, action, error))
    return FALSE;
  int checkpoints = virDomainListAllCheckpoints(domain, NULL, 0);
  if (checkpoints < 0)
    return libvirt_fail(error, "cannot count the checkpoints of domain %s", name);
  return !checkpoints || act_arg(action, "checkpoints") ||
         act_refuse(error, "domain %s has checkpoints, which would be lost: delete them first ('virsh checkpoint-delete'), or permit it (--allow "
                    "data-loss)", name);
}

/* What else is lost has to be said by the plan; of a managed save that came since, libvirt refuses to lose sight. */
static guint undefine_flags(const Action *action) {
  gboolean loses = action->impact == IMPACT_DATA_LOSS;
  return ACT_UNDEFINE | (loses && act_arg(action, "data") ? VIR_DOMAIN_UNDEFINE_NVRAM : VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) |
         (loses && act_arg(action, "saved") ? VIR_DOMAIN_UNDEFINE_MANAGED_SAVE : 0);
}

gboolean act_domain_undefine(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = NULL;
  if (!act_find_domain(context, &domain, error))
    return FALSE;
  if (!domain)
    return TRUE;
  if (!check_removable(domain, error) || !check_notes(domain, action, error))
    return FALSE;
  if (!move_is_whole(context, domain, error)) /* else an older copy's end takes its disks for half-made */
    return FALSE;
  if (virDomainUndefineFlags(domain, undefine_flags(action)) < 0)
    return libvirt_fail(error, "cannot undefine domain %s", context->object->name);
  FAULT("domain: undefined");
  g_autoptr(VirDomain) still = NULL;
  if (!act_find_domain(context, &still, error))
    return FALSE;
  return !still || act_fail(error, "domain %s was undefined but is there: something else started it", context->object->name);
}
