#include "reconciler/service/service.h"

static void schedule_poll(Service *service);

/* An error is said once, until it is another one or over. */
static void source_failed(Service *service, const SourceReading *reading) {
  const Diagnostics *diagnostics = reading->diagnostics;
  service->metrics.source_errors++;
  backoff_failed(service->patience, PATIENCE_SOURCE, g_get_monotonic_time(), NULL);
  g_autoptr(GString) text = g_string_new(reading->error->message);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    g_string_append_printf(text, "\n%s", line);
  }
  g_free(service->source_error);
  service->source_error = g_strdup(text->str);
  if (said_is_news(service->said, PATIENCE_SOURCE, text->str))
    service_log(LOG_ERR, &(LogSubject){.commit = reading->revision}, "the source can't be applied, %s: %s",
                service->reading ? "what was good before stays in force" : "nothing is done", text->str);
  if (service->once)
    service_stop(service, 1);
}

static void source_is_good(Service *service) {
  backoff_forget(service->patience, PATIENCE_SOURCE);
  g_clear_pointer(&service->source_error, g_free);
  if (said_is_news(service->said, PATIENCE_SOURCE, NULL))
    service_log(LOG_NOTICE, NULL, "the source can be applied again");
}

/* Warnings are told with each new content, which is seldom. */
static void log_warnings(const SourceReading *reading) {
  for (guint i = 0; i < reading->diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(reading->diagnostics->items->pdata[i]);
    service_log(LOG_WARNING, &(LogSubject){.commit = reading->revision}, "%s", line);
  }
}

static void take(Service *service, SourceReading *reading /* owned */) {
  gboolean same = reading_equal(service->reading, reading);
  SourceReading *old = service->reading;
  service->reading = reading;
  service->metrics.last_read = g_get_real_time();
  reading_free(old);
  source_is_good(service);
  if (same)
    return;
  g_free(service->metrics.revision);
  service->metrics.revision = g_strdup(reading->revision);
  g_free(service->metrics.source);
  service->metrics.source = g_strdup(reading->identity);
  log_warnings(reading);
  service_log(LOG_INFO, &(LogSubject){.commit = reading->revision}, "%u objects are declared by %s", reading->desired->objects->len,
              reading->identity);
  service->anew = service->forget = TRUE;
  g_autofree char *why = reading->revision ? g_strdup_printf("commit %.12s", reading->revision) : g_strdup("the files were read");
  passes_look_at_all(service, why);
}

static gboolean read_soon(gpointer data) {
  Service *service = data;
  service->poll_timer = 0;
  sources_read(service, FALSE);
  return G_SOURCE_REMOVE;
}

static void again_in(Service *service, guint64 milliseconds) {
  g_clear_handle_id(&service->poll_timer, g_source_remove);
  service->poll_timer = g_timeout_add((guint)milliseconds, read_soon, service);
}

/* After errors later and later. */
static void schedule_poll(Service *service) {
  gint64 now = g_get_monotonic_time(), until = backoff_until(service->patience, PATIENCE_SOURCE, now, NULL);
  guint64 interval = service->config->spec.source.pollInterval;
  guint64 wait = until ? (guint64)(until - now) / 1000 + 1 : wait_spread(interval);
  again_in(service, wait);
}

static void on_read(GObject *object, GAsyncResult *result, gpointer data) {
  (void)object;
  Service *service = data;
  SourceReading *reading = g_task_propagate_pointer(G_TASK(result), NULL);
  service->reading_busy = FALSE;
  if (service->stopping) {
    reading_free(reading);
    service_quit_when_idle(service);
    return;
  }
  gboolean unsettled = reading->unsettled;
  if (reading->error)
    source_failed(service, reading);
  else if (reading->desired)
    take(service, g_steal_pointer(&reading));
  else if (!unsettled)
    source_is_good(service);
  reading_free(reading);
  schedule_poll(service);
  if (unsettled)
    again_in(service, MAX(service->config->spec.source.settle / 2, 20));
  if (service->read_again)
    sources_read(service, service->read_at_once);
}

static void make_reading(GTask *task, gpointer object, gpointer data, GCancellable *cancel) {
  (void)object;
  g_task_return_pointer(task, reading_make(data, cancel), (GDestroyNotify)reading_free);
}

void sources_read(Service *service, gboolean at_once) {
  if (service->stopping)
    return;
  if (service->reading_busy) {
    service->read_again = TRUE;
    service->read_at_once |= at_once;
    return;
  }
  if (service->watch && watch_is_unfinished(service->watch)) { /* it tells when that is over */
    schedule_poll(service);
    return;
  }
  ReadingRequest *request = g_new0(ReadingRequest, 1);
  *request = (ReadingRequest){.config = config_ref(service->config), .last = reading_ref(service->reading), .at_once = at_once || service->once};
  service->reading_busy = TRUE;
  service->read_again = service->read_at_once = FALSE;
  g_autoptr(GTask) task = g_task_new(NULL, service->cancel, on_read, service);
  g_task_set_check_cancellable(task, FALSE); /* so that there is always a reading to be freed */
  g_task_set_task_data(task, request, (GDestroyNotify)reading_request_free);
  g_task_run_in_thread(task, make_reading);
}

static void on_changed(gpointer data) {
  Service *service = data;
  const char *trouble = watch_trouble(service->watch);
  if (said_is_news(service->said, "watch", trouble) && trouble)
    service_log(LOG_WARNING, NULL, "%s: it is looked at every pollInterval", trouble);
  sources_read(service, TRUE);
}

static void on_unfinished(gpointer data, const char *path) {
  (void)data;
  service_log(LOG_WARNING, NULL, "%s is still being written: nothing of the source is read until it is closed", path);
}

void sources_configure(Service *service) {
  const ServiceSourceSpec *source = &service->config->spec.source;
  g_clear_pointer(&service->watch, watch_free);
  if (given(source, ServiceSourceSpec, directory) && !service->once) {
    WatchLimits limits = {.settle = (guint)source->settle};
    WatchFunctions functions = {.changed = on_changed, .unfinished = on_unfinished, .data = service};
    service->watch = watch_new(source->directory, &limits, &functions);
    if (watch_trouble(service->watch))
      service_log(LOG_WARNING, NULL, "%s: it is looked at every pollInterval", watch_trouble(service->watch));
  }
  backoff_forget(service->patience, PATIENCE_SOURCE);
  sources_read(service, TRUE);
}

void sources_release(Service *service) {
  g_clear_pointer(&service->watch, watch_free);
  g_clear_handle_id(&service->poll_timer, g_source_remove);
}
