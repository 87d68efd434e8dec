/* What shall be and what is. */
#include "reconciler/run/pipeline_stages.h"
#include "reconciler/source/source.h"
#include "state/observation.h"

const ObserveOptions pipeline_everything = {.domains = TRUE, .storage = TRUE, .networks = TRUE};

static gboolean read_source(Pipeline *pipeline) {
  GError *error = NULL;
  const RunOptions *options = pipeline->options;
  SourceRequest request = {options->source, options->state_dir, pipeline->journal, options->cancel};
  pipeline->read = source_read(&request, &pipeline->source, &pipeline->revision, pipeline->result->diagnostics, &error);
  pipeline->desired = pipeline->read;
  if (error != NULL)
    return pipeline_stop(pipeline, 1, error);
  return pipeline->result->diagnostics->errors == 0 || pipeline_stop(pipeline, 1, NULL);
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

/* The look at the only host, beside the reading of the source. Nobody waits for it where that turns out to declare others:
 * the thread may outlive the run. */
typedef struct {
  gint refs;
  Fleet *fleet;
} Look;

static void look_unref(Look *look) {
  if (!g_atomic_int_dec_and_test(&look->refs))
    return;
  fleet_free(look->fleet);
  g_free(look);
}

static gpointer look_in_thread(gpointer data) {
  Look *look = data;
  fleet_observe(look->fleet, &pipeline_everything);
  look_unref(look);
  return NULL;
}

static gboolean read_side_by_side(Pipeline *pipeline) {
  Look *look = g_new0(Look, 1);
  *look = (Look){.refs = 2, .fleet = g_steal_pointer(&pipeline->fleet)};
  GThread *thread = g_thread_new("look", look_in_thread, look);
  gboolean going = read_source(pipeline);
  if (going && !pipeline_is_fleet(pipeline)) {
    g_thread_join(thread);
    pipeline->fleet = g_steal_pointer(&look->fleet);
  } else {
    g_thread_unref(thread);
  }
  look_unref(look);
  return going;
}

static gboolean read_both(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  if (options->plan_in == NULL && options->desired == NULL && options->against == NULL)
    return read_side_by_side(pipeline);
  if (options->desired != NULL) { /* what is known is taken */
    pipeline->desired = options->desired;
    pipeline->revision = g_strdup(options->revision);
  } else if (options->plan_in == NULL && !read_source(pipeline)) {
    return FALSE;
  }
  if (options->desired == NULL || !pipeline_is_fleet(pipeline))
    look_at_host(pipeline);
  return TRUE;
}

/* What is wrong with the source is said first. */
gboolean pipeline_read(Pipeline *pipeline) {
  if (!read_both(pipeline))
    return FALSE;
  if (pipeline->options->against != NULL && pipeline->saved == NULL)
    return pipeline_stop(pipeline, 1, g_error_copy(pipeline_only_host(pipeline)->error));
  return pipeline_is_fleet(pipeline) ? look_at_fleet(pipeline) : check_only_host(pipeline);
}
