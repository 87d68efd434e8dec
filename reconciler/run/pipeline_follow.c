/* What only a plan's execution brings to light of a machine (PlanObject.follows), or has to come after it: the hosts are looked at
 * again, and what differs then is planned and done in the same run, by the same rules. It restarts or loses nothing where the plan hasn't
 * shown that of the machine, and a saved plan is applied as it is: the rest is then the next run's. */
#include "reconciler/run/pipeline_stages.h"
#include "reconciler/plan/planner.h"
#include "reconciler/plan/space.h"
#include "state/fault.h"

enum { MOST_ROUNDS = 3 };

/* The most that was shown for an object; FALSE: not all of it was done. */
static gboolean all_done(const GPtrArray *results, const char *id, Impact *ret_most) {
  Impact most = IMPACT_NONE;
  for (guint i = 0; i < results->len; i++) {
    const ActionResult *result = results->pdata[i];
    if (!g_str_equal(result->action->object, id))
      continue;
    if (result->kind != RESULT_DONE)
      return FALSE;
    most = MAX(most, result->action->impact);
  }
  *ret_most = most;
  return TRUE;
}

/* What is the same object from plan to plan: a machine may be on another host then. */
static char *key_of(const PlanObject *object) { return g_strconcat(kinds[object->kind].word, "/", object->name, NULL); }

static guint most_of(GHashTable *follows, const PlanObject *object) {
  g_autofree char *key = key_of(object);
  return GPOINTER_TO_UINT(g_hash_table_lookup(follows, key));
}

/* Key → the most that may be done to it, plus one. Each is looked at once for each time that it is asked for. */
static GHashTable *what_follows(const Plan *plan, const GPtrArray *results) {
  GHashTable *follows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    Impact most;
    if (object->follows && object->hold == HOLD_NONE && object->change != CHANGE_ERROR && all_done(results, id, &most))
      g_hash_table_insert(follows, key_of(object), GUINT_TO_POINTER(MAX(most, object->shown) + 1));
    object->follows = FALSE;
  }
  return follows;
}

/* Why the object's part of the new plan isn't done by this run; NULL: it is. */
static char *why_later(const Plan *next, const char *id, Impact most, const GHashTable *ids) {
  for (guint i = 0; i < next->actions->len; i++) {
    const Action *action = next->actions->pdata[i];
    if (!g_str_equal(action->object, id))
      continue;
    if (action->impact >= IMPACT_RESTART && action->impact > most)
      return g_strdup_printf("left to the next run, since it is more than this one has shown: %s (%s)", action->description, impact_words[action->impact]);
    for (guint n = 0; n < action->after->len; n++)
      if (!g_hash_table_contains((GHashTable *)ids, action->after->pdata[n]))
        return g_strdup_printf("left to the next run, since it needs another object: %s", action->description);
  }
  return NULL;
}

/* Ids of the actions on what follows: nothing else is done. */
static GHashTable *own_actions(const Plan *next, GHashTable *follows) {
  GHashTable *ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < next->objects->len; i++)
    if (most_of(follows, next->objects->pdata[i]) > 0)
      g_hash_table_add(objects, plan_object_id(next->objects->pdata[i]));
  for (guint i = 0; i < next->actions->len; i++) {
    const Action *action = next->actions->pdata[i];
    if (g_hash_table_contains(objects, action->object))
      g_hash_table_add(ids, g_strdup(action->id));
  }
  return ids;
}

static void leave_others(Plan *next, GHashTable *follows) {
  g_autoptr(GHashTable) ids = own_actions(next, follows);
  for (guint i = next->objects->len; i-- > 0;) {
    PlanObject *object = next->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    guint most = most_of(follows, object);
    char *later = most > 0 ? why_later(next, id, most - 1, ids) : NULL;
    if (most == 0 || later != NULL)
      plan_drop_actions(next, id);
    if (later != NULL)
      g_ptr_array_add(object->notes, later);
    if (most == 0)
      g_ptr_array_remove_index(next->objects, i);
  }
}

static PlanObject *find(const Plan *plan, const PlanObject *object) {
  g_autofree char *id = plan_object_id(object);
  return (PlanObject *)plan_object(plan, id);
}

static void add_note(PlanObject *object, const char *note) {
  if (!g_ptr_array_find_with_equal_func(object->notes, note, g_str_equal, NULL))
    g_ptr_array_add(object->notes, g_strdup(note));
}

