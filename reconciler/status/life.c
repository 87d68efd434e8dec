#include "reconciler/status/life.h"

static void take_lifecycle(Life *life, const JournalEvent *event, gboolean missed) {
  if (!event->detail)
    return;
  if (g_str_has_prefix(event->detail, "started") && !life->started) {
    life->started = event->time;
    life->whole = !missed && life->stopped == 0;
  } else if (g_str_has_prefix(event->detail, "stopped") && !life->stopped) {
    life->stopped = event->time;
    life->how_stopped = event->detail;
  }
}

Life life_of(const GPtrArray *events, const char *uri) {
  Life life = {0};
  gboolean missed = FALSE; /* between the event that is looked at and the next one */
  for (guint i = 0; i < events->len; i++) {
    const JournalEvent *event = events->pdata[i];
    if (event->uri && uri && !g_str_equal(event->uri, uri))
      continue;
    if (g_str_equal(event->kind, "watch")) {
      missed = TRUE;
    } else if (event->object && g_str_equal(event->kind, "lifecycle")) {
      take_lifecycle(&life, event, missed);
    } else if (event->object && g_str_equal(event->kind, "watchdog") && !life.watchdog) {
      life.watchdog = event->time;
      life.watchdog_action = event->detail;
    }
  }
  return life;
}
