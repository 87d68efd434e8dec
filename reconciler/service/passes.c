#include <malloc.h>
#include <string.h>

#include "reconciler/rules/policy.h"
#include "reconciler/service/service.h"

enum { TOGETHER = 50000, LONGEST_GAP = 30 * G_USEC_PER_SEC }; /* microseconds */

typedef struct {
  Service *service;
  Config *config;
  SourceReading *reading;
  gboolean anew;
  gint64 began, planned; /* microseconds, monotonic */
  HostsLent *hosts;
  char *cause;
  GPtrArray *seen;    /* of JournalEvent *, to be written down */
  GError *unwritten;  /* why they couldn't be */
  RunResult *result;
} Pass;

static void pass_free(gpointer data) {
  Pass *pass = data;
  run_result_free(pass->result);
  reading_free(pass->reading);
  config_free(pass->config);
  g_free(pass->cause);
  g_ptr_array_unref(pass->seen);
  g_clear_error(&pass->unwritten);
  g_free(pass);
  malloc_trim(0); /* it took as much again as what is kept */
}

/* --- in the pass's thread --- */

static LogSubject subject_of(const Plan *plan, const Action *action) {
  const PlanObject *object = plan_object(plan, action->object);
  return (LogSubject){.object = action->object, .commit = plan->revision, .place = object ? object->place : NULL,
                      .action = action_words[action->kind]};
}

static void on_planned(gpointer data, const Plan *plan) {
  (void)plan;
  ((Pass *)data)->planned = g_get_monotonic_time();
}

static void on_started(gpointer data, const Plan *plan, const Action *action) {
  Service *service = ((Pass *)data)->service;
  LogSubject subject = subject_of(plan, action);
  g_atomic_int_inc(&service->metrics.queue);
  service_log(LOG_DEBUG, &subject, "%s ...", action->description);
}

static void on_ended(gpointer data, const Plan *plan, const ActionResult *result) {
  Service *service = ((Pass *)data)->service;
  LogSubject subject = subject_of(plan, result->action);
  if (result->kind == RESULT_DONE || result->kind == RESULT_FAILED || result->kind == RESULT_REFUSED)
    g_atomic_int_add(&service->metrics.queue, -1);
  if (result->kind == RESULT_DONE)
    service_log(LOG_INFO, &subject, "%s: done (%.1f s)", result->action->description, (double)result->milliseconds / 1000);
  else if (result->kind == RESULT_FAILED)
    service_log(LOG_ERR, &subject, "%s: failed: %s", result->action->description, result->message);
  else
    service_log(LOG_NOTICE, &subject, "%s: not done: %s", result->action->description, result->message ? result->message : "cancelled");
}

static char *patience(gpointer data, const char *id) {
  const Service *service = data;
  const char *why = NULL;
  gint64 now = g_get_monotonic_time(), until = backoff_until(service->backoff, id, now, &why);
  if (until == 0)
    return NULL;
  g_autoptr(GDateTime) local = g_date_time_new_now_local();
  g_autoptr(GDateTime) then = g_date_time_add(local, until - now);
  g_autofree char *time = g_date_time_format(then, "%H:%M:%S");
  return why ? g_strdup_printf("it failed (%s) and is tried again at %s", why, time)
             : g_strdup_printf("it was changed again and again, and is left alone until %s", time);
}

static Desired *read_again(gpointer data, GError **error) {
  const Pass *pass = data;
  return reading_again(pass->config, pass->reading, pass->service->cancel, error);
}

static RunOptions options_of(Pass *pass, const Rules *rules) {
  const Service *service = pass->service;
  const ServiceSpec *spec = &pass->config->spec;
  return (RunOptions){
      .state_dir = pass->config->state_dir,
      .prune = given(&spec->prune, PruneSpec, enabled) && spec->prune.enabled,
      .allow = pass->config->allow,
      .prune_percent = (guint)spec->prune.limit,
      .prune_by_day = TRUE,
      .jobs = (guint)spec->limits.jobs,
      .cancel = service->cancel,
      .rules = rules,
      .known = pass->hosts->known,
      .journal = service->journal,
      .desired = pass->reading->desired,
      .read_again = read_again,
      .read_again_data = pass,
      .identity = pass->reading->identity,
      .formerly = config_formerly(pass->config),
      .revision = pass->reading->revision,
      .cause = pass->cause,
  };
}

