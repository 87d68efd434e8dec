/* A graceful end: asked for, again and again, until the time is over; then the power goes.
 *
 * A machine that doesn't execute (paused, asleep, crashed) can't react, and it isn't resumed for
 * this: whoever paused it may have had a reason. Its power goes at once, or with force=false it
 * is an error. */
#include "reconciler/act/common.h"
#include "reconciler/act/layer_pulled.h"
#include "state/asked.h"
#include "state/fault.h"

#define POLL_MILLISECONDS 200

typedef struct {
  const ActionContext *context;
  const Action *action;
  virDomainPtr domain;
  unsigned int id; /* libvirt's number of this run of the machine */
  guint64 timeout, interval; /* milliseconds */
  gboolean force;
  gboolean asked; /* it may end from now on, whether it is waited for or not */
} Shutdown;

/* A handle remembers the id it was looked up with: a new one shows what runs now. */
static gboolean look(const Shutdown *shutdown, gboolean *ret_off, GError **error) {
  g_autoptr(VirDomain) now = NULL;
  if (!act_find_domain(shutdown->context, &now, error))
    return FALSE;
  const char *name = shutdown->context->object->name;
  if (!now)
    return act_stale(error, "domain %s has gone", name);
  unsigned int id = virDomainGetID(now);
  if (id != (unsigned int)-1 && id != shutdown->id)
    return act_fail(error, "domain %s went off, but something else started it again", name);
  *ret_off = id == (unsigned int)-1;
  return TRUE;
}

static gboolean agent_is_connected(virDomainPtr domain) {
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, 0, NULL);
  return doc && xml_path_exists(xml_path("devices/channel[target/@name='org.qemu.guest_agent.0'][target/@state='connected']"),
                                xmlDocGetRootElement(doc));
}

/* The agent is asked once; it waits for an answer, and the button works without it. A guest
 * that has just gone off refuses, which the next look will show. */
static void ask(const Shutdown *shutdown, guint attempt) {
  guint flags = VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN;
  if (attempt == 0 && agent_is_connected(shutdown->domain) &&
      virDomainShutdownFlags(shutdown->domain, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == 0)
    return;
  virDomainShutdownFlags(shutdown->domain, flags);
}

static void tell(const Shutdown *shutdown, guint64 waited) {
  g_autofree char *phase = g_strdup_printf("waiting for the guest to shut down (%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " s)",
                                           waited / 1000, shutdown->timeout / 1000);
  act_progress(shutdown->context, shutdown->action, 0, 0, phase);
}

/* Until it is off, or the time is over. */
static gboolean shut_down(const Shutdown *shutdown, gboolean *ret_off, GError **error) {
  gint64 start = g_get_monotonic_time();
  guint64 next = 0, told = 0;
  for (guint attempt = 0;;) {
    guint64 waited = (guint64)(g_get_monotonic_time() - start) / 1000;
    if (waited >= shutdown->timeout)
      return look(shutdown, ret_off, error);
    if (waited >= next) {
      ask(shutdown, attempt++);
      next = waited + shutdown->interval;
      FAULT("shutdown: asked for");
    }
    if (waited >= told) {
      tell(shutdown, waited);
      told += 1000;
    }
    if (!act_sleep(shutdown->context, (guint)MIN(POLL_MILLISECONDS, shutdown->timeout - waited), error) ||
        !look(shutdown, ret_off, error))
      return FALSE;
    if (*ret_off)
      return TRUE;
  }
}

/* QEMU is given the chance to flush its caches first. */
static gboolean power_off(const Shutdown *shutdown, const char *phase, GError **error) {
  const char *name = shutdown->context->object->name;
  act_progress(shutdown->context, shutdown->action, 0, 0, phase);
  gboolean off;
  if (virDomainDestroyFlags(shutdown->domain, VIR_DOMAIN_DESTROY_GRACEFUL) == 0 ||
      virDomainDestroyFlags(shutdown->domain, 0) == 0)
    return look(shutdown, &off, error) && (off || act_fail(error, "domain %s was powered off, but runs", name));
  g_autoptr(GError) failure = NULL;
  libvirt_fail(&failure, "cannot power off domain %s", name);
  if (!look(shutdown, &off, error))
    return FALSE;
  if (!off)
    g_propagate_error(error, g_steal_pointer(&failure));
  return off;
}

