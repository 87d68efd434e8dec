#include "reconciler/service/serve.h"

#include <glib-unix.h>
#include <malloc.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "reconciler/service/service.h"
#include "reconciler/service/supervisor.h"

/* systemd and people wait no longer than five seconds. */
enum { STOP_MILLISECONDS = 4000, END_MILLISECONDS = 4500 };

static const BackoffTimes patience_times = {.first = G_USEC_PER_SEC / 2, .most = 60 * G_USEC_PER_SEC, .calm = 600 * G_USEC_PER_SEC};

/* --- what the host tells --- */

static void on_host_event(gpointer data, const char *host, const HostEvent *event) {
  Service *service = data;
  g_autofree char *named = host && event->object ? g_strconcat(host, "/", event->object, NULL) : NULL;
  LogSubject subject = {.object = named ? named : event->object ? event->object : host};
  metrics_count_event(&service->metrics, event->kind);
  seen_event(service->seen, host, event);
  service_log(event->trouble ? LOG_WARNING : LOG_DEBUG, &subject, "%s%s%s", event->kind, event->detail ? ": " : "",
              event->detail ? event->detail : "");
  if (event->look)
    passes_look(service, NULL);
}

static void on_host_changed(gpointer data, const char *why) {
  Service *service = data;
  service->metrics.connected = hosts_connected(service->hosts);
  passes_look(service, why);
}

static void on_tell_failed(gpointer data, const char *message) {
  Service *service = data;
  service->metrics.notify_errors++;
  service_log(LOG_WARNING, NULL, "a notification failed: %s", message);
}

/* --- stop --- */

static volatile sig_atomic_t late_status;

static void on_alarm(int number G_GNUC_UNUSED) { _exit(late_status); }

