#include "reconciler/plan/json.h"
#include "reconciler/report/report.h"
#include "reconciler/service/service.h"
#include "reconciler/service/supervisor.h"

/* What came of one object in a pass. */
typedef struct {
  const PlanObject *object;
  char *id;
  guint acted, failed;  /* results */
  gboolean drifted;     /* it was in order before, and nobody has declared anything new */
  const char *why;      /* of the first that failed */
} Outcome;

static void outcome_free(gpointer data) {
  Outcome *outcome = data;
  g_free(outcome->id);
  g_free(outcome);
}

static GPtrArray *outcomes_of(const RunResult *result) {
  GPtrArray *outcomes = g_ptr_array_new_with_free_func(outcome_free);
  g_autoptr(GHashTable) by_id = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < result->plan->objects->len; i++) {
    Outcome *outcome = g_new0(Outcome, 1);
    outcome->object = result->plan->objects->pdata[i];
    outcome->id = plan_object_id(outcome->object);
    g_ptr_array_add(outcomes, outcome);
    g_hash_table_insert(by_id, outcome->id, outcome);
  }
  for (guint i = 0; result->results && i < result->results->len; i++) {
    const ActionResult *each = result->results->pdata[i];
    Outcome *outcome = g_hash_table_lookup(by_id, each->action->object);
    outcome->acted += each->kind == RESULT_DONE || each->kind == RESULT_REFUSED;
    outcome->failed += each->kind == RESULT_FAILED;
    if (each->kind == RESULT_FAILED && !outcome->why)
      outcome->why = each->message;
  }
  return outcomes;
}

/* What was in order and isn't any more has drifted. Returns how many have. */
static guint find_drift(Service *service, const GPtrArray *outcomes) {
  guint number = 0;
  for (guint i = 0; i < outcomes->len; i++) {
    Outcome *outcome = outcomes->pdata[i];
    const PlanObject *object = outcome->object;
    gboolean in_order = !outcome->acted && !outcome->failed && object->hold == HOLD_NONE && object->change != CHANGE_ERROR;
    outcome->drifted = !in_order && g_hash_table_contains(service->settled, outcome->id);
    number += outcome->drifted;
    if (in_order)
      g_hash_table_add(service->settled, g_strdup(outcome->id));
  }
  return number;
}

/* --- patience --- */

static void learn(Service *service, const Outcome *outcome, gint64 now) {
  const PlanObject *object = outcome->object;
  gboolean waits = backoff_until(service->backoff, outcome->id, now, NULL) != 0;
  if (object->change == CHANGE_ERROR && !waits && !object->passing && object->hold != HOLD_FORBIDDEN)
    backoff_failed(service->backoff, outcome->id, now, object->error);
  else if (outcome->failed)
    backoff_failed(service->backoff, outcome->id, now, outcome->why);
  else if (outcome->acted)
    backoff_acted(service->backoff, outcome->id, now);
  else if (object->change != CHANGE_ERROR && object->hold == HOLD_NONE)
    backoff_in_sync(service->backoff, outcome->id, now);
}

/* --- what is said --- */

static char *joined_notes(const PlanObject *object) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < object->notes->len; i++)
    g_string_append_printf(text, "%s%s", i ? "; " : "", (char *)object->notes->pdata[i]);
  return text->len ? g_strdup(text->str) : NULL;
}

#define NOTES_OF "notes of " /* a topic of its own */

