/* The service's log: one line per event, on standard error, or as a structured entry of the journal of
 * systemd where that is what standard error leads to. The one place of the service that prints. */
#pragma once
#include <glib.h>
#include <syslog.h>

/* What the line is about; each may be NULL. */
typedef struct {
  const char *object; /* "vm/web-1" */
  const char *commit, *place, *action;
  gint64 run;         /* of the journal; 0: none */
} LogSubject;

void service_log_level(int least_important); /* LOG_INFO at first; LOG_DEBUG, LOG_WARNING, … */
/* From any thread. Text of others is escaped. */
void service_log(int priority, const LogSubject *subject, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Which lines were said last about something, so that what goes on isn't repeated with each pass. */
typedef struct Said Said;
Said *said_new(void);
void said_free(Said *said);
/* Forgets other topics than these, and returns them: char *, to be freed. */
GPtrArray *said_retain(Said *said, GHashTable *topics);
/* Whether this is news about the topic; text NULL: nothing to say any more, TRUE when there was. */
gboolean said_is_news(Said *said, const char *topic, const char *text);
