#include "reconciler/run/execute.h"

#include "reconciler/act/move.h"
#include "reconciler/run/execute_steps.h"
#include "state/fault.h"
#include "state/life_sign.h"

typedef enum { MESSAGE_PROGRESS, MESSAGE_ENDED } MessageKind;
typedef struct {
  MessageKind kind;
  Step *step;
  guint64 done, total;
  char *phase;
  GError *error;    /* MESSAGE_ENDED: NULL is success */
  GString *remarks; /* MESSAGE_ENDED: what is to be told of a success */
} Message;

typedef struct {
  Steps steps;
  GThreadPool *pool;     /* each step has a thread */
  GAsyncQueue *messages; /* of Message *, from there */
  guint running;
} Run;

/* What is told while a step works. */
typedef struct {
  GAsyncQueue *messages;
  Step *step;
} Teller;

static void message_free(gpointer data) {
  Message *message = data;
  g_free(message->phase);
  g_clear_error(&message->error);
  if (message->remarks)
    g_string_free(message->remarks, TRUE);
  g_free(message);
}

/* --- in a worker's thread --- */

static void on_progress(gpointer data, const Action *action G_GNUC_UNUSED, guint64 done, guint64 total, const char *phase) {
  const Teller *teller = data;
  Message *message = g_new(Message, 1);
  *message = (Message){.kind = MESSAGE_PROGRESS, .step = teller->step, .done = done, .total = total, .phase = g_strdup(phase)};
  g_async_queue_push(teller->messages, message);
}

static void work(gpointer data, gpointer user_data) {
  Step *step = data;
  Run *run = user_data;
  const Execution *execution = run->steps.execution;
  Lane *lane = step->lane;
  Teller teller = {.messages = run->messages, .step = step};
  gboolean gives_back = step->action->kind == ACTION_DOMAIN_START && g_cancellable_is_cancelled(execution->cancel);
  ActionContext context = {
      .connection = lane->host->connection,
      .fleet = execution->fleet,
      .plan = execution->plan,
      .object = lane->object,
      .journal = execution->journal,
      .cancel = gives_back ? NULL : execution->cancel,
      .progress = on_progress,
      .progress_data = &teller,
      .remarks = g_string_new(NULL),
  };
  Message *message = g_new(Message, 1);
  *message = (Message){.kind = MESSAGE_ENDED, .step = step, .remarks = context.remarks};
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

static void tell_ended(Steps *steps) {
  const Execution *execution = steps->execution;
  const RunEvents *events = execution->events;
  for (guint i = 0; i < steps->ended->len; i++) {
    const Step *step = steps->ended->pdata[i];
    FAULT_IN(action_info[step->action->kind].name, "ended in the journal");
    if (events->ended != NULL)
      events->ended(events->data, execution->plan, step->result);
  }
  g_ptr_array_set_size(steps->ended, 0);
}

static void start_begun(Run *run) {
  const Execution *execution = run->steps.execution;
  const RunEvents *events = execution->events;
  GPtrArray *begun = run->steps.begun;
  for (guint i = 0; i < begun->len; i++) {
    Step *step = begun->pdata[i];
    FAULT_IN(action_info[step->action->kind].name, "begun in the journal");
    run->running++;
    if (events->started != NULL)
      events->started(events->data, execution->plan, step->action);
    g_thread_pool_push(run->pool, step, NULL);
  }
  g_ptr_array_set_size(begun, 0);
}

static void on_ended(Run *run, const Message *message) {
  run->running--;
  steps_end(&run->steps, message->step, message->error, message->remarks->len > 0 ? message->remarks->str : NULL);
}

/* Whether anything was begun, or ended. Both are written to the journal together. */
static gboolean turn(Run *run, const GPtrArray *messages) {
  Steps *steps = &run->steps;
  if (steps->execution->journal != NULL)
    journal_gather(steps->execution->journal);
  for (guint i = 0; i < messages->len; i++)
    on_ended(run, messages->pdata[i]);
  steps_begin(steps);
  steps_keep(steps);
  gboolean any = steps->ended->len > 0 || steps->begun->len > 0;
  tell_ended(steps);
  start_begun(run);
  return any;
}

/* Waits for steps that ended; shows progress meanwhile. */
static GPtrArray *wait_for_ended(Run *run) {
  const RunEvents *events = run->steps.execution->events;
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

/* Until nothing runs, and nothing more can begin. */
static void work_off(Run *run) {
  g_autoptr(GPtrArray) ended = g_ptr_array_new();
  while (turn(run, ended) || run->running > 0) {
    g_ptr_array_unref(ended);
    ended = run->running > 0 ? wait_for_ended(run) : g_ptr_array_new();
  }
}

/* What a cancelled run has shut down to move it, and didn't begin to send or to start there, runs again here. */
static void go_on_here(Run *run) {
  GHashTableIter iter;
  Lane *lane;
  g_hash_table_iter_init(&iter, run->steps.lanes);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&lane)) {
    if (lane->stopped == NULL || string_map_get(lane->stopped->args, "to") == NULL)
      continue;
    const Execution *execution = run->steps.execution;
    const ActionContext context = {.connection = lane->host->connection, .fleet = execution->fleet, .plan = execution->plan, .object = lane->object,
                                   .cancel = execution->cancel};
    lane->runs_again = move_go_on(&context, lane->stopped);
  }
}

GPtrArray *execute_plan(const Execution *execution) {
  Run run = {.messages = g_async_queue_new_full(message_free)};
  steps_init(&run.steps, execution);
  run.pool = g_thread_pool_new(work, &run, (gint)slots_most(run.steps.slots), FALSE, NULL);
  life_expected(TRUE);
  work_off(&run);
  if (g_cancellable_is_cancelled(execution->cancel)) {
    go_on_here(&run);
    steps_cancel_rest(&run.steps, FALSE);
    work_off(&run);
  }
  life_expected(FALSE);
  g_thread_pool_free(run.pool, FALSE, TRUE);
  steps_cancel_rest(&run.steps, TRUE);
  tell_ended(&run.steps);
  g_async_queue_unref(run.messages);
  steps_release(&run.steps);
  return run.steps.results;
}