/* Errors, and what waits. A line is told once, until it is another one or over. TRUE: it is news. */
static gboolean say(Service *service, const Plan *plan, const Outcome *outcome, GHashTable *topics) {
  const PlanObject *object = outcome->object;
  LogSubject subject = {.object = outcome->id, .commit = plan->revision, .place = object->place};
  g_autofree char *notes = joined_notes(object), *topic = g_strconcat(NOTES_OF, outcome->id, NULL);
  g_hash_table_add(topics, g_strdup(outcome->id));
  g_hash_table_add(topics, g_strdup(topic));
  if (object->hold != HOLD_BACKOFF && said_is_news(service->said_of_objects, topic, notes) && notes)
    service_log(object->hold == HOLD_FORBIDDEN ? LOG_WARNING : LOG_INFO, &subject, "%s", notes);
  const char *error = object->change == CHANGE_ERROR ? object->error : NULL;
  gboolean news = said_is_news(service->said_of_objects, outcome->id, error);
  if (news && error)
    service_log(LOG_ERR, &subject, "%s", error);
  else if (news)
    service_log(LOG_NOTICE, &subject, "the error is over");
  return news && error;
}

/* A host is in a plan only while it can't be asked; other objects leave their source. */
static void say_gone(Service *service, const Plan *plan, GHashTable *topics) {
  g_autoptr(GPtrArray) gone = said_retain(service->said_of_objects, topics);
  for (guint i = 0; i < gone->len; i++) {
    LogSubject subject = {.object = gone->pdata[i], .commit = plan->revision};
    if (!g_str_has_prefix(gone->pdata[i], NOTES_OF))
      service_log(LOG_NOTICE, &subject, "the error is over");
  }
}

static json_t *result_json(const ActionResult *result) {
  return json_pack("{s:o, s:s, s:o}", "description", json_text(result->action->description), "result", result_words[result->kind],
                   "message", json_text(result->message));
}

static json_t *outcome_json(const RunResult *run, const Outcome *outcome) {
  const PlanObject *object = outcome->object;
  json_t *notes = json_array(), *actions = json_array();
  for (guint i = 0; i < object->notes->len; i++)
    json_array_append_new(notes, json_text(object->notes->pdata[i]));
  for (guint i = 0; run->results && i < run->results->len; i++) {
    const ActionResult *each = run->results->pdata[i];
    if (g_str_equal(each->action->object, outcome->id))
      json_array_append_new(actions, result_json(each));
  }
  return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "object", json_text(outcome->id), "change", change_words[object->change], "hold",
                   hold_words[object->hold], "place", json_text(object->place), "error", json_text(object->error), "notes", notes,
                   "actions", actions);
}

typedef struct {
  Service *service;
  const RunResult *result;
  const GPtrArray *outcomes;
  gboolean *news; /* of each outcome */
} Telling;

static gboolean concerns(const Telling *telling, NotifyEvent event, guint index) {
  const Outcome *outcome = telling->outcomes->pdata[index];
  const PlanObject *object = outcome->object;
  switch (event) {
  case NotifyEvent_applied: return outcome->acted > 0 && outcome->failed == 0;
  case NotifyEvent_failed: return outcome->failed > 0 || (telling->news[index] && object->hold != HOLD_FORBIDDEN);
  case NotifyEvent_refused: return telling->news[index] && object->hold == HOLD_FORBIDDEN;
  case NotifyEvent_drift: return outcome->drifted && outcome->acted + outcome->failed > 0;
  case NotifyEvent_N: break;
  }
  return FALSE;
}

static void tell(const Telling *telling, NotifyEvent event, const char *refused) {
  const Plan *plan = telling->result->plan;
  json_t *objects = json_array();
  for (guint i = 0; i < telling->outcomes->len; i++)
    if (concerns(telling, event, i))
      json_array_append_new(objects, outcome_json(telling->result, telling->outcomes->pdata[i]));
  if (json_array_size(objects) == 0 && !refused) {
    json_decref(objects);
    return;
  }
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format_iso8601(now);
  json_t *document = json_pack("{s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "formatVersion", 1, "event", NotifyEvent_words.words[event],
                               "time", time, "host", g_get_host_name(), "connection", json_text(plan->connection), "source",
                               json_text(plan->source), "revision", json_text(plan->revision), "refused", json_text(refused), "objects", objects);
  teller_tell(telling->service->teller, telling->service->config, event, document);
}

