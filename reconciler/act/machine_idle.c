#include "reconciler/act/machine_idle.h"

#include "state/fault.h"

enum { SHORT_JOB_SECONDS = 2, PAUSE_MILLISECONDS = 100 };

static gboolean refuse_busy(const ActionContext *context, GError **error) {
  return act_refuse(error, "libvirt is still at work on domain %s (on what an earlier run began there, most likely): wait until that has ended; where "
                    "it doesn't end, QEMU hangs, or what the disks are on", context->object->name);
}

static gboolean fail_to_ask(const ActionContext *context, GError **error) {
  return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT ||
         libvirt_fail(error, "cannot see whether libvirt is still at work on domain %s", context->object->name);
}

/* Somebody's call is at QEMU, or waits for its answer. */
static gboolean is_at_qemu(const virDomainControlInfo *info) {
  return info->state == VIR_DOMAIN_CONTROL_JOB || info->state == VIR_DOMAIN_CONTROL_OCCUPIED;
}

static gboolean wait_for_qemu(const ActionContext *context, virDomainPtr domain, GError **error) {
  gint64 until = g_get_monotonic_time() + fault_patience(SHORT_JOB_SECONDS) * G_USEC_PER_SEC;
  virDomainControlInfo info;
  for (;;) {
    if (virDomainGetControlInfo(domain, &info, 0) < 0)
      return fail_to_ask(context, error);
    if (!is_at_qemu(&info))
      return TRUE;
    if (g_get_monotonic_time() >= until)
      return refuse_busy(context, error);
    if (!act_sleep(context, PAUSE_MILLISECONDS, error))
      return FALSE;
  }
}

/* A job like a snapshot isn't at QEMU all the time. While it is under way libvirt tells of it, or, where it lets nobody
 * in, not even that, after half a minute. */
gboolean machine_check_idle(const ActionContext *context, virDomainPtr domain, GError **error) {
  virDomainJobInfo info;
  int active = virDomainIsActive(domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", context->object->name);
  if (!active)
    return TRUE;
  if (!wait_for_qemu(context, domain, error))
    return FALSE;
  if (virDomainGetJobInfo(domain, &info) == 0)
    return info.type == VIR_DOMAIN_JOB_NONE || refuse_busy(context, error);
  return virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT ? refuse_busy(context, error) : fail_to_ask(context, error);
}
