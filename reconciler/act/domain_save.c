/* Hibernation: memory to disk by libvirt's managed save, and throwing such an image away. */
#include "reconciler/act/long_call.h"
#include "state/life_sign.h"

static gboolean save(virDomainPtr domain, gpointer data G_GNUC_UNUSED, GError **error) {
  const char *name = virDomainGetName(domain);
  return virDomainManagedSave(domain, 0) == 0 || libvirt_fail(error, "cannot save domain %s", name);
}

gboolean act_domain_hibernate(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  int active = domain ? virDomainIsActive(domain) : -1, saved = domain ? virDomainHasManagedSaveImage(domain, 0) : -1;
  if (!domain)
    return FALSE;
  const char *name = context->object->name;
  if (active < 0 || saved < 0)
    return libvirt_fail(error, "cannot read the state of domain %s", name);
  if (!active)
    return saved ? TRUE : act_stale(error, "domain %s isn't running any more", name);
  /* When it is cancelled, the machine runs on. */
  return long_call(context, action, domain, "saving", save, NULL, error) &&
         (virDomainHasManagedSaveImage(domain, 0) == 1 ||
          act_fail(error, "domain %s was saved, but libvirt has no image of it", name));
}

gboolean act_domain_discard_save(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  if (!domain)
    return FALSE;
  int saved = virDomainHasManagedSaveImage(domain, 0);
  if (saved < 0)
    return libvirt_fail(error, "cannot read the state of domain %s", context->object->name);
  if (!saved || LIFE_LONG(virDomainManagedSaveRemove(domain, 0)) == 0)
    return TRUE;
  return libvirt_fail(error, "cannot remove the saved state of domain %s", context->object->name);
}
