#include "reconciler/run/execute_steps.h"

#include "reconciler/plan/whereabouts.h"

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

static void add_step(Steps *steps, const Action *action) {
  Step *step = g_new0(Step, 1);
  step->lane = g_hash_table_lookup(steps->lanes, action->object);
  step->action = action;
  step->place = steps->results->len;
  step->dependents = g_ptr_array_new();
  step->result = g_new0(ActionResult, 1);
  step->result->action = action;
  g_ptr_array_add(steps->results, step->result);
  g_hash_table_insert(steps->steps, action->id, step);
  for (guint i = 0; i < action->after->len; i++) {
    Step *before = g_hash_table_lookup(steps->steps, action->after->pdata[i]);
    if (before != NULL) {
      g_ptr_array_add(before->dependents, step);
      step->waits++;
    }
  }
  if (step->waits > 0)
    return;
  step->lane->ready++;
  g_queue_push_tail(&steps->ready, step);
}

static void add_lane(Steps *steps, const PlanObject *object) {
  Lane *lane = g_new0(Lane, 1);
  lane->object = object;
  lane->host = fleet_host(steps->execution->fleet, object->host); /* NULL: it can't be asked, and nothing is planned */
  g_queue_init(&lane->queue);
  g_hash_table_insert(steps->lanes, plan_object_id(object), lane);
}

void steps_init(Steps *steps, const Execution *execution) {
  const Plan *plan = execution->plan;
  *steps = (Steps){
      .execution = execution,
      .results = g_ptr_array_new_with_free_func(result_free),
      .steps = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, step_free),
      .lanes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, lane_free),
      .begun = g_ptr_array_new(),
      .ended = g_ptr_array_new(),
      .slots = slots_new(plan, execution->jobs),
  };
  g_queue_init(&steps->ready);
  for (guint i = 0; i < plan->objects->len; i++)
    add_lane(steps, plan->objects->pdata[i]);
  for (guint i = 0; i < plan->actions->len; i++)
    add_step(steps, plan->actions->pdata[i]);
}

void steps_release(Steps *steps) {
  g_ptr_array_unref(steps->ended);
  g_ptr_array_unref(steps->begun);
  g_queue_clear(&steps->ready);
  g_hash_table_unref(steps->steps);
  g_hash_table_unref(steps->lanes);
  slots_free(steps->slots);
}

static void end_step(Steps *steps, Step *step, ResultKind kind, const char *text);

static void skip_step(Steps *steps, Step *step, const Action *missing) {
  g_autofree char *text = g_strdup_printf("needs %s (%s), which wasn't done", missing->id, missing->description);
  end_step(steps, step, RESULT_SKIPPED, text);
}

static gint by_place(gconstpointer a, gconstpointer b, gpointer data G_GNUC_UNUSED) {
  const Step *left = a, *right = b;
  return left->place < right->place ? -1 : left->place > right->place;
}

/* In the plan's order, which is by objects: what was begun is ended before another object is begun, so that machines
 * that are restarted or moved are off one after the other, not all at once. */
static void make_ready(Steps *steps, Step *step) {
  step->lane->ready++;
  g_queue_insert_sorted(&steps->ready, step, by_place, NULL);
}

static void release_step(Steps *steps, Step *step) {
  if (--step->waits == 0)
    make_ready(steps, step);
}

/* A run that is cancelled gives back what it took: the start comes whatever became of what was to be done before. */
static gboolean gives_back(const Step *step) {
  return step->lane->stopped != NULL && step->action->kind == ACTION_DOMAIN_START && string_map_get(step->action->args, "again") != NULL;
}

static void note_power(const Step *step) {
  const Action *action = step->action;
  if (action->kind == ACTION_DOMAIN_SHUTDOWN && string_map_get(action->args, "again") != NULL)
    step->lane->stopped = action;
  else if (action->kind == ACTION_DOMAIN_START || action->kind == ACTION_DOMAIN_ARRIVE)
    step->lane->stopped = NULL;
}

/* Those that waited for it. */
static void go_on(Steps *steps, Step *step) {
  for (guint i = 0; i < step->dependents->len; i++) {
    Step *dependent = step->dependents->pdata[i];
    if (dependent->result->kind != RESULT_PENDING)
      continue;
    if (step->result->kind == RESULT_DONE || ((step->result->kind != RESULT_CANCELLED || gives_back(dependent)) && !action_needs_success(dependent->action, step->action)))
      release_step(steps, dependent);
    else
      skip_step(steps, dependent, step->action);
  }
}

#define GIVEN_UP "nothing came back for a long time, so it was given up (its QEMU, or storage, hangs): "

static const char *const journal_results[] = {"pending", "done", "failed", "skipped", "refused", "cancelled"};

