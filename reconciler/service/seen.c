#include "reconciler/service/seen.h"

enum { MOST_WAITING = 10000 };

struct Seen {
  GPtrArray *events; /* of JournalEvent * */
  char *why;
  guint more;
};

static GPtrArray *new_list(void) { return g_ptr_array_new_with_free_func((GDestroyNotify)journal_event_free); }

Seen *seen_new(void) {
  Seen *seen = g_new0(Seen, 1);
  seen->events = new_list();
  return seen;
}

void seen_free(Seen *seen) {
  if (!seen)
    return;
  g_ptr_array_unref(seen->events);
  g_free(seen->why);
  g_free(seen);
}

static JournalEvent *record(const char *uri, const char *object, const char *kind, const char *detail) {
  JournalEvent *event = g_new(JournalEvent, 1);
  *event = (JournalEvent){g_get_real_time(), g_strdup(uri), g_strdup(object), g_strdup(kind), g_strdup(detail)};
  return event;
}

void seen_event(Seen *seen, const char *host, const HostEvent *event) {
  if (seen->events->len == MOST_WAITING)
    g_ptr_array_remove_index(seen->events, 0);
  g_ptr_array_add(seen->events, record(event->uri, event->object, event->kind, event->detail));
  if (!event->look)
    return;
  g_autofree char *why = g_strdup_printf("%s%s%s: %s%s%s", host ? host : "", host && event->object ? "/" : "",
                                         event->object ? event->object : host ? "" : "the host", event->kind,
                                         event->detail ? ": " : "", event->detail ? event->detail : "");
  seen_reason(seen, why);
}

void seen_reason(Seen *seen, const char *why) {
  if (!seen->why)
    seen->why = g_strdup(why);
  else
    seen->more += g_strcmp0(seen->why, why) != 0;
}

GPtrArray *seen_take_events(Seen *seen) {
  GPtrArray *events = seen->events;
  seen->events = new_list();
  return events;
}

char *seen_take_reason(Seen *seen) {
  g_autofree char *why = g_steal_pointer(&seen->why);
  guint more = seen->more;
  seen->more = 0;
  return more ? g_strdup_printf("%s, and %u more", why, more) : g_steal_pointer(&why);
}

JournalEvent *seen_watch_begun(const char *uri) { return record(uri, NULL, "watch", "begun"); }
