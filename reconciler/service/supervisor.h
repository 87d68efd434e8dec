/* What systemd is told of the service (sd_notify(3)); nothing happens where it isn't listening, or where
 * the program was built without libsystemd. */
#pragma once
#include <glib.h>

void supervisor_ready(void);
void supervisor_reloading(void);
void supervisor_stopping(void);
void supervisor_status(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Makes a source on the default main context that says in time that the loop is alive, where the
 * supervisor wants that. */
void supervisor_start_watchdog(void);
