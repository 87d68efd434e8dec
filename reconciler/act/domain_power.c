/* Power: start, pause, resume. Shutting down and saving have files of their own. */
#include "reconciler/act/base.h"
#include "reconciler/act/transient.h"
#include "state/fault.h"
#include "state/life_sign.h"

static gboolean is_active_state(int state) {
  return state != VIR_DOMAIN_SHUTOFF && state != VIR_DOMAIN_CRASHED && state != VIR_DOMAIN_NOSTATE;
}

static gboolean runs(int state) { return state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED; }

/* A saved machine comes back as it was saved: paused, if it was (libvirt's reason is then that of
 * the restoring). One that an I/O error has paused stays so. */
static gboolean verify_started(const ActionContext *context, virDomainPtr domain, gboolean restored, gboolean paused, GError **error) {
  const char *name = context->object->name;
  int reason, state = act_domain_state(domain, &reason, error);
  if (state < 0)
    return FALSE;
  if (!paused && restored && state == VIR_DOMAIN_PAUSED && reason != VIR_DOMAIN_PAUSED_IOERROR) {
    if (virDomainResume(domain) < 0)
      return libvirt_fail(error, "domain %s was started, but stays paused", name);
    state = act_domain_state(domain, &reason, error);
  }
  if (state < 0)
    return FALSE;
  if (paused ? state == VIR_DOMAIN_PAUSED : runs(state))
    return TRUE;
  if (is_active_state(state))
    return act_fail(error, "domain %s was started, but is paused (reason %d)", name, reason);
  return act_fail(error, "domain %s was started, but is off again", name);
}

gboolean act_domain_start(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  int state = domain ? act_domain_state(domain, NULL, error) : -1;
  if (state < 0)
    return FALSE;
  const char *name = context->object->name;
  gboolean paused = g_strcmp0(act_arg(action, "paused"), "true") == 0;
  if (runs(state))
    return paused ? act_stale(error, "domain %s is running already", name) : act_note_restart(domain, action, FALSE, error);
  if (state == VIR_DOMAIN_PAUSED)
    return paused ? TRUE : act_stale(error, "domain %s has been started and is paused", name);
  if (is_active_state(state))
    return act_stale(error, "domain %s is neither off nor running", name);
  if (!bases_check(context, action, error) || !transient_overlays_remove(context, domain, error))
    return FALSE;
  int saved = virDomainHasManagedSaveImage(domain, 0);
  if (saved > 0)
    act_progress(context, action, 0, 0, "restoring");
  if (LIFE_LONG(virDomainCreateWithFlags(domain, paused ? VIR_DOMAIN_START_PAUSED : 0)) < 0) /* memory may have to be provided, or read */
    return libvirt_fail(error, "cannot %s domain %s", saved > 0 ? "restore" : "start", name);
  FAULT("domain: started");
  return verify_started(context, domain, saved > 0, paused, error) && act_note_restart(domain, action, FALSE, error);
}

gboolean act_domain_pause(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  int state = domain ? act_domain_state(domain, NULL, error) : -1;
  if (state < 0)
    return FALSE;
  if (state == VIR_DOMAIN_PAUSED)
    return TRUE;
  if (!runs(state))
    return act_stale(error, "domain %s isn't running", context->object->name);
  if (virDomainSuspend(domain) < 0)
    return libvirt_fail(error, "cannot pause domain %s", context->object->name);
  state = act_domain_state(domain, NULL, error);
  return state >= 0 && (state == VIR_DOMAIN_PAUSED || act_fail(error, "domain %s doesn't stay paused", context->object->name));
}

gboolean act_domain_resume(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  int reason, state = domain ? act_domain_state(domain, &reason, error) : -1;
  if (state < 0)
    return FALSE;
  if (runs(state))
    return TRUE;
  const char *name = context->object->name;
  if (state != VIR_DOMAIN_PAUSED)
    return act_stale(error, "domain %s isn't paused: it sleeps or shuts down", name);
  if (virDomainResume(domain) < 0) {
    libvirt_fail(error, "cannot resume domain %s", name);
    /* A start that another client had begun may have ended meanwhile: then it runs. */
    if (!runs(act_domain_state(domain, NULL, NULL)))
      return FALSE;
    g_clear_error(error);
    return TRUE;
  }
  state = act_domain_state(domain, &reason, error);
  if (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_IOERROR)
    return act_fail(error, "domain %s paused itself again because of an I/O error: is its storage full?", name);
  return state >= 0 && (runs(state) || act_fail(error, "domain %s was resumed, but doesn't run", name));
}
