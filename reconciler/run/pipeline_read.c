/* What shall be and what is. */
#include "reconciler/run/pipeline_stages.h"
#include "reconciler/source/source.h"
#include "state/observation.h"

const ObserveOptions pipeline_everything = {.domains = TRUE, .storage = TRUE, .networks = TRUE};

static gpointer read_source(gpointer data) {
  Pipeline *pipeline = data;
  GError *error = NULL;
  const RunOptions *options = pipeline->options;
  SourceRequest request = {options->source, options->state_dir, pipeline->journal, options->cancel};
  pipeline->read = source_read(&request, &pipeline->source, &pipeline->revision, pipeline->result->diagnostics, &error);
  pipeline->desired = pipeline->read;
  return error;
}

static gboolean stop_invalid(Pipeline *pipeline, char *message /* taken */) {
  gboolean going = pipeline_stop(pipeline, 1, g_error_new_literal(SOURCE_ERROR, SOURCE_ERROR_INVALID, message));
  g_free(message);
  return going;
}

static Observation *read_saved(Pipeline *pipeline, GError **error) {
  const char *path = pipeline->options->against;
  g_autofree char *text = NULL;
  Observation *saved = g_file_get_contents(path, &text, NULL, error) ? observation_load(text, path, error) : NULL;
  if (saved != NULL)
    pipeline->result->taken = g_strdup(saved->taken);
  return saved;
}

/* NULL: there is nothing to read; what is known is taken. */
static GThread *start_reading(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  if (options->desired != NULL) {
    pipeline->desired = options->desired;
    pipeline->revision = g_strdup(options->revision);
  }
  return options->plan_in == NULL && options->desired == NULL ? g_thread_new("source", read_source, pipeline) : NULL;
}

static char *wrong_options(const Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  if (options->uri != NULL)
    return g_strdup("this source declares its hosts: leave out --connect, and name one of them with --host where only that is meant");
  if (pipeline->saved != NULL && pipeline->saved->hosts == NULL)
    return g_strdup_printf("this source declares its hosts, and %s is of a single one: make it with 'reconcile observe --source'", options->against);
  return NULL;
}

/* The source declares the hosts: what was seen of another one in the meantime doesn't count. */
static gboolean look_at_fleet(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  char *wrong = wrong_options(pipeline);
  if (wrong != NULL)
    return stop_invalid(pipeline, wrong);
  g_clear_pointer(&pipeline->silence, silence_watch_free);
  g_clear_pointer(&pipeline->fleet, fleet_free);
  if (pipeline->saved == NULL)
    connection_watch();
  pipeline->fleet = fleet_new_declared(pipeline->desired, options->known, options->dry_run && !options->preflight);
  if (options->host != NULL && fleet_host(pipeline->fleet, options->host) == NULL)
    return stop_invalid(pipeline, g_strdup_printf("--host %s: the source declares no such host", options->host));
  if (pipeline->saved != NULL)
    fleet_take_observation(pipeline->fleet, pipeline->saved, options->against);
  else
    fleet_observe(pipeline->fleet, &pipeline_everything);
  return TRUE;
}

static gboolean check_only_host(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  if (options->host != NULL)
    return stop_invalid(pipeline, g_strdup_printf("--host %s: the source declares no hosts", options->host));
  if (pipeline->saved != NULL && pipeline->saved->hosts != NULL)
    return stop_invalid(pipeline, g_strdup_printf("%s is of several hosts, and the source declares none", options->against));
  FleetHost *host = pipeline_only_host(pipeline); /* none: a saved plan of a fleet */
  if (pipeline->saved != NULL)
    host->actual = g_steal_pointer(&pipeline->saved->actual);
  return host == NULL || host->error == NULL || pipeline_stop(pipeline, 1, g_error_copy(host->error));
}

static void look_at_host(Pipeline *pipeline) {
  if (pipeline->options->against != NULL)
    pipeline->saved = read_saved(pipeline, &pipeline_only_host(pipeline)->error);
  else
    fleet_observe(pipeline->fleet, &pipeline_everything);
}

/* Source and host are read side by side. What is wrong with the source is said first. */
gboolean pipeline_read(Pipeline *pipeline) {
  GThread *reader = start_reading(pipeline);
  if (pipeline->options->desired == NULL || !pipeline_is_fleet(pipeline))
    look_at_host(pipeline);
  GError *source_error = reader != NULL ? g_thread_join(reader) : NULL;
  if (source_error != NULL)
    return pipeline_stop(pipeline, 1, source_error);
  if (pipeline->result->diagnostics->errors > 0)
    return pipeline_stop(pipeline, 1, NULL);
  if (pipeline->options->against != NULL && pipeline->saved == NULL)
    return pipeline_stop(pipeline, 1, g_error_copy(pipeline_only_host(pipeline)->error));
  return pipeline_is_fleet(pipeline) ? look_at_fleet(pipeline) : check_only_host(pipeline);
}
