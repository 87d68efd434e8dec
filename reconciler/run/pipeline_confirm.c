/* A machine of a fleet that is on none of its hosts may have been moved by another controller, to a host that the files as they were
 * read here don't know yet. Who moved it had read newer ones before it began. So, once the machine is seen to be nowhere, the source
 * is read again, and the machine is made only where that says the same; by a saved plan, which stands for what was reviewed, where it
 * says the same of hosts and the machine's place. */
#include "reconciler/run/pipeline_stages.h"
#include "reconciler/source/source.h"

static Desired *read_files(const Pipeline *pipeline, const char *source, GError **error) {
  SourceRequest request = {source, pipeline->options->state_dir, pipeline->journal, pipeline->options->cancel};
  g_autofree char *identity = NULL, *revision = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  GError *trouble = NULL;
  g_autoptr(Desired) now = source_read(&request, &identity, &revision, diagnostics, &trouble);
  if (trouble != NULL)
    g_propagate_error(error, trouble);
  else if (now != NULL && diagnostics->errors == 0)
    return g_steal_pointer(&now);
  else
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_INVALID, "%s isn't valid any more", source != NULL ? source : ".");
  return NULL;
}

/* A configuration may be of another source than the plan. */
static Desired *read_again(const Pipeline *pipeline, GError **error) {
  const RunOptions *options = pipeline->options;
  const char *source = pipeline->result->plan->source;
  if (options->read_again != NULL && (options->plan_in == NULL || g_strcmp0(options->identity, source) == 0))
    return options->read_again(options->read_again_data, error);
  return read_files(pipeline, options->plan_in != NULL ? source : options->source, error);
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

static const PlanHost *planned_host(const Plan *plan, const char *name) {
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *host = plan->hosts->pdata[i];
    if (g_str_equal(host->name, name))
      return host;
  }
  return NULL;
}

/* A host on which the machine might be, and where this run doesn't look. */
static char *other_hosts(const Plan *plan, const Desired *now) {
  for (guint i = 0; i < now->objects->len; i++) {
    const Object *object = now->objects->pdata[i];
    if (object->kind != KIND_HOST)
      continue;
    const char *name = object->metadata.name;
    const PlanHost *host = planned_host(plan, name);
    if (host == NULL)
      return g_strdup_printf("it declares the host %s, which the plan has not looked at", name);
    if (g_strcmp0(host->connection, ((const HostSpec *)object->spec)->uri) != 0)
      return g_strdup_printf("it declares the host %s at another address than the plan has", name);
  }
  return NULL;
}

static char *other_place(const PlanObject *machine, const Desired *now) {
  const char *kind = kinds[machine->kind].name;
  const Object *declared = desired_find(now, machine->kind, machine->name);
  if (declared == NULL)
    return g_strdup_printf("it doesn't declare %s %s any more", kind, machine->name);
  if (desired_find(now, KIND_HOST, machine->host) == NULL)
    return g_strdup_printf("it doesn't declare the host %s any more", machine->host);
  const VmSpec *then = machine->declared != NULL ? object_vm(machine->declared) : NULL;
  gboolean same = then != NULL && spec_equal(&PlacementSpec_table, &then->placement, &object_vm(declared)->placement);
  return same ? NULL : g_strdup_printf("it doesn't place %s %s as the plan was made", kind, machine->name);
}

static gboolean confirm_saved(Pipeline *pipeline, const GPtrArray *machines, const Desired *now) {
  g_autofree char *other = other_hosts(pipeline->result->plan, now);
  for (guint i = 0; other == NULL && i < machines->len; i++)
    other = other_place(machines->pdata[i], now);
  return other == NULL || pipeline_refuse(pipeline, g_strdup_printf("since the plan was made, the source has changed: %s: nothing is "
                                                                    "changed; make a new plan", other));
}

static gboolean confirm_read(Pipeline *pipeline, const GPtrArray *machines, const Desired *now) {
  const char *first = ((const PlanObject *)machines->pdata[0])->name;
  return desired_equal(now, pipeline->desired) ||
         pipeline_stop(pipeline, 3, g_error_new(EXECUTE_ERROR, EXECUTE_ERROR_STALE, "the source has changed since it was read, and may "
                                                "want %s elsewhere: nothing is changed; run again", first));
}

static gboolean wait(Pipeline *pipeline, const GPtrArray *machines, const GError *error) {
  static const char why[] = "isn't made before it is certain that the source doesn't want it elsewhere by now, where another "
                            "controller may have moved it; the source can't be read";
  const char *first = ((const PlanObject *)machines->pdata[0])->name;
  Plan *plan = pipeline->result->plan;
  if (pipeline->options->plan_in != NULL)
    return pipeline_refuse(pipeline, g_strdup_printf("%s is on no host, and %s: %s: nothing is changed; apply the plan where its "
                                                     "source can be read, with the --config that it was made with, if any", first, why,
                                                     error->message));
  for (guint i = 0; i < machines->len; i++)
    plan_reject(plan, machines->pdata[i], g_strdup_printf("it is on no host, and %s: %s", why, error->message));
  return TRUE;
}

gboolean pipeline_confirm(Pipeline *pipeline) {
  g_autoptr(GPtrArray) machines = made(pipeline->result->plan);
  g_autoptr(GError) error = NULL;
  if (machines->len == 0)
    return TRUE;
  g_autoptr(Desired) now = read_again(pipeline, &error);
  if (now == NULL)
    return wait(pipeline, machines, error);
  return pipeline->options->plan_in != NULL ? confirm_saved(pipeline, machines, now) : confirm_read(pipeline, machines, now);
}
