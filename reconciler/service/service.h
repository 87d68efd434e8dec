/* The service: keeps one host as its source says, all the time. One main loop (signals, timers, inotify,
 * libvirt's events, sockets), in which everything is decided; reading the source and bringing the host in
 * line (pipeline_run) happen in threads, at most one of each at a time.
 *
 *   serve.c      start, reload, stop
 *   sources.c    when the source is read, and what is made of it
 *   hosts.c      the hosts: connections, events, what is known of each
 *   passes.c     when they are looked at, and the pass itself
 *   verdicts.c   what came of a pass: log, patience, metrics, notifications
 *   seen.c       what the host told, for the journal, and why the next pass is made
 *   control.c    the socket of `reconcile trigger` and `status`
 *
 * Only those include this. */
#pragma once
#include <jansson.h>
#include "reconciler/run/config.h"
#include "reconciler/run/pipeline.h"
#include "reconciler/service/backoff.h"
#include "reconciler/service/hosts.h"
#include "reconciler/service/log.h"
#include "reconciler/service/metrics.h"
#include "reconciler/service/seen.h"
#include "reconciler/service/socket.h"
#include "reconciler/service/source_reading.h"
#include "reconciler/service/tell.h"
#include "reconciler/service/watch.h"

#define PATIENCE_SOURCE "source"
#define PATIENCE_PASS "pass"

typedef struct {
  Config *config;
  GMainLoop *loop;
  GCancellable *cancel;
  gboolean once, stopping;
  int exit_status;
  gint64 started;        /* microseconds since 1970 */

  Hosts *hosts;
  Journal *journal;

  SourceReading *reading; /* in force; NULL: none yet */
  gboolean reading_busy, read_again, read_at_once;
  guint poll_timer;
  Watch *watch;
  char *source_error;     /* of the last reading; NULL: it was good */

  gboolean pass_busy;
  gint64 pass_since;      /* microseconds since 1970 */
  gboolean look;          /* what is known of a host may not hold any more */
  Seen *seen;
  gboolean anew;          /* something new is declared since the last pass */
  gint64 look_since, looked, pass_ended, look_took; /* microseconds, monotonic */
  gint64 opens;           /* when the next window opens, microseconds since 1970; 0: nothing waits for one */
  guint pass_timer;
  gint64 ticked;          /* the last time that it was looked whether something waits */
  char *host_error;       /* why the last pass couldn't be made; NULL: it could */

  Backoff *backoff;       /* of objects; the pass's thread reads it, so it is changed between passes only */
  gboolean forget;        /* the past of all objects, before the next pass */
  Backoff *patience;      /* of PATIENCE_SOURCE and PATIENCE_PASS */
  Said *said, *said_of_objects;
  GHashTable *settled;    /* ids of objects that were in order since something new was declared */
  json_t *verdicts;       /* of the last pass: object id → {state, text} for what isn't in order */

  Metrics metrics;
  MetricsServer *metrics_server;
  Teller *teller;
  RequestSocket *control;
} Service;

/* serve.c */
void service_stop(Service *service, int exit_status);
void service_quit_when_idle(Service *service); /* once it is to stop, and no thread is at work */

/* sources.c */
void sources_configure(Service *service); /* watches what the configuration names */
void sources_read(Service *service, gboolean at_once);
void sources_release(Service *service);

/* passes.c */
/* There is something to look at: what of the hosts may differ has been said to them (hosts_touch). why: in
 * words; NULL: it is known (seen.h). */
void passes_look(Service *service, const char *why);
void passes_look_at_all(Service *service, const char *why);
void passes_schedule(Service *service);
/* Writes down what was seen since the last pass. */
void passes_keep_seen(Service *service);

/* verdicts.c */
void verdicts_take(Service *service, const RunResult *result, const SourceReading *reading);
/* A pass that couldn't be made: NULL: it could. */
void verdicts_host(Service *service, const char *error);

/* control.c */
/* Offers the control socket at this path, instead of the former one; which stays where it can't be made. */
gboolean control_configure(Service *service, const char *path, GError **error);
