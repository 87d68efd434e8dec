#include <libvirt/libvirt.h>

#include "state/actual.h"

gboolean actual_paused_by_choice(const ActualDomain *domain) {
  switch (domain->reason) {
  case VIR_DOMAIN_PAUSED_UNKNOWN:
  case VIR_DOMAIN_PAUSED_USER:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean actual_is_starting(const ActualDomain *domain) {
  return domain->state == VIR_DOMAIN_PAUSED && domain->reason == VIR_DOMAIN_PAUSED_STARTING_UP;
}

gboolean actual_is_migrating(const ActualDomain *domain) {
  return domain->state == VIR_DOMAIN_PAUSED && (domain->reason == VIR_DOMAIN_PAUSED_MIGRATION || domain->reason == VIR_DOMAIN_PAUSED_POSTCOPY ||
                                                domain->reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED);
}

gboolean actual_is_at_the_switch(const ActualDomain *domain) {
  return domain->state == VIR_DOMAIN_PAUSED && domain->reason == VIR_DOMAIN_PAUSED_MIGRATION;
}

gboolean actual_in_post_copy(const ActualDomain *domain) {
  return domain->state == VIR_DOMAIN_RUNNING && (domain->reason == VIR_DOMAIN_RUNNING_POSTCOPY || domain->reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED);
}

gboolean actual_post_copy_broke(const ActualDomain *domain) {
  return domain->state == VIR_DOMAIN_PAUSED ? domain->reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED
                                            : domain->state == VIR_DOMAIN_RUNNING && domain->reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED;
}

gboolean actual_ended_by_libvirtd(const ActualDomain *domain) {
  return !domain->active && domain->state == VIR_DOMAIN_SHUTOFF && domain->reason == VIR_DOMAIN_SHUTOFF_DAEMON;
}

gboolean actual_is_paused(const ActualDomain *domain) { return domain->state == VIR_DOMAIN_PAUSED; }

gboolean actual_executes(const ActualDomain *domain) {
  return domain->state == VIR_DOMAIN_RUNNING || domain->state == VIR_DOMAIN_BLOCKED;
}

StopCause actual_stop_cause(const ActualDomain *domain) {
  if (domain->active || domain->state != VIR_DOMAIN_SHUTOFF)
    return STOP_UNKNOWN;
  switch (domain->reason) {
  case VIR_DOMAIN_SHUTOFF_SHUTDOWN: return STOP_SHUT_DOWN;
  case VIR_DOMAIN_SHUTOFF_DESTROYED: return STOP_FORCED;
  case VIR_DOMAIN_SHUTOFF_CRASHED:
  case VIR_DOMAIN_SHUTOFF_DAEMON: return STOP_CRASHED;
  case VIR_DOMAIN_SHUTOFF_FAILED: return STOP_START_FAILED;
  default: return STOP_UNKNOWN;
  }
}
