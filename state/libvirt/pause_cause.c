#include <libvirt/libvirt.h>

#include "state/actual.h"

gboolean actual_paused_by_choice(const ActualDomain *domain) {
  switch (domain->reason) {
  case VIR_DOMAIN_PAUSED_UNKNOWN:
  case VIR_DOMAIN_PAUSED_USER:
  case VIR_DOMAIN_PAUSED_STARTING_UP:
    return TRUE;
  default:
    return FALSE;
  }
}
