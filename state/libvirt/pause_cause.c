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