/* What was seen later is how it is. */
static void add_field(PlanObject *object, FieldChange *change /* taken */) {
  for (guint i = 0; i < object->fields->len; i++)
    if (g_str_equal(((const FieldChange *)object->fields->pdata[i])->path, change->path))
      g_ptr_array_remove_index(object->fields, i--);
  g_ptr_array_add(object->fields, change);
}

static void join_object(PlanObject *object, PlanObject *next) {
  while (next->fields->len > 0)
    add_field(object, g_ptr_array_steal_index(next->fields, 0));
  for (guint i = 0; i < next->notes->len; i++)
    add_note(object, next->notes->pdata[i]);
  object->follows = next->follows;
  object->shown = MAX(object->shown, next->shown);
  object->hold = next->hold;
  if (next->change == CHANGE_ERROR) {
    object->change = CHANGE_ERROR;
    object->error = g_strdup(next->error);
  }
}

/* Beside what it was before it moved. */
static void join_moved(Plan *plan, PlanObject *next /* taken */) {
  guint place = 0;
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *each = plan->objects->pdata[i];
    if (each->kind == next->kind && g_str_equal(each->name, next->name))
      place = i + 1;
  }
  g_ptr_array_insert(plan->objects, place > 0 ? (gint)place : -1, next);
}

/* The report is of one plan. */
static void join(Plan *plan, Plan *next) {
  for (guint i = next->objects->len; i-- > 0;) {
    PlanObject *each = next->objects->pdata[i], *object = find(plan, each);
    if (object != NULL)
      join_object(object, each);
    else
      join_moved(plan, g_ptr_array_steal_index(next->objects, i));
  }
  while (next->actions->len > 0)
    g_ptr_array_add(plan->actions, g_ptr_array_steal_index(next->actions, 0));
}

/* What the others would delete or write is no matter of this plan. */
static void judge_anew(const Pipeline *pipeline, Plan *next) {
  const FleetHost *only = pipeline_only_host(pipeline);
  if (only == NULL)
    return;
  g_clear_pointer(&next->refused, g_free);
  g_clear_pointer(&next->short_pool, g_free);
  if (!(pipeline->options->allow & ALLOW_OVERCOMMIT))
    next->refused = space_check(only->actual, next, &next->short_pool);
}

/* The new plan, of what follows alone; NULL: the run has stopped. */
static Plan *plan_again(Pipeline *pipeline, GHashTable *follows) {
  Plan *plan = g_steal_pointer(&pipeline->result->plan);
  g_clear_pointer(&pipeline->placed, g_ptr_array_unref);
  fleet_observe(pipeline->fleet, &pipeline_everything);
  FleetHost *only = pipeline_only_host(pipeline);
  gboolean planned = only != NULL && only->actual == NULL ? pipeline_stop(pipeline, 1, g_steal_pointer(&only->error)) : pipeline_plan(pipeline);
  Plan *next = g_steal_pointer(&pipeline->result->plan);
  pipeline->result->plan = plan;
  if (planned) {
    leave_others(next, follows);
    judge_anew(pipeline, next);
    planned = pipeline_permit(pipeline, next);
  }
  if (!planned)
    g_clear_pointer(&next, plan_free);
  return next;
}

/* FALSE: nothing more is done. */
static gboolean follow_once(Pipeline *pipeline, Execution *execution) {
  g_autoptr(GHashTable) follows = what_follows(pipeline->result->plan, pipeline->result->results);
  if (g_hash_table_size(follows) == 0 || g_cancellable_is_cancelled(pipeline->options->cancel))
    return FALSE;
  pipeline->round++;
  FAULT("run: looks again");
  g_autoptr(Plan) next = plan_again(pipeline, follows);
  if (next == NULL)
    return FALSE;
  GError *error = NULL;
  if (!pipeline_note_epochs(pipeline, next, &error))
    return pipeline_stop(pipeline, 1, error);
  execution->plan = next;
  if (next->actions->len > 0 && pipeline->events->planned != NULL)
    pipeline->events->planned(pipeline->events->data, next);
  g_autoptr(GPtrArray) results = execute_plan(execution);
  while (results->len > 0)
    g_ptr_array_add(pipeline->result->results, g_ptr_array_steal_index(results, 0));
  join(pipeline->result->plan, next);
  return TRUE;
}

void pipeline_follow(Pipeline *pipeline, Execution *execution) {
  if (pipeline->options->plan_in != NULL)
    return;
  while (pipeline->round < MOST_ROUNDS && follow_once(pipeline, execution))
    ;
}