static void make_pass(GTask *task, gpointer object, gpointer data, GCancellable *cancel) {
  (void)object, (void)cancel;
  Pass *pass = data;
  hosts_attach(pass->hosts, pass->seen);
  g_autofree char *renewed = NULL;
  if (journal_renew(pass->service->journal, &renewed, &pass->unwritten))
    journal_events_add(pass->service->journal, pass->seen, &pass->unwritten);
  if (renewed)
    service_log(LOG_WARNING, NULL, "%s", renewed);
  Rules rules = config_rules(pass->config);
  rules.patience = patience;
  rules.patience_data = pass->service;
  RunOptions options = options_of(pass, &rules);
  RunEvents events = {.planned = on_planned, .started = on_started, .ended = on_ended, .data = pass};
  pass->result = pipeline_run(&options, &events);
  g_task_return_boolean(task, TRUE);
}

/* --- in the main loop --- */

/* Whether the pass could be made; what it found is another matter. */
static const char *trouble_of(const RunResult *result) {
  return result->error && result->exit_status != 3 ? result->error->message : NULL;
}

/* Somebody else is changing the hosts, or has changed them meanwhile. */
static gboolean is_stale(const RunResult *result) { return g_error_matches(result->error, EXECUTE_ERROR, EXECUTE_ERROR_STALE); }

/* Actions that concern nothing but their machine; others concern pools and networks too. */
static gboolean is_of_machine(const Action *action) {
  const char *word = action_words[action->kind];
  return (g_str_has_prefix(word, "domain-") && action->kind != ACTION_DOMAIN_DEFINE && action->kind != ACTION_DOMAIN_UNDEFINE) ||
         g_str_has_prefix(word, "set-");
}

static void touch(Service *service, const Plan *plan, const Action *action) {
  const PlanObject *object = plan_object(plan, action->object);
  g_autofree char *id = object ? g_strconcat(kinds[object->kind].word, "/", object->name, NULL) : NULL;
  if (id && is_of_machine(action))
    hosts_touch(service->hosts, object->host, id);
  else
    hosts_touch_all(service->hosts);
}

/* What was acted on is in order when a look says so. */
static void look_at_what_was_done(Service *service, const RunResult *result) {
  for (guint i = 0; result->results && i < result->results->len; i++) {
    const ActionResult *each = result->results->pdata[i];
    if (each->kind != RESULT_DONE && each->kind != RESULT_FAILED && each->kind != RESULT_REFUSED)
      continue;
    service->metrics.last_applied = g_get_real_time();
    touch(service, result->plan, each->action);
    passes_look(service, "to see what came of the last run");
  }
}

static void say_unwritten(Service *service, const GError *error) {
  const char *why = error ? error->message : NULL;
  if (said_is_news(service->said, "events", why) && why)
    service_log(LOG_WARNING, NULL, "what the host told isn't in the history: %s", why);
}

static void say_warnings(Service *service, const Diagnostics *diagnostics) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < diagnostics->items->len; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", ((const Diagnostic *)diagnostics->items->pdata[i])->message);
  if (said_is_news(service->said, "warnings", text->len > 0 ? text->str : NULL) && text->len > 0)
    service_log(LOG_WARNING, NULL, "%s", text->str);
}

void passes_keep_seen(Service *service) {
  g_autoptr(GPtrArray) events = seen_take_events(service->seen);
  g_autoptr(GError) error = NULL;
  if (events->len == 0)
    return;
  journal_events_add(service->journal, events, &error);
  say_unwritten(service, error);
}

/* A host that can't be asked is tried again by hosts.c; all else here. */
static void be_patient(Service *service, const Pass *pass, const char *trouble, gboolean whole) {
  gint64 now = g_get_monotonic_time();
  if ((trouble && hosts_connected(service->hosts)) || is_stale(pass->result)) {
    backoff_failed(service->patience, PATIENCE_PASS, now, NULL);
    passes_look_at_all(service, "the last pass couldn't be made");
  } else {
    backoff_forget(service->patience, PATIENCE_PASS);
  }
  if (trouble)
    service->anew |= pass->anew;
  if (whole) /* also in vain: what failed is tried again by patience, or when a lost host is back */
    service->looked = now;
}

static void take_pass(Service *service, const Pass *pass, gboolean whole) {
  const char *trouble = trouble_of(pass->result);
  say_unwritten(service, pass->unwritten);
  say_warnings(service, pass->result->diagnostics);
  be_patient(service, pass, trouble, whole);
  verdicts_host(service, trouble);
  service->opens = pass->result->opens;
  verdicts_take(service, pass->result, pass->reading);
  look_at_what_was_done(service, pass->result);
  if (is_stale(pass->result)) /* who changed the hosts may have read something newer */
    sources_read(service, FALSE);
}

