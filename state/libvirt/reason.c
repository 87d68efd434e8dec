#include "state/libvirt/reason.h"

#include <glib.h>
#include <libvirt/libvirt.h>

static const char *const running[] = {
    [VIR_DOMAIN_RUNNING_MIGRATED] = "migrated",
    [VIR_DOMAIN_RUNNING_RESTORED] = "restored",
    [VIR_DOMAIN_RUNNING_FROM_SNAPSHOT] = "from a snapshot",
    [VIR_DOMAIN_RUNNING_MIGRATION_CANCELED] = "migration cancelled",
    [VIR_DOMAIN_RUNNING_SAVE_CANCELED] = "save cancelled",
    [VIR_DOMAIN_RUNNING_WAKEUP] = "woken up",
    [VIR_DOMAIN_RUNNING_CRASHED] = "crashed",
    [VIR_DOMAIN_RUNNING_POSTCOPY] = "post-copy migration",
    [VIR_DOMAIN_RUNNING_POSTCOPY_FAILED] = "post-copy migration failed",
};

static const char *const paused[] = {
    [VIR_DOMAIN_PAUSED_MIGRATION] = "migration",
    [VIR_DOMAIN_PAUSED_SAVE] = "being saved",
    [VIR_DOMAIN_PAUSED_DUMP] = "core dump",
    [VIR_DOMAIN_PAUSED_IOERROR] = "I/O error",
    [VIR_DOMAIN_PAUSED_WATCHDOG] = "watchdog",
    [VIR_DOMAIN_PAUSED_FROM_SNAPSHOT] = "from a snapshot",
    [VIR_DOMAIN_PAUSED_SHUTTING_DOWN] = "shutting down",
    [VIR_DOMAIN_PAUSED_SNAPSHOT] = "snapshot",
    [VIR_DOMAIN_PAUSED_CRASHED] = "guest crashed",
    [VIR_DOMAIN_PAUSED_STARTING_UP] = "starting up",
    [VIR_DOMAIN_PAUSED_POSTCOPY] = "post-copy migration",
    [VIR_DOMAIN_PAUSED_POSTCOPY_FAILED] = "post-copy migration failed",
};

static const char *const shut_off[] = {
    [VIR_DOMAIN_SHUTOFF_DESTROYED] = "powered off",
    [VIR_DOMAIN_SHUTOFF_CRASHED] = "crashed",
    [VIR_DOMAIN_SHUTOFF_MIGRATED] = "migrated",
    [VIR_DOMAIN_SHUTOFF_SAVED] = "saved",
    [VIR_DOMAIN_SHUTOFF_FAILED] = "failed to start",
    [VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT] = "from a snapshot",
    [VIR_DOMAIN_SHUTOFF_DAEMON] = "daemon stopped it",
};

static const char *const crashed[] = {[VIR_DOMAIN_CRASHED_PANICKED] = "panicked"};

static const char *word(const char *const *words, int count, int reason) {
  return reason >= 0 && reason < count ? words[reason] : NULL;
}

const char *domain_reason_word(int state, int reason) {
  switch (state) {
  case VIR_DOMAIN_RUNNING: return word(running, G_N_ELEMENTS(running), reason);
  case VIR_DOMAIN_PAUSED: return word(paused, G_N_ELEMENTS(paused), reason);
  case VIR_DOMAIN_SHUTOFF: return word(shut_off, G_N_ELEMENTS(shut_off), reason);
  case VIR_DOMAIN_CRASHED: return word(crashed, G_N_ELEMENTS(crashed), reason);
  default: return NULL;
  }
}
