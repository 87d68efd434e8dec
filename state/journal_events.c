/* What the host told. */
#include "state/journal_private.h"

enum { MOST_EVENTS = 10000 };

void journal_event_free(JournalEvent *event) {
  if (!event)
    return;
  g_free(event->uri);
  g_free(event->object);
  g_free(event->kind);
  g_free(event->detail);
  g_free(event);
}

static gboolean add_all(Database *database, const GPtrArray *events, GError **error) {
  for (guint i = 0; i < events->len; i++) {
    const JournalEvent *event = events->pdata[i];
    if (!database_run(database, error, "INSERT INTO event (time, uri, object, kind, detail) VALUES (?, ?, ?, ?, ?)", "issss",
                      event->time, event->uri, event->object, event->kind, event->detail))
      return FALSE;
  }
  return database_run(database, error, "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", "i", (gint64)MOST_EVENTS);
}

gboolean journal_events_add(Journal *journal, const GPtrArray *events, GError **error) {
  if (events->len == 0)
    return TRUE;
  g_mutex_lock(&journal->lock);
  gboolean done = database_run(journal->database, error, "SAVEPOINT events", "") && add_all(journal->database, events, error);
  if (!done)
    database_run(journal->database, NULL, "ROLLBACK TO events", "");
  done = database_run(journal->database, done ? error : NULL, "RELEASE events", "") && done;
  g_mutex_unlock(&journal->lock);
  if (!done)
    g_prefix_error(error, "cannot write the journal: ");
  return done;
}

static GPtrArray *query_events(Journal *journal, const char *object, guint limit, GError **error) {
  g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)journal_event_free);
  if (journal->version < JOURNAL_WITH_EVENTS)
    return g_steal_pointer(&events);
  gint64 most = limit ? (gint64)limit : (gint64)-1;
  g_autoptr(Rows) rows =
    object ? database_query(journal->database, error, "SELECT time, uri, object, kind, detail FROM event WHERE object = ? OR object IS NULL ORDER BY id DESC LIMIT ?",
                            "si", object, most)
           : database_query(journal->database, error, "SELECT time, uri, object, kind, detail FROM event ORDER BY id DESC LIMIT ?", "i", most);
  GError *trouble = NULL;
  while (rows && rows_next(rows, &trouble)) {
    JournalEvent *event = g_new(JournalEvent, 1);
    *event = (JournalEvent){.time = rows_int(rows, 0), .uri = rows_text(rows, 1), .object = rows_text(rows, 2),
                            .kind = rows_text(rows, 3), .detail = rows_text(rows, 4)};
    g_ptr_array_add(events, event);
  }
  if (trouble)
    g_propagate_error(error, trouble);
  return rows && !trouble ? g_steal_pointer(&events) : NULL;
}

GPtrArray *journal_events(Journal *journal, const char *object, guint limit, GError **error) {
  g_mutex_lock(&journal->lock);
  GPtrArray *events = query_events(journal, object, limit, error);
  g_mutex_unlock(&journal->lock);
  return events;
}