/* A plan that is refused as a whole: too much would be deleted, say. */
static const char *say_refusal(Service *service, const RunResult *result) {
  const char *refused = result->exit_status == 3 && result->error ? result->error->message : NULL;
  gboolean news = said_is_news(service->said, "refusal", refused);
  if (news && refused)
    service_log(LOG_ERR, &(LogSubject){.commit = result->plan->revision}, "refused: %s", refused);
  return news ? refused : NULL;
}

/* --- what is remembered --- */

static void remember(Service *service, const GPtrArray *outcomes) {
  json_t *verdicts = json_object();
  for (guint i = 0; i < outcomes->len; i++) {
    const Outcome *outcome = outcomes->pdata[i];
    const PlanObject *object = outcome->object;
    if (object->change != CHANGE_ERROR && object->hold == HOLD_NONE && !outcome->failed)
      continue;
    g_autofree char *notes = joined_notes(object);
    const char *state = object->change == CHANGE_ERROR || outcome->failed ? "error" : hold_words[object->hold];
    const char *text = object->error ? object->error : outcome->why ? outcome->why : notes;
    json_object_set_new(verdicts, outcome->id, json_pack("{s:s, s:o}", "state", state, "text", json_text(text)));
  }
  json_decref(service->verdicts);
  service->verdicts = verdicts;
}

static void finish(Service *service, const RunResult *result) {
  const Metrics *metrics = &service->metrics;
  g_autoptr(GError) error = NULL;
  const char *file = given(&service->config->spec.metrics, MetricsSpec, textfile) ? service->config->spec.metrics.textfile : NULL;
  if (file)
    metrics_write(metrics, file, &error);
  if (said_is_news(service->said, "textfile", error ? error->message : NULL) && error)
    service_log(LOG_WARNING, NULL, "the metrics can't be written: %s", error->message);
  PlanSummary summary = plan_summary(result->plan);
  const char *revision = metrics->revision ? metrics->revision : metrics->source;
  supervisor_status("%.40s: %u objects, %u errors, %u pending restarts, %" G_GUINT64_FORMAT " waiting", revision ? revision : "",
                    result->plan->objects->len, summary.errors, summary.pending, metrics->waiting);
}

void verdicts_take(Service *service, const RunResult *result, const SourceReading *reading) {
  metrics_take(&service->metrics, result);
  if (!result->plan)
    return;
  g_autoptr(GPtrArray) outcomes = outcomes_of(result);
  g_autofree gboolean *news = g_new0(gboolean, outcomes->len + 1);
  g_autoptr(GHashTable) topics = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  gint64 now = g_get_monotonic_time();
  service->metrics.drift = find_drift(service, outcomes);
  for (guint i = 0; i < outcomes->len; i++) {
    learn(service, outcomes->pdata[i], now);
    news[i] = say(service, result->plan, outcomes->pdata[i], topics);
  }
  say_gone(service, result->plan, topics);
  const char *refusal = say_refusal(service, result);
  Telling telling = {service, result, outcomes, news};
  tell(&telling, NotifyEvent_drift, NULL);
  tell(&telling, NotifyEvent_applied, NULL);
  tell(&telling, NotifyEvent_failed, NULL);
  tell(&telling, NotifyEvent_refused, refusal);
  remember(service, outcomes);
  g_autoptr(GError) error = NULL;
  if (!reading_remember(reading, service->config, &error) && said_is_news(service->said, "revision", error->message))
    service_log(LOG_WARNING, NULL, "which revision is in force can't be written down (%s): after a restart of the service commits before "
                "it could pass the check of signatures", error->message);
  finish(service, result);
}

void verdicts_host(Service *service, const char *error) {
  g_free(service->host_error);
  service->host_error = g_strdup(error);
  if (!said_is_news(service->said, "hosts", error))
    return;
  if (error)
    service_log(LOG_ERR, NULL, "%s", error);
  else
    service_log(LOG_NOTICE, NULL, "the hypervisor answers again");
  if (error)
    supervisor_status("%.200s", error);
}
