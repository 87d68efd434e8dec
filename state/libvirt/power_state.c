/* libvirt's states in the words of the YAML. */
#include <libvirt/libvirt.h>

#include "state/actual.h"

gboolean power_state_of(int vir_domain_state, gboolean managed_save, PowerState *ret_power) {
  switch (vir_domain_state) {
  case VIR_DOMAIN_RUNNING:
  case VIR_DOMAIN_BLOCKED:
    *ret_power = PowerState_running;
    return TRUE;
  case VIR_DOMAIN_PAUSED:
    *ret_power = PowerState_paused;
    return TRUE;
  case VIR_DOMAIN_SHUTOFF:
    *ret_power = managed_save ? PowerState_hibernated : PowerState_stopped;
    return TRUE;
  default:
    return FALSE;
  }
}

const char *power_state_word(int vir_domain_state, gboolean managed_save) {
  PowerState power;
  if (power_state_of(vir_domain_state, managed_save, &power))
    return PowerState_words.words[power];
  switch (vir_domain_state) {
  case VIR_DOMAIN_SHUTDOWN:
    return "shutting-down";
  case VIR_DOMAIN_CRASHED:
    return "crashed";
  case VIR_DOMAIN_PMSUSPENDED:
    return "suspended";
  default:
    return "unknown";
  }
}
