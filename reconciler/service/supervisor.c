#include "reconciler/service/supervisor.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

static void tell(const char *text) { sd_notify(0, text); }

static gboolean is_alive(gpointer data G_GNUC_UNUSED) {
  tell("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

void supervisor_start_watchdog(void) {
  guint64 microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0 && microseconds >= 2000)
    g_timeout_add((guint)(microseconds / 2000), is_alive, NULL);
}
#else
static void tell(const char *text) { (void)text; }
void supervisor_start_watchdog(void) {}
#endif

void supervisor_ready(void) { tell("READY=1"); }

void supervisor_reloading(void) {
  g_autofree char *text = g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
  tell(text);
}

void supervisor_stopping(void) { tell("STOPPING=1"); }

void supervisor_status(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments), *line = g_strdelimit(g_strconcat("STATUS=", text, NULL), "\n", ' ');
  va_end(arguments);
  tell(line);
}
