/* What the service counts, as text for Prometheus. Plain data of the main thread; the text is written to
 * a file and answered to whoever asks at the listener. */
#pragma once
#include <gio/gio.h>
#include "reconciler/run/pipeline.h"

typedef enum { OBJECT_IN_SYNC, OBJECT_CHANGED, OBJECT_ERROR, OBJECT_HELD, OBJECT_ORPHAN, OBJECT_STATE_N } ObjectState;

typedef struct {
  guint64 done, failed, refused, cancelled;
  double seconds; /* of all together */
} ActionCount;

typedef struct {
  guint64 objects[KIND_N][OBJECT_STATE_N];
  guint64 drift, pending, waiting;   /* objects */
  guint64 passes, idle_passes, failed_passes;
  double pass_seconds;
  gint64 last_pass, last_applied, last_read; /* microseconds since 1970; 0: never */
  char *revision, *source;
  gboolean connected;
  guint64 source_errors, notify_errors;
  gint queue;                        /* actions that are begun; changed by other threads too */
  ActionCount actions[ACTION_N];
  GHashTable *events;                /* kind → guint64 * */
} Metrics;
void metrics_init(Metrics *metrics);
void metrics_clear(Metrics *metrics);
void metrics_count_event(Metrics *metrics, const char *kind);
/* The plan and results of a pass; not `drift`. */
void metrics_take(Metrics *metrics, const RunResult *result);
ObjectState metrics_state_of(const PlanObject *object, gboolean acts);
char *metrics_text(const Metrics *metrics);
/* Replaces the file in one step. */
gboolean metrics_write(const Metrics *metrics, const char *path, GError **error);

/* Answers "GET /metrics" by HTTP/1.0, on a unix socket or the loopback; one request per connection. */
typedef struct MetricsServer MetricsServer;
MetricsServer *metrics_server_new(const char *address, const Metrics *metrics, GError **error);
void metrics_server_free(MetricsServer *server); /* accepts NULL */
