#include "reconciler/service/metrics.h"

#include "reconciler/act/act.h"
#include "reconciler/service/whole_file.h"

static const char *const state_words[OBJECT_STATE_N] = {"in-sync", "changed", "error", "held", "orphan"};

void metrics_init(Metrics *metrics) {
  *metrics = (Metrics){.events = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
}

void metrics_clear(Metrics *metrics) {
  g_hash_table_unref(metrics->events);
  g_free(metrics->revision);
  g_free(metrics->source);
}

void metrics_count_event(Metrics *metrics, const char *kind) {
  guint64 *count = g_hash_table_lookup(metrics->events, kind);
  if (!count)
    g_hash_table_insert(metrics->events, g_strdup(kind), count = g_new0(guint64, 1));
  ++*count;
}

ObjectState metrics_state_of(const PlanObject *object, gboolean acts) {
  if (object->change == CHANGE_ERROR)
    return OBJECT_ERROR;
  if (object->hold != HOLD_NONE)
    return OBJECT_HELD;
  if (object->change == CHANGE_ORPHAN)
    return OBJECT_ORPHAN;
  return acts ? OBJECT_CHANGED : OBJECT_IN_SYNC;
}

static gboolean is_pending(const PlanObject *object) {
  for (guint i = 0; i < object->fields->len; i++)
    if (((const FieldChange *)object->fields->pdata[i])->pending)
      return TRUE;
  return FALSE;
}

static void take_plan(Metrics *metrics, const Plan *plan) {
  g_autoptr(GHashTable) acting = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < plan->actions->len; i++)
    g_hash_table_add(acting, ((Action *)plan->actions->pdata[i])->object);
  memset(metrics->objects, 0, sizeof metrics->objects);
  metrics->pending = metrics->waiting = 0;
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    gboolean acts = g_hash_table_contains(acting, id);
    metrics->objects[object->kind][metrics_state_of(object, acts)]++;
    metrics->pending += is_pending(object);
    metrics->waiting += object->hold != HOLD_NONE;
  }
}

static void take_result(Metrics *metrics, const ActionResult *result) {
  ActionCount *count = &metrics->actions[result->action->kind];
  count->done += result->kind == RESULT_DONE;
  count->failed += result->kind == RESULT_FAILED;
  count->refused += result->kind == RESULT_REFUSED;
  count->cancelled += result->kind == RESULT_CANCELLED || result->kind == RESULT_SKIPPED;
  count->seconds += (double)result->milliseconds / 1000;
}

void metrics_take(Metrics *metrics, const RunResult *result) {
  metrics->passes++;
  metrics->failed_passes += result->exit_status != 0;
  metrics->last_pass = g_get_real_time();
  if (result->plan)
    take_plan(metrics, result->plan);
  for (guint i = 0; result->results && i < result->results->len; i++)
    take_result(metrics, result->results->pdata[i]);
}

/* --- the text --- */

static void append_head(GString *out, const char *name, const char *type, const char *help) {
  g_string_append_printf(out, "# HELP reconcile_%s %s\n# TYPE reconcile_%s %s\n", name, help, name, type);
}

static void append_double(GString *out, double value) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  g_string_append_c(out, ' ');
  g_string_append(out, g_ascii_formatd(text, sizeof text, "%.6f", value));
  g_string_append_c(out, '\n');
}

static void append_number(GString *out, const char *name, const char *type, const char *help, guint64 value) {
  append_head(out, name, type, help);
  g_string_append_printf(out, "reconcile_%s %" G_GUINT64_FORMAT "\n", name, value);
}

static void append_time(GString *out, const char *name, const char *help, gint64 microseconds) {
  append_head(out, name, "gauge", help);
  g_string_append_printf(out, "reconcile_%s", name);
  append_double(out, (double)microseconds / G_USEC_PER_SEC);
}

/* In a label's value backslash, quote and line break are escaped; nothing else may be. */
static void append_label(GString *out, const char *text) {
  for (; text && *text; text++) {
    if (*text == '\n') {
      g_string_append(out, "\\n");
      continue;
    }
    if (*text == '\\' || *text == '"')
      g_string_append_c(out, '\\');
    g_string_append_c(out, *text);
  }
}

static void append_objects(GString *out, const Metrics *metrics) {
  append_head(out, "objects", "gauge", "Objects by kind and state at the last pass");
  for (guint kind = 0; kind < KIND_N; kind++)
    for (guint state = 0; state < OBJECT_STATE_N; state++)
      g_string_append_printf(out, "reconcile_objects{kind=\"%s\",state=\"%s\"} %" G_GUINT64_FORMAT "\n", kinds[kind].word,
                             state_words[state], metrics->objects[kind][state]);
}

