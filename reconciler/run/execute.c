#include "reconciler/run/execute.h"

#include "reconciler/run/slots.h"
#include "state/fault.h"
#include "state/life_sign.h"

typedef struct Run Run;
typedef struct Lane Lane;

typedef struct {
  Run *run;
  Lane *lane;             /* its object's */
  const Action *action;
  ActionResult *result;
  GPtrArray *dependents;  /* of Step * */
  guint place;            /* in the plan */
  guint waits;            /* predecessors that aren't done */
  gint64 began;
  guint given_up;         /* how often connections were, when it began */
} Step;

struct Lane {
  const PlanObject *object;
  const FleetHost *host;
  gboolean busy, verified;
  guint ready;  /* steps in the run's queue */
  GQueue queue; /* of Step *, ready but for the object being busy */
};

typedef enum { MESSAGE_PROGRESS, MESSAGE_ENDED } MessageKind;
typedef struct {
  MessageKind kind;
  Step *step;
  guint64 done, total;
  char *phase;
  GError *error;    /* MESSAGE_ENDED: NULL is success */
  GString *remarks; /* MESSAGE_ENDED: what is to be told of a success */
} Message;

struct Run {
  const Execution *execution;
  GHashTable *steps; /* action id → Step * */
  GHashTable *lanes; /* object id → Lane * */
  GQueue ready;      /* of Step * */
  GThreadPool *pool;
  GAsyncQueue *messages;
  GPtrArray *begun, *ended; /* of Step *: in this turn */
  Slots *slots;
  guint running;
};

static void message_free(gpointer data) {
  Message *message = data;
  g_free(message->phase);
  g_clear_error(&message->error);
  if (message->remarks)
    g_string_free(message->remarks, TRUE);
  g_free(message);
}

static void step_free(gpointer data) {
  Step *step = data;
  g_ptr_array_unref(step->dependents);
  g_free(step);
}

static void lane_free(gpointer data) {
  Lane *lane = data;
  g_queue_clear(&lane->queue);
  g_free(lane);
}

static void result_free(gpointer data) {
  ActionResult *result = data;
  g_free(result->message);
  g_free(result);
}

/* --- in a worker's thread --- */

static void on_progress(gpointer data, const Action *action, guint64 done, guint64 total, const char *phase) {
  (void)action;
  Step *step = data;
  Message *message = g_new0(Message, 1);
  message->step = step;
  message->done = done;
  message->total = total;
  message->phase = g_strdup(phase);
  g_async_queue_push(step->run->messages, message);
}

static void work(gpointer data, gpointer user_data) {
  Step *step = data;
  Run *run = user_data;
  const Execution *execution = run->execution;
  Lane *lane = step->lane;
  ActionContext context = {
      .connection = lane->host->connection,
      .fleet = execution->fleet,
      .plan = execution->plan,
      .object = lane->object,
      .journal = execution->journal,
      .cancel = execution->cancel,
      .progress = on_progress,
      .progress_data = step,
      .remarks = g_string_new(NULL),
  };
  Message *message = g_new0(Message, 1);
  message->remarks = context.remarks;
  message->kind = MESSAGE_ENDED;
  message->step = step;
  if (lane->verified || execute_verify(lane->host, lane->object, &context.found_absent, &message->error)) {
    lane->verified = TRUE;
    FAULT_IN(action_info[step->action->kind].name, "verified");
    action_info[step->action->kind].function(&context, step->action, &message->error);
    FAULT_IN(action_info[step->action->kind].name, "acted");
  }
  life_sign();
  g_async_queue_push(run->messages, message);
}

/* --- in the run's own thread --- */

static void end_step(Run *run, Step *step, ResultKind kind, const char *text);

static void skip_step(Run *run, Step *step, const Action *missing) {
  g_autofree char *text = g_strdup_printf("needs %s (%s), which wasn't done", missing->id, missing->description);
  end_step(run, step, RESULT_SKIPPED, text);
}

static gint by_place(gconstpointer a, gconstpointer b, gpointer data G_GNUC_UNUSED) {
  const Step *left = a, *right = b;
  return left->place < right->place ? -1 : left->place > right->place;
}

/* In the plan's order, which is by objects: what was begun is ended before another object is begun, so that machines
 * that are restarted or moved are off one after the other, not all at once. */
static void make_ready(Run *run, Step *step) {
  step->lane->ready++;
  g_queue_insert_sorted(&run->ready, step, by_place, NULL);
}

static void release_step(Run *run, Step *step) {
  if (--step->waits == 0)
    make_ready(run, step);
}

/* Those that waited for it. */
static void go_on(Run *run, Step *step) {
  for (guint i = 0; i < step->dependents->len; i++) {
    Step *dependent = step->dependents->pdata[i];
    if (dependent->result->kind != RESULT_PENDING)
      continue;
    if (step->result->kind == RESULT_DONE || (step->result->kind != RESULT_CANCELLED && !action_needs_success(dependent->action, step->action)))
      release_step(run, dependent);
    else
      skip_step(run, dependent, step->action);
  }
}