static void end_step(Steps *steps, Step *step, ResultKind kind, const char *text) {
  const Execution *execution = steps->execution;
  ActionResult *result = step->result;
  result->kind = kind;
  result->message = g_strdup(text);
  result->milliseconds = step->began != 0 ? (g_get_monotonic_time() - step->began) / 1000 : 0;
  if (step->began != 0 && execution->journal != NULL)
    journal_action_end(execution->journal, execution->run, step->action->id, journal_results[kind], text, NULL);
  g_ptr_array_add(steps->ended, step);
  if (kind == RESULT_DONE)
    note_power(step);
  go_on(steps, step);
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

static void refuse_step(Steps *steps, Step *step, const GError *error) {
  step->began = 0;
  g_autofree char *text = g_strdup_printf("the journal can't be written, so it isn't begun: %s", error->message);
  end_step(steps, step, RESULT_FAILED, text);
}

static gboolean note_step(const Execution *execution, const Step *step, GError **error) {
  const Action *action = step->action;
  const char *name = step->lane->object->host, *target = action_moves(action) ? string_map_get(action->args, "to") : NULL;
  const FleetHost *host = name != NULL ? fleet_host(execution->fleet, target != NULL ? target : name) : NULL;
  JournalActionBegin begin = {
      .action = action->id,
      .object = action->object,
      .kind = action_info[action->kind].name,
      .description = action->description,
      .target = target,
      .epoch = name != NULL ? epoch_given(execution->plan, step->lane->host, action) : JOURNAL_NO_EPOCH,
      .uri = host != NULL ? host->uri : NULL,
  };
  return execution->journal == NULL || journal_action_begin(execution->journal, execution->run, &begin, error);
}

static gboolean begin_step(Steps *steps, Step *step) {
  g_autoptr(GError) error = NULL;
  step->began = g_get_monotonic_time();
  step->given_up = connections_given_up();
  if (note_step(steps->execution, step, &error)) {
    g_ptr_array_add(steps->begun, step);
    return TRUE;
  }
  refuse_step(steps, step, error);
  return FALSE;
}

/* FALSE: its hosts have no room for it now. */
static gboolean begin_or_queue(Steps *steps, Step *step) {
  Lane *lane = step->lane;
  if (lane->busy) {
    g_queue_push_tail(&lane->queue, step);
    return TRUE;
  }
  if (!slots_take(steps->slots, lane->object, step->action))
    return FALSE;
  lane->busy = begin_step(steps, step);
  if (!lane->busy)
    slots_give(steps->slots, lane->object, step->action);
  return TRUE;
}

void steps_begin(Steps *steps) {
  GList *next;
  for (GList *each = steps->ready.head; each != NULL; each = next) {
    next = each->next;
    Step *step = each->data;
    if (slots_full(steps->slots))
      return;
    if (g_cancellable_is_cancelled(steps->execution->cancel) && !gives_back(step))
      continue;
    if (!begin_or_queue(steps, step))
      continue;
    step->lane->ready--;
    g_queue_delete_link(&steps->ready, each);
  }
}

static void leave_lane(Steps *steps, const Step *step) {
  Lane *lane = step->lane;
  lane->busy = FALSE;
  slots_give(steps->slots, lane->object, step->action);
  Step *next = g_queue_pop_head(&lane->queue);
  if (next != NULL)
    make_ready(steps, next);
}

static void rest_lane(Steps *steps, const Lane *lane) {
  if (!lane->busy && lane->ready == 0)
    slots_rest(steps->slots, lane->object);
}

void steps_keep(Steps *steps) {
  g_autoptr(GError) error = NULL;
  if (steps->execution->journal == NULL || journal_keep(steps->execution->journal, &error))
    return;
  for (guint i = 0; i < steps->begun->len; i++) {
    Step *step = steps->begun->pdata[i];
    leave_lane(steps, step);
    refuse_step(steps, step, error);
    rest_lane(steps, step->lane);
  }
  g_ptr_array_set_size(steps->begun, 0);
}

void steps_end(Steps *steps, Step *step, const GError *error, const char *remarks) {
  leave_lane(steps, step);
  gboolean given_up = error != NULL && step->given_up != connections_given_up();
  g_autofree char *text = error == NULL ? g_strdup(remarks) : g_strconcat(given_up ? GIVEN_UP : "", error->message, NULL);
  end_step(steps, step, result_of(error), text);
  rest_lane(steps, step->lane);
}

void steps_cancel_rest(Steps *steps, gboolean all) {
  for (guint i = 0; i < steps->results->len; i++) {
    ActionResult *result = steps->results->pdata[i];
    Step *step = g_hash_table_lookup(steps->steps, result->action->id);
    if (result->kind == RESULT_PENDING && (all || !gives_back(step)))
      end_step(steps, step, RESULT_CANCELLED, step->lane->runs_again ? "not begun; the machine was started again where it was" : "not begun");
  }
}