static void append_actions(GString *out, const Metrics *metrics) {
  append_head(out, "actions_total", "counter", "Actions by name and result");
  for (guint i = 0; i < ACTION_N; i++) {
    const ActionCount *count = &metrics->actions[i];
    const struct { const char *word; guint64 number; } results[] = {
        {"done", count->done}, {"failed", count->failed}, {"refused", count->refused}, {"cancelled", count->cancelled}};
    for (guint n = 0; n < G_N_ELEMENTS(results); n++)
      if (results[n].number)
        g_string_append_printf(out, "reconcile_actions_total{action=\"%s\",result=\"%s\"} %" G_GUINT64_FORMAT "\n", action_words[i],
                               results[n].word, results[n].number);
  }
  append_head(out, "action_duration_seconds", "summary", "How long actions took");
  for (guint i = 0; i < ACTION_N; i++) {
    const ActionCount *count = &metrics->actions[i];
    guint64 all = count->done + count->failed;
    if (!all)
      continue;
    g_string_append_printf(out, "reconcile_action_duration_seconds_count{action=\"%s\"} %" G_GUINT64_FORMAT "\n", action_words[i], all);
    g_string_append_printf(out, "reconcile_action_duration_seconds_sum{action=\"%s\"}", action_words[i]);
    append_double(out, count->seconds);
  }
}

static void append_events(GString *out, const Metrics *metrics) {
  append_head(out, "host_events_total", "counter", "Events of libvirt by kind");
  GHashTableIter iter;
  gpointer kind, count;
  g_hash_table_iter_init(&iter, metrics->events);
  while (g_hash_table_iter_next(&iter, &kind, &count))
    g_string_append_printf(out, "reconcile_host_events_total{kind=\"%s\"} %" G_GUINT64_FORMAT "\n", (char *)kind, *(guint64 *)count);
}

static void append_source(GString *out, const Metrics *metrics) {
  append_head(out, "source_info", "gauge", "The source, and its revision that is in force");
  g_string_append(out, "reconcile_source_info{source=\"");
  append_label(out, metrics->source);
  g_string_append(out, "\",revision=\"");
  append_label(out, metrics->revision);
  g_string_append(out, "\"} 1\n");
}

char *metrics_text(const Metrics *metrics) {
  GString *out = g_string_new(NULL);
  append_objects(out, metrics);
  append_number(out, "drift_objects", "gauge", "Objects that were in order and then differed, though nobody had declared anything new", metrics->drift);
  append_number(out, "pending_restart_objects", "gauge", "Objects with changes that wait for their next start", metrics->pending);
  append_number(out, "waiting_objects", "gauge", "Objects that wait: suspended, after failures, for a window or an impact", metrics->waiting);
  append_number(out, "queue_actions", "gauge", "Actions that are begun and not ended", (guint64)MAX(g_atomic_int_get(&metrics->queue), 0));
  append_number(out, "passes_total", "counter", "Passes that looked at the host", metrics->passes);
  append_number(out, "idle_passes_total", "counter", "Passes that found nothing to look at", metrics->idle_passes);
  append_number(out, "failed_passes_total", "counter", "Passes with an error or a refusal", metrics->failed_passes);
  append_head(out, "pass_duration_seconds_total", "counter", "Time spent in passes that looked at the host");
  g_string_append(out, "reconcile_pass_duration_seconds_total");
  append_double(out, metrics->pass_seconds);
  append_time(out, "last_pass_timestamp_seconds", "When the last pass ended", metrics->last_pass);
  append_time(out, "last_applied_timestamp_seconds", "When something was last changed", metrics->last_applied);
  append_time(out, "source_read_timestamp_seconds", "When the source was last read without error", metrics->last_read);
  append_number(out, "source_errors_total", "counter", "Times that the source couldn't be read", metrics->source_errors);
  append_number(out, "notify_errors_total", "counter", "Notifications that failed", metrics->notify_errors);
  append_number(out, "connected", "gauge", "Whether the hypervisor of each host answers", metrics->connected);
  append_source(out, metrics);
  append_actions(out, metrics);
  append_events(out, metrics);
  return g_string_free(out, FALSE);
}

gboolean metrics_write(const Metrics *metrics, const char *path, GError **error) {
  g_autofree char *text = metrics_text(metrics);
  return whole_file_write(path, text, 0644, error);
}