static const char *const journal_results[] = {"pending", "done", "failed", "skipped", "refused", "cancelled"};

static void end_step(Run *run, Step *step, ResultKind kind, const char *text) {
  const Execution *execution = run->execution;
  ActionResult *result = step->result;
  result->kind = kind;
  result->message = g_strdup(text);
  result->milliseconds = step->began != 0 ? (g_get_monotonic_time() - step->began) / 1000 : 0;
  if (step->began != 0 && execution->journal != NULL)
    journal_action_end(execution->journal, execution->run, step->action->id, journal_results[kind], text, NULL);
  g_ptr_array_add(run->ended, step);
  go_on(run, step);
}

static ResultKind result_of(const GError *error) {
  if (error == NULL)
    return RESULT_DONE;
  if (g_error_matches(error, EXECUTE_ERROR, EXECUTE_ERROR_STALE) || g_error_matches(error, EXECUTE_ERROR, EXECUTE_ERROR_REFUSED))
    return RESULT_REFUSED;
  if (g_error_matches(error, EXECUTE_ERROR, EXECUTE_ERROR_CANCELLED) || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return RESULT_CANCELLED;
  return RESULT_FAILED;
}

static void refuse_step(Run *run, Step *step, const GError *error) {
  step->began = 0;
  g_autofree char *text = g_strdup_printf("the journal can't be written, so it isn't begun: %s", error->message);
  end_step(run, step, RESULT_FAILED, text);
}

static gboolean begin_step(Run *run, Step *step) {
  const Execution *execution = run->execution;
  const Action *action = step->action;
  g_autoptr(GError) error = NULL;
  step->began = g_get_monotonic_time();
  step->given_up = connections_given_up();
  if (execution->journal == NULL ||
      journal_action_begin(execution->journal, execution->run, action->id, action->object, action_info[action->kind].name,
                           action->description, string_map_get(action->args, "to"), &error)) {
    g_ptr_array_add(run->begun, step);
    return TRUE;
  }
  refuse_step(run, step, error);
  return FALSE;
}

/* FALSE: its hosts have no room for it now. */
static gboolean begin_or_queue(Run *run, Step *step) {
  Lane *lane = step->lane;
  if (lane->busy) {
    g_queue_push_tail(&lane->queue, step);
    return TRUE;
  }
  if (!slots_take(run->slots, lane->object, step->action))
    return FALSE;
  lane->busy = begin_step(run, step);
  if (!lane->busy)
    slots_give(run->slots, lane->object, step->action);
  return TRUE;
}

static void begin_what_is_ready(Run *run) {
  GList *next;
  for (GList *each = run->ready.head; each != NULL; each = next) {
    next = each->next;
    Step *step = each->data;
    if (slots_full(run->slots) || g_cancellable_is_cancelled(run->execution->cancel))
      return;
    if (!begin_or_queue(run, step))
      continue;
    step->lane->ready--;
    g_queue_delete_link(&run->ready, each);
  }
}

static void leave_lane(Run *run, const Step *step) {
  Lane *lane = step->lane;
  lane->busy = FALSE;
  slots_give(run->slots, lane->object, step->action);
  Step *next = g_queue_pop_head(&lane->queue);
  if (next != NULL)
    make_ready(run, next);
}

static void rest_lane(Run *run, const Lane *lane) {
  if (!lane->busy && lane->ready == 0)
    slots_rest(run->slots, lane->object);
}

/* Journal before act: what can't be written down isn't begun. */
static void keep_journal(Run *run) {
  g_autoptr(GError) error = NULL;
  if (run->execution->journal == NULL || journal_keep(run->execution->journal, &error))
    return;
  for (guint i = 0; i < run->begun->len; i++) {
    Step *step = run->begun->pdata[i];
    leave_lane(run, step);
    refuse_step(run, step, error);
    rest_lane(run, step->lane);
  }
  g_ptr_array_set_size(run->begun, 0);
}

static void tell_ended(Run *run) {
  const RunEvents *events = run->execution->events;
  for (guint i = 0; i < run->ended->len; i++) {
    const Step *step = run->ended->pdata[i];
    FAULT_IN(action_info[step->action->kind].name, "ended in the journal");
    if (events->ended != NULL)
      events->ended(events->data, run->execution->plan, step->result);
  }
  g_ptr_array_set_size(run->ended, 0);
}

static void start_begun(Run *run) {
  const RunEvents *events = run->execution->events;
  for (guint i = 0; i < run->begun->len; i++) {
    Step *step = run->begun->pdata[i];
    FAULT_IN(action_info[step->action->kind].name, "begun in the journal");
    run->running++;
    if (events->started != NULL)
      events->started(events->data, run->execution->plan, step->action);
    g_thread_pool_push(run->pool, step, NULL);
  }
  g_ptr_array_set_size(run->begun, 0);
}

static void on_ended(Run *run, Message *message) {
  Step *step = message->step;
  leave_lane(run, step);
  run->running--;
  if (message->error != NULL && step->given_up != connections_given_up())
    g_prefix_error(&message->error, "nothing came back for a long time, so it was given up (its QEMU, or storage, hangs): ");
  const char *text = message->error != NULL ? message->error->message : message->remarks->len > 0 ? message->remarks->str : NULL;
  end_step(run, step, result_of(message->error), text);
  rest_lane(run, step->lane);
}

/* Whether anything was begun. What ended and what begins is written to the journal together. */
static gboolean turn(Run *run, const GPtrArray *ended) {
  if (run->execution->journal != NULL)
    journal_gather(run->execution->journal);
  for (guint i = 0; i < ended->len; i++)
    on_ended(run, ended->pdata[i]);
  begin_what_is_ready(run);
  keep_journal(run);
  gboolean any = run->ended->len > 0 || run->begun->len > 0;
  tell_ended(run);
  start_begun(run);
  return any;
}

/* Waits for steps that ended; shows progress meanwhile. */
static GPtrArray *wait_for_ended(Run *run) {
  const RunEvents *events = run->execution->events;
  GPtrArray *ended = g_ptr_array_new_with_free_func(message_free);
  Message *message = g_async_queue_timeout_pop(run->messages, 100000);
  for (; message != NULL; message = g_async_queue_try_pop(run->messages)) {
    if (message->kind == MESSAGE_ENDED) {
      g_ptr_array_add(ended, message);
      continue;
    }
    if (events->progress != NULL)
      events->progress(events->data, message->step->action, message->done, message->total, message->phase);
    message_free(message);
  }
  return ended;
}

static void add_step(Run *run, const Action *action, GPtrArray *results) {
  Step *step = g_new0(Step, 1);
  step->run = run;
  step->lane = g_hash_table_lookup(run->lanes, action->object);
  step->action = action;
  step->place = results->len;
  step->dependents = g_ptr_array_new();
  step->result = g_new0(ActionResult, 1);
  step->result->action = action;
  g_ptr_array_add(results, step->result);
  g_hash_table_insert(run->steps, action->id, step);
  for (guint i = 0; i < action->after->len; i++) {
    Step *before = g_hash_table_lookup(run->steps, action->after->pdata[i]);
    if (before != NULL) {
      g_ptr_array_add(before->dependents, step);
      step->waits++;
    }
  }
  if (step->waits > 0)
    return;
  step->lane->ready++;
  g_queue_push_tail(&run->ready, step);
}

static void add_lane(Run *run, const PlanObject *object) {
  Lane *lane = g_new0(Lane, 1);
  lane->object = object;
  lane->host = fleet_host(run->execution->fleet, object->host); /* NULL: it can't be asked, and nothing is planned */
  g_queue_init(&lane->queue);
  g_hash_table_insert(run->lanes, plan_object_id(object), lane);
}

GPtrArray *execute_plan(const Execution *execution) {
  const GPtrArray *actions = execution->plan->actions;
  GPtrArray *results = g_ptr_array_new_with_free_func(result_free);
  Run run = {
      .execution = execution,
      .steps = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, step_free),
      .lanes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, lane_free),
      .messages = g_async_queue_new_full(message_free),
      .slots = slots_new(execution->plan, execution->jobs),
  };
  g_queue_init(&run.ready);
  run.begun = g_ptr_array_new();
  run.ended = g_ptr_array_new();
  for (guint i = 0; i < execution->plan->objects->len; i++)
    add_lane(&run, execution->plan->objects->pdata[i]);
  for (guint i = 0; i < actions->len; i++)
    add_step(&run, actions->pdata[i], results);
  run.pool = g_thread_pool_new(work, &run, (gint)slots_most(run.slots), FALSE, NULL);
  g_autoptr(GPtrArray) ended = g_ptr_array_new();
  life_expected(TRUE);
  while (turn(&run, ended) || run.running > 0) {
    g_ptr_array_unref(ended);
    ended = run.running > 0 ? wait_for_ended(&run) : g_ptr_array_new();
  }
  life_expected(FALSE);
  g_thread_pool_free(run.pool, FALSE, TRUE);
  for (guint i = 0; i < results->len; i++) {
    ActionResult *result = results->pdata[i];
    if (result->kind == RESULT_PENDING)
      end_step(&run, g_hash_table_lookup(run.steps, result->action->id), RESULT_CANCELLED, "not begun");
  }
  tell_ended(&run);
  g_ptr_array_unref(run.ended);
  g_ptr_array_unref(run.begun);
  g_queue_clear(&run.ready);
  g_async_queue_unref(run.messages);
  g_hash_table_unref(run.steps);
  g_hash_table_unref(run.lanes);
  slots_free(run.slots);
  return results;
}
