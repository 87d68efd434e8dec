/* Where machines of the source are, says our history: what a look shows is noted while it can be seen, since a host may be gone from
 * the file, or silent, one day. */
#include "reconciler/plan/whereabouts.h"
#include "reconciler/run/pipeline_stages.h"

gboolean pipeline_recall(Pipeline *pipeline, const char *source) {
  Fleet *fleet = pipeline->fleet;
  GError *error = NULL;
  fleet->source = source;
  fleet->formerly = pipeline->options->formerly;
  if (fleet->put == NULL && pipeline->journal != NULL)
    fleet->put = journal_whereabouts(pipeline->journal, source, fleet->formerly, &error);
  return (error == NULL && pipeline_know_epochs(pipeline, &error)) || pipeline_stop(pipeline, 1, error);
}

static void add_names(GHashTable *names, GHashTable *of) {
  GHashTableIter iter;
  const char *name;
  g_hash_table_iter_init(&iter, of);
  while (g_hash_table_iter_next(&iter, (gpointer *)&name, NULL))
    g_hash_table_add(names, g_strdup(name));
}

/* A set: those that our history knows, and that are seen. */
static GHashTable *machines(const Fleet *fleet) {
  GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  add_names(names, fleet->put);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual != NULL)
      add_names(names, host->actual->domains);
  }
  return names;
}

static gboolean note_place(Pipeline *pipeline, const char *machine, GError **error) {
  Fleet *fleet = pipeline->fleet;
  JournalPlace now;
  if (!fleet_place_is_over(fleet, machine, g_hash_table_lookup(fleet->put, machine), &now))
    return TRUE;
  if (!pipeline->options->dry_run && !journal_note_place(pipeline->journal, machine, &now, error))
    return FALSE;
  if (now.host != NULL)
    g_hash_table_replace(fleet->put, g_strdup(machine), journal_place_new(&now));
  else
    g_hash_table_remove(fleet->put, machine);
  return TRUE;
}

/* All at once: at the first look they may be many. */
gboolean pipeline_note_places(Pipeline *pipeline) {
  if (pipeline->fleet->put == NULL)
    return TRUE;
  gboolean writes = !pipeline->options->dry_run, noted = TRUE;
  GError *error = NULL;
  g_autoptr(GHashTable) names = machines(pipeline->fleet);
  GHashTableIter iter;
  const char *machine;
  if (writes)
    journal_gather(pipeline->journal);
  g_hash_table_iter_init(&iter, names);
  while (noted && g_hash_table_iter_next(&iter, (gpointer *)&machine, NULL))
    noted = note_place(pipeline, machine, &error);
  if (writes && !journal_keep(pipeline->journal, noted ? &error : NULL))
    noted = FALSE;
  return noted || pipeline_stop(pipeline, 1, error);
}
