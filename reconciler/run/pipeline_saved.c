/* Plans that are kept in files between review and apply. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/plan/space.h"
#include "reconciler/run/pipeline_stages.h"

/* A saved plan names its hosts. */
gboolean pipeline_load_plan(Pipeline *pipeline) {
  const RunOptions *options = pipeline->options;
  g_autofree char *text = NULL;
  GError *error = NULL;
  if (!g_file_get_contents(options->plan_in, &text, NULL, &error) ||
      (pipeline->result->plan = plan_from_json(text, options->plan_in, &error)) == NULL)
    return pipeline_stop(pipeline, 1, error);
  if (pipeline->result->plan->hosts->len > 0) {
    g_clear_pointer(&pipeline->silence, silence_watch_free);
    g_clear_pointer(&pipeline->fleet, fleet_free);
    connection_watch();
    pipeline->fleet = fleet_new_planned(pipeline->result->plan, options->dry_run && !options->preflight);
  }
  return TRUE;
}

/* The room that there was may have gone since. */
static gboolean check_room(Pipeline *pipeline) {
  const FleetHost *host = pipeline_only_host(pipeline);
  if (host == NULL || (pipeline->options->allow & ALLOW_OVERCOMMIT))
    return TRUE;
  g_autofree char *pool = NULL;
  char *refused = space_check(host->actual, pipeline->result->plan, &pool);
  return refused == NULL || pipeline_refuse(pipeline, refused);
}

/* It is applied as it is or not at all. What is forbidden now is forbidden to it too. */
gboolean pipeline_check_plan(Pipeline *pipeline) {
  if (!pipeline_recall(pipeline, pipeline->result->plan->source))
    return FALSE;
  GError *error = NULL;
  char *stale = execute_stale(pipeline->result->plan, pipeline->fleet);
  if (stale == NULL)
    stale = pipeline_stale_epoch(pipeline);
  if (stale != NULL)
    return pipeline_refuse(pipeline, stale);
  if (!check_room(pipeline))
    return FALSE;
  for (guint i = 0; i < pipeline->fleet->hosts->len; i++) {
    const FleetHost *host = pipeline->fleet->hosts->pdata[i];
    if (host->actual != NULL && !pipeline_judge(pipeline, host, pipeline->result->plan, &error))
      return pipeline_stop(pipeline, 1, error);
  }
  return TRUE;
}

/* Into a pipe or a device that is there: a new file must not take its place. */
static gboolean write_into(const char *path, const char *text, GError **error) {
  FILE *file = fopen(path, "we");
  gboolean written = file != NULL && fwrite(text, strlen(text), 1, file) == 1;
  int code = errno;
  if (file != NULL && fclose(file) != 0 && written) {
    written = FALSE;
    code = errno;
  }
  if (!written)
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "%s: can't be written: %s", path, g_strerror(code));
  return written;
}

/* What follows isn't known yet, and so in no plan. */
static void note_what_is_left(Plan *plan) {
  for (guint i = 0; i < plan->objects->len; i++) {
    PlanObject *object = plan->objects->pdata[i];
    if (object->follows && object->change != CHANGE_ERROR)
      g_ptr_array_add(object->notes, g_strdup("applied from its file, this plan ends with what it shows: what follows in the same run else needs another plan"));
  }
}

gboolean pipeline_save_plan(Pipeline *pipeline) {
  const char *path = pipeline->options->plan_out;
  if (path == NULL)
    return TRUE;
  note_what_is_left(pipeline->result->plan);
  g_autofree char *text = plan_to_json(pipeline->result->plan);
  GError *error = NULL;
  gboolean special = g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_REGULAR);
  /* A plan names paths and labels: not for everybody. */
  gboolean saved = special ? write_into(path, text, &error)
                           : g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
  return saved || pipeline_stop(pipeline, 1, error);
}
