/* Changes of a running machine that need its guest or nothing but libvirt: virtual CPUs,
 * memory, texts and what happens at the end of its life. The persistent definition has been
 * written before; only the live machine is changed here. */
#include "reconciler/act/common.h"
#include "schema/value.h"
#include "state/balloon_note.h"
#include "state/fault.h"

enum { GUEST_WAIT_SECONDS = 10, PAGE_KIB = 4 };

static gboolean read_vcpus(virDomainPtr domain, int *ret_count, GError **error) {
  const char *name = virDomainGetName(domain);
  int count = virDomainGetVcpusFlags(domain, VIR_DOMAIN_VCPU_LIVE);
  if (count < 0)
    return libvirt_fail(error, "cannot read the virtual CPUs of domain %s", name);
  *ret_count = count;
  return TRUE;
}

/* Unplugging is up to the guest: what libvirt answers meanwhile isn't the last word. */
static gboolean wait_vcpus(const ActionContext *context, virDomainPtr domain, int wanted, GError *refusal, GError **error) {
  g_autoptr(GError) reason = refusal;
  gint64 end = g_get_monotonic_time() + GUEST_WAIT_SECONDS * G_USEC_PER_SEC;
  gboolean asleep = !reason || g_error_matches(reason, LIBVIRT_ERROR, VIR_ERR_OPERATION_TIMEOUT);
  for (int count = 0;;) {
    if (!read_vcpus(domain, &count, error))
      return FALSE;
    if (count == wanted)
      return TRUE;
    if (!asleep || g_get_monotonic_time() > end) {
      if (reason && !asleep)
        g_propagate_error(error, g_steal_pointer(&reason));
      else
        act_fail(error, "the guest of domain %s did not go along: it has %d virtual CPUs, not %d; "
                 "the definition has the new count already, so the next start brings it",
                 context->object->name, count, wanted);
      return FALSE;
    }
    if (!act_sleep(context, 200, error))
      return FALSE;
  }
}

gboolean act_set_vcpus(const ActionContext *context, const Action *action, GError **error) {
  guint64 wanted;
  g_autoptr(VirDomain) domain = act_arg_uint64(action, "count", &wanted, error) ? act_live_domain(context, error) : NULL;
  int count = 0;
  if (!domain || !read_vcpus(domain, &count, error))
    return FALSE;
  if ((guint64)count == wanted)
    return TRUE;
  GError *refusal = NULL;
  if (virDomainSetVcpusFlags(domain, (unsigned int)wanted, VIR_DOMAIN_AFFECT_LIVE) < 0)
    libvirt_fail(&refusal, "cannot set the virtual CPUs of domain %s from %d to %d", context->object->name, count, (int)wanted);
  return wait_vcpus(context, domain, (int)wanted, refusal, error);
}

/* The balloon moves as fast as the guest lets it, and perhaps not the whole way: watched while
 * it moves, for a bounded time, and not held against it. It moves in pages. */
static gboolean watch_balloon(const ActionContext *context, const Action *action, virDomainPtr domain, guint64 wanted_kib,
                              guint64 *ret_rested_kib, GError **error) {
  gint64 end = g_get_monotonic_time() + GUEST_WAIT_SECONDS * G_USEC_PER_SEC;
  guint64 last = 0;
  for (guint still = 0; still < 15 && g_get_monotonic_time() < end;) {
    virDomainInfo info;
    if (virDomainGetInfo(domain, &info) < 0)
      return libvirt_fail(error, "cannot read the memory of domain %s", context->object->name);
    *ret_rested_kib = info.memory;
    if (info.memory >= wanted_kib && info.memory - wanted_kib < PAGE_KIB)
      return TRUE;
    still = info.memory == last ? still + 1 : 0;
    last = info.memory;
    act_progress(context, action, 0, 0, "waiting for the memory balloon");
    if (!act_sleep(context, 200, error))
      return FALSE;
  }
  return TRUE;
}

