/* When a machine was last started and stopped, as the service saw it (state/journal.h). Pure. */
#pragma once
#include "state/journal.h"

typedef struct {
  gint64 started, stopped, watchdog; /* microseconds since 1970; 0: never seen */
  const char *how_stopped;           /* "stopped (crashed)"; borrowed from the events, as is */
  const char *watchdog_action;       /* "reset" */
  gboolean whole;                    /* nothing can have been missed since `started` */
} Life;

/* events: of JournalEvent *, newest first, of one machine and of the host; only those that `uri` told, or
 * nobody knows who, count. */
Life life_of(const GPtrArray *events, const char *uri);