static void end_in_time(void) {
  const struct itimerval timer = {.it_value = {.tv_sec = END_MILLISECONDS / 1000, .tv_usec = END_MILLISECONDS % 1000 * 1000}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

/* What still runs is left where it is: the next run recognises it. */
static gboolean on_impatience(gpointer data) {
  Service *service = data;
  service_log(LOG_NOTICE, NULL, "what is under way doesn't end in time: it is left to the next run");
  _exit(service->exit_status);
}

void service_stop(Service *service, int exit_status) {
  if (service->stopping)
    return;
  service->stopping = TRUE;
  service->exit_status = exit_status;
  supervisor_stopping();
  g_cancellable_cancel(service->cancel);
  late_status = exit_status;
  g_timeout_add(STOP_MILLISECONDS, on_impatience, service);
  end_in_time(); /* where even the end hangs, at a daemon that doesn't answer */
  service_quit_when_idle(service);
}

void service_quit_when_idle(Service *service) {
  if (service->stopping && !service->pass_busy && !service->reading_busy)
    g_main_loop_quit(service->loop);
}

static gboolean on_stop(gpointer data) {
  Service *service = data;
  service_log(LOG_NOTICE, NULL, "stopping");
  service_stop(service, 0);
  return G_SOURCE_REMOVE;
}

/* In a thread of its own: the main loop may be where a daemon doesn't answer. */
static gboolean on_stop_signal(gpointer data) {
  end_in_time();
  g_idle_add_full(G_PRIORITY_HIGH, on_stop, data, NULL);
  return G_SOURCE_CONTINUE;
}

static gpointer wait_for_stop(gpointer data) {
  static const int signals[] = {SIGTERM, SIGINT};
  GMainContext *context = g_main_context_new();
  for (guint i = 0; i < G_N_ELEMENTS(signals); i++) {
    g_autoptr(GSource) source = g_unix_signal_source_new(signals[i]);
    g_source_set_callback(source, on_stop_signal, data, NULL);
    g_source_attach(source, context);
  }
  for (;;)
    g_main_context_iteration(context, TRUE);
  return NULL;
}

/* --- configuration --- */

static void configure_metrics(Service *service) {
  const MetricsSpec *metrics = &service->config->spec.metrics;
  g_autoptr(GError) error = NULL;
  g_clear_pointer(&service->metrics_server, metrics_server_free);
  if (given(metrics, MetricsSpec, listen))
    service->metrics_server = metrics_server_new(metrics->listen, &service->metrics, &error);
  if (error)
    service_log(LOG_ERR, NULL, "%s", error->message);
}

static gboolean on_reload(gpointer data) {
  Service *service = data;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  supervisor_reloading();
  Config *config = config_read(service->config->file, diagnostics, &error);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    service_log(LOG_WARNING, NULL, "%s", line);
  }
  if (!config) {
    service_log(LOG_ERR, NULL, "%s: the former one stays in force", error->message);
    supervisor_ready();
    return G_SOURCE_CONTINUE;
  }
  if (config_stay(config, service->config))
    service_log(LOG_WARNING, NULL, "connection and stateDir are changed by a restart of the service only");
  if (!g_str_equal(config->socket, service->config->socket) && !control_configure(service, config->socket, &error)) {
    service_log(LOG_ERR, NULL, "%s: the former one stays", error->message);
    config_keep_socket(config, service->config);
  }
  config_free(service->config);
  service->config = config;
  configure_metrics(service);
  service->forget = TRUE;
  passes_look_at_all(service, "the configuration was read again");
  sources_configure(service);
  service_log(LOG_NOTICE, NULL, "the configuration was read again");
  supervisor_ready();
  return G_SOURCE_CONTINUE;
}

/* --- start --- */

/* What was begun and not ended is judged by what is there, not by what was written down; it is said, and
 * the record is closed. */
static void close_interrupted_run(Journal *journal) {
  g_autoptr(GPtrArray) runs = journal_runs(journal, 1, NULL);
  const JournalRun *run = runs && runs->len ? runs->pdata[0] : NULL;
  if (!run || run->ended)
    return;
  g_autoptr(GPtrArray) actions = journal_actions(journal, run->id, NULL);
  for (guint i = 0; actions && i < actions->len; i++) {
    const JournalAction *action = actions->pdata[i];
    if (!action->ended)
      service_log(LOG_NOTICE, &(LogSubject){.object = action->object, .commit = run->revision, .run = run->id},
                  "%s: was interrupted; the host is looked at for what came of it", action->description);
  }
  journal_run_end(journal, run->id, 1, "interrupted", NULL);
}

static gboolean open_all(Service *service, GError **error) {
  g_autofree char *warning = NULL;
  connection_register_events();
  service->journal = journal_open(service->config->state_dir, JOURNAL_WRITE, &warning, error);
  if (warning)
    service_log(LOG_WARNING, NULL, "%s", warning);
  if (!service->journal || (!service->once && !control_configure(service, service->config->socket, error)))
    return FALSE;
  close_interrupted_run(service->journal);
  const ServiceSpec *spec = &service->config->spec;
  HostsFunctions functions = {.told = on_host_event, .changed = on_host_changed, .data = service};
  service->hosts = hosts_new(given(spec, ServiceSpec, connection) ? spec->connection : NULL, &functions);
  return TRUE;
}

static void initialise(Service *service, Config *config, gboolean once) {
  *service = (Service){.config = config, .once = once, .started = g_get_real_time()};
  service->loop = g_main_loop_new(NULL, FALSE);
  service->cancel = g_cancellable_new();
  service->backoff = backoff_new(&backoff_times_default, g_random_int());
  service->patience = backoff_new(&patience_times, g_random_int());
  service->seen = seen_new();
  service->said = said_new();
  service->said_of_objects = said_new();
  service->settled = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  service->verdicts = json_object();
  service->teller = teller_new(on_tell_failed, service);
  metrics_init(&service->metrics);
}

static void release(Service *service) {
  g_clear_handle_id(&service->pass_timer, g_source_remove);
  sources_release(service);
  request_socket_free(service->control);
  metrics_server_free(service->metrics_server);
  teller_free(service->teller);
  hosts_free(service->hosts);
  if (service->journal)
    passes_keep_seen(service);
  seen_free(service->seen);
  journal_close(service->journal);
  reading_free(service->reading);
  backoff_free(service->backoff);
  backoff_free(service->patience);
  said_free(service->said);
  said_free(service->said_of_objects);
  g_hash_table_unref(service->settled);
  json_decref(service->verdicts);
  metrics_clear(&service->metrics);
  g_free(service->source_error);
  g_free(service->host_error);
  g_object_unref(service->cancel);
  g_main_loop_unref(service->loop);
  config_free(service->config);
}

/* Before anything is opened: what comes meanwhile is looked at when the main loop runs. */
static void take_signals(Service *service) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, on_alarm);
  g_thread_unref(g_thread_new("signals", wait_for_stop, service));
  if (!service->once)
    g_unix_signal_add(SIGHUP, on_reload, service);
}

static void run(Service *service) {
  configure_metrics(service);
  sources_configure(service);
  supervisor_start_watchdog();
  supervisor_ready();
  g_main_loop_run(service->loop);
}

/* What a thread has freed is used again by the next pass, whose threads are others. */
static void share_heaps(void) { mallopt(M_ARENA_MAX, 2); }

int serve(Config *config, gboolean once) {
  share_heaps();
  static Service service; /* what is still under way at the end may look at it */
  g_autoptr(GError) error = NULL;
  initialise(&service, config, once);
  take_signals(&service);
  if (open_all(&service, &error)) {
    run(&service);
  } else {
    service_log(LOG_ERR, NULL, "%s", error->message);
    service.exit_status = 1;
  }
  int exit_status = service.exit_status;
  release(&service);
  return exit_status;
}