static gboolean read_arguments(Shutdown *shutdown, GError **error) {
  shutdown->timeout = 90 * 1000;
  shutdown->interval = 10 * 1000;
  shutdown->force = g_strcmp0(act_arg(shutdown->action, "force"), "false") != 0;
  return act_arg_optional(shutdown->action, "timeout", &shutdown->timeout, error) &&
         act_arg_optional(shutdown->action, "retryInterval", &shutdown->interval, error);
}

static gboolean executes(int state) {
  return state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED || state == VIR_DOMAIN_SHUTDOWN;
}

/* For a run that finds it running: one that was asked may still go off. */
static gboolean note_asked(Shutdown *shutdown, GError **error) {
  const char *name = shutdown->context->object->name;
  g_autofree char *text = asked_text(g_get_real_time() / G_USEC_PER_SEC);
  if (act_arg(shutdown->action, "again") &&
      virDomainSetMetadata(shutdown->domain, VIR_DOMAIN_METADATA_ELEMENT, text, ASKED_PREFIX, ASKED_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE) < 0 &&
      virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID) /* it went off by itself */
    return libvirt_fail(error, "cannot note that domain %s is asked to shut down", name);
  shutdown->asked = TRUE;
  return TRUE;
}

static gboolean stop(Shutdown *shutdown, GError **error) {
  const ActionContext *context = shutdown->context;
  int state = act_domain_state(shutdown->domain, NULL, error);
  if (state < 0)
    return FALSE;
  if (!executes(state)) {
    if (!shutdown->force)
      return act_fail(error, "domain %s is paused and can't shut down gracefully; resume it, or allow that it is powered off (shutdown.force: true)",
                      context->object->name);
    return note_asked(shutdown, error) && power_off(shutdown, "it is paused and can't react: powering off", error);
  }
  FAULT("shutdown: to be asked for");
  gboolean off = FALSE;
  if (!note_asked(shutdown, error) || !shut_down(shutdown, &off, error))
    return FALSE;
  if (off)
    return TRUE;
  if (!shutdown->force)
    return act_fail(error, "domain %s did not shut down within %" G_GUINT64_FORMAT " s; it was left running: look why its guest doesn't, "
                           "give it longer (shutdown.timeout), or allow that it is powered off (shutdown.force: true)",
                    context->object->name, shutdown->timeout / 1000);
  return power_off(shutdown, "the guest did not shut down: powering off", error);
}

/* What was asked to go off may do so when nobody waits for it any more: then it is started again by the next run. */
static void keep_or_forget(const Shutdown *shutdown) {
  g_autoptr(VirDomain) now = NULL;
  if (!act_find_domain(shutdown->context, &now, NULL) || !now || virDomainIsActive(now) != 1)
    return;
  if (!shutdown->asked || virDomainGetID(now) != shutdown->id)
    act_note_restart(now, shutdown->action, FALSE, NULL);
}

gboolean act_domain_shutdown(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  Shutdown shutdown = { .context = context, .action = action, .domain = domain };
  if (!domain || !read_arguments(&shutdown, error))
    return FALSE;
  shutdown.id = virDomainGetID(domain);
  if (shutdown.id == (unsigned int)-1)
    return TRUE;
  if (act_arg(action, "again") && !act_check_after(context, action, error)) /* it is stopped for nothing else */
    return FALSE;
  pull_note_flushed(context, domain);
  if (!act_note_restart(domain, action, TRUE, error))
    return FALSE;
  if (stop(&shutdown, error)) {
    FAULT("shutdown: off");
    return TRUE;
  }
  keep_or_forget(&shutdown);
  return FALSE;
}