static void on_pass(GObject *object, GAsyncResult *result, gpointer data) {
  (void)object;
  Service *service = data;
  Pass *pass = g_task_get_task_data(G_TASK(result));
  service->pass_busy = FALSE;
  service->pass_ended = g_get_monotonic_time();
  service->metrics.pass_seconds += (double)(service->pass_ended - pass->began) / G_USEC_PER_SEC;
  gboolean whole = pass->hosts->whole;
  gboolean waited = !hosts_take_back(service->hosts, g_steal_pointer(&pass->hosts));
  service->look_took = waited ? 0 : (pass->planned ? pass->planned : service->pass_ended) - pass->began;
  service->metrics.connected = hosts_connected(service->hosts);
  take_pass(service, pass, whole);
  if (service->once)
    service_stop(service, pass->result->exit_status);
  service_quit_when_idle(service);
  passes_schedule(service);
}

static void start_pass(Service *service) {
  Pass *pass = g_new0(Pass, 1);
  *pass = (Pass){.service = service, .config = config_ref(service->config), .reading = reading_ref(service->reading),
                 .anew = service->anew, .began = g_get_monotonic_time(), .cause = seen_take_reason(service->seen),
                 .seen = seen_take_events(service->seen)};
  if (service->forget)
    backoff_forget(service->backoff, NULL);
  if (service->anew)
    g_hash_table_remove_all(service->settled);
  pass->hosts = hosts_lend(service->hosts, service->anew);
  service->forget = service->anew = service->look = FALSE;
  service->pass_busy = TRUE;
  service->pass_since = g_get_real_time();
  g_autoptr(GTask) task = g_task_new(NULL, NULL, on_pass, service);
  g_task_set_task_data(task, pass, pass_free);
  g_task_run_in_thread(task, make_pass);
}

static gint64 resync(const Service *service) { return (gint64)service->config->spec.resync * 1000; }

/* When there is something to look at. After a pass it rests twice as long as it looked and planned, so that a
 * flood of events doesn't keep the host busy; events that come together are one reason. */
static gint64 due(const Service *service, gint64 now) {
  if (service->look) {
    gint64 gap = MIN(2 * service->look_took, LONGEST_GAP);
    gint64 rest = service->anew ? 0 : service->pass_ended + gap;
    return MAX(MAX(rest, service->look_since + TOGETHER), backoff_until(service->patience, PATIENCE_PASS, now, NULL));
  }
  gint64 next = service->looked + resync(service), retry = backoff_next(service->backoff, service->ticked);
  if (service->opens != 0 && service->opens != G_MAXINT64)
    next = MIN(next, now + MAX(service->opens - g_get_real_time(), 0));
  return retry != 0 ? MIN(next, retry) : next;
}

/* FALSE: something has to happen first, which comes back here: the source or the configuration is read again
 * (what is in force may have been read under another policy), or a host that is being connected answers. */
static gboolean may_begin(Service *service) {
  const ServiceSpec *spec = &service->config->spec;
  const Desired *desired = service->reading->desired;
  g_autofree char *refusal = policy_hosts_refusal(given(spec, ServiceSpec, policy) ? &spec->policy : NULL, desired);
  if (refusal)
    verdicts_host(service, refusal);
  return !refusal && hosts_follow(service->hosts, desired);
}

static gboolean on_tick(gpointer data) {
  Service *service = data;
  gint64 now = g_get_monotonic_time();
  gboolean now_due = due(service, now) <= now;
  service->pass_timer = 0;
  service->ticked = now;
  if (now_due && !service->look) { /* it is time to look, though nobody said so: at everything */
    hosts_touch_all(service->hosts);
    seen_reason(service->seen, "it was time to look again");
  }
  if (now_due && !may_begin(service))
    return G_SOURCE_REMOVE;
  if (now_due) {
    start_pass(service);
  } else {
    passes_keep_seen(service);
    service->metrics.idle_passes++;
  }
  passes_schedule(service);
  return G_SOURCE_REMOVE;
}

void passes_schedule(Service *service) {
  g_clear_handle_id(&service->pass_timer, g_source_remove);
  if (service->pass_busy || service->stopping || !service->reading)
    return;
  gint64 now = g_get_monotonic_time(), interval = (gint64)service->config->spec.interval * 1000;
  gint64 next = MIN(due(service, now), MAX(service->ticked, service->pass_ended) + interval);
  service->pass_timer = g_timeout_add((guint)(MAX(next - now, 0) / 1000 + (next > now)), on_tick, service);
}

void passes_look(Service *service, const char *why) {
  if (why)
    seen_reason(service->seen, why);
  if (!service->look)
    service->look_since = g_get_monotonic_time();
  service->look = TRUE;
  passes_schedule(service);
}

void passes_look_at_all(Service *service, const char *why) {
  hosts_touch_all(service->hosts);
  passes_look(service, why);
}