/* So that no later run tells it the same. A machine that stopped meanwhile needs none. */
static gboolean note_balloon(virDomainPtr domain, const BalloonNote *note, GError **error) {
  g_autofree char *text = balloon_note_text(note);
  const char *name = virDomainGetName(domain); /* asking for it forgets the last error */
  return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, BALLOON_PREFIX, BALLOON_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
         libvirt_fail(error, "cannot note what the balloon of domain %s was told", name);
}

gboolean act_set_memory(const ActionContext *context, const Action *action, GError **error) {
  guint64 bytes;
  g_autoptr(VirDomain) domain = act_arg_uint64(action, "bytes", &bytes, error) ? act_live_domain(context, error) : NULL;
  if (!domain)
    return FALSE;
  /* Setting the target anew is harmless, and the balloon may be on its way elsewhere. */
  if (virDomainSetMemoryFlags(domain, bytes / 1024, VIR_DOMAIN_AFFECT_LIVE) < 0)
    return libvirt_fail(error, "cannot set the memory of domain %s", context->object->name);
  FAULT("memory: balloon told");
  guint64 rested = 0;
  if (!watch_balloon(context, action, domain, bytes / 1024, &rested, error))
    return FALSE;
  const BalloonNote note = {.told = bytes, .rested = rested * 1024};
  return note_balloon(domain, &note, error);
}

gboolean act_set_memory_stats(const ActionContext *context, const Action *action, GError **error) {
  guint64 milliseconds;
  g_autoptr(VirDomain) domain = act_arg_uint64(action, "period", &milliseconds, error) ? act_live_domain(context, error) : NULL;
  if (!domain)
    return FALSE;
  return virDomainSetMemoryStatsPeriod(domain, (int)(milliseconds / 1000), VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot set the period of memory statistics of domain %s", context->object->name);
}

static gboolean set_text(const ActionContext *context, const Action *action, virDomainMetadataType type, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  if (!domain)
    return FALSE;
  const char *wanted = act_arg(action, "text");
  g_autofree char *now = virDomainGetMetadata(domain, type, NULL, VIR_DOMAIN_AFFECT_LIVE);
  if (!now && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA)
    return libvirt_fail(error, "cannot read %s of domain %s",
                        type == VIR_DOMAIN_METADATA_TITLE ? "the title" : "the description", context->object->name);
  if (g_strcmp0(now, wanted) == 0)
    return TRUE;
  return virDomainSetMetadata(domain, type, wanted, NULL, NULL, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot set %s of domain %s",
                      type == VIR_DOMAIN_METADATA_TITLE ? "the title" : "the description", context->object->name);
}

gboolean act_set_title(const ActionContext *context, const Action *action, GError **error) {
  return set_text(context, action, VIR_DOMAIN_METADATA_TITLE, error);
}

gboolean act_set_description(const ActionContext *context, const Action *action, GError **error) {
  return set_text(context, action, VIR_DOMAIN_METADATA_DESCRIPTION, error);
}

static const char *const lifecycle_events[] = { "onPoweroff", "onReboot", "onCrash", NULL };
static const virDomainLifecycle lifecycle_types[] = {
  VIR_DOMAIN_LIFECYCLE_POWEROFF, VIR_DOMAIN_LIFECYCLE_REBOOT, VIR_DOMAIN_LIFECYCLE_CRASH,
};
/* In the order of virDomainLifecycleAction. */
static const char *const lifecycle_actions[] = {
  "destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart", NULL,
};
G_STATIC_ASSERT(VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART == 5 && G_N_ELEMENTS(lifecycle_actions) == 7);

gboolean act_set_lifecycle(const ActionContext *context, const Action *action, GError **error) {
  const char *event = act_need(action, "event", error), *wanted = event ? act_need(action, "action", error) : NULL;
  if (!wanted)
    return FALSE;
  int type = enum_find(lifecycle_events, event), value = enum_find(lifecycle_actions, wanted);
  if (type < 0 || value < 0)
    return act_fail(error, "there is no lifecycle event %s with action %s", event, wanted);
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  if (!domain)
    return FALSE;
  return virDomainSetLifecycleAction(domain, lifecycle_types[type], (unsigned int)value, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot set %s of domain %s", event, context->object->name);
}
