/* A machine of a fleet that is on none of its hosts may have been moved by another controller, to a host that the files as they were read
 * here don't know yet. Who moved it had read newer ones before it began. So, once the machine is seen to be nowhere, the source is read again,
 * and the machine is made only where that says the same. */
#include "reconciler/run/pipeline_stages.h"
#include "reconciler/source/source.h"

static gboolean read_again(const Pipeline *pipeline, gboolean *ret_current, GError **error) {
  const RunOptions *options = pipeline->options;
  if (options->is_current != NULL)
    return options->is_current(options->is_current_data, ret_current, error);
  SourceRequest request = {options->source, options->state_dir, pipeline->journal, options->cancel};
  g_autofree char *identity = NULL, *revision = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  GError *trouble = NULL;
  g_autoptr(Desired) now = source_read(&request, &identity, &revision, diagnostics, &trouble);
  if (trouble != NULL) {
    g_propagate_error(error, trouble);
    return FALSE;
  }
  *ret_current = now != NULL && diagnostics->errors == 0 && desired_equal(now, pipeline->desired);
  return TRUE;
}

static gboolean makes(const Plan *plan, const PlanObject *object) {
  g_autofree char *id = plan_object_id(object);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    if (action->kind == ACTION_DOMAIN_DEFINE && g_str_equal(action->object, id))
      return TRUE;
  }
  return FALSE;
}

static GPtrArray *made(const Plan *plan) {
  GPtrArray *machines = g_ptr_array_new();
  for (guint i = 0; i < plan->objects->len; i++)
    if (makes(plan, plan->objects->pdata[i]))
      g_ptr_array_add(machines, plan->objects->pdata[i]);
  return machines;
}

gboolean pipeline_confirm(Pipeline *pipeline) {
  Plan *plan = pipeline->result->plan;
  g_autoptr(GPtrArray) machines = made(plan);
  g_autoptr(GError) error = NULL;
  gboolean current = FALSE;
  if (machines->len == 0)
    return TRUE;
  if (read_again(pipeline, &current, &error))
    return current || pipeline_stop(pipeline, 3, g_error_new(EXECUTE_ERROR, EXECUTE_ERROR_STALE, "the source has changed since it was read, and may want %s elsewhere: "
                                                             "nothing is changed; run again", ((const PlanObject *)machines->pdata[0])->name));
  for (guint i = 0; i < machines->len; i++)
    plan_reject(plan, machines->pdata[i], g_strdup_printf("it is on no host, and isn't made before it is certain that the source doesn't want it elsewhere by now, where "
                                                          "another controller may have moved it; the source can't be read: %s", error->message));
  return TRUE;
}
