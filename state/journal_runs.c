/* Runs and actions. */
#include <unistd.h>

#include "state/journal_private.h"
#include "state/writer_lock.h"

enum { MOST_RUNS = 1000 };

/* Where they put machines is remembered without them. */
static gboolean drop_old_runs(Journal *journal, gint64 newest, GError **error) {
  gint64 last = newest - MOST_RUNS;
  return journal_places_keep(journal, last, error) && database_run(journal->database, error, "DELETE FROM run WHERE id <= ?", "i", last);
}

gboolean journal_run_begin(Journal *journal, const JournalBegin *begin, gint64 *ret_run, GError **error) {
  g_mutex_lock(&journal->lock);
  gboolean done = database_run(journal->database, error, "INSERT INTO run (started, pid, source, revision, uri, cause, rewritten) VALUES (?, ?, ?, ?, ?, ?, ?)",
                               "iissssi", g_get_real_time(), (gint64)getpid(), begin->source, begin->revision, begin->uri, begin->cause, (gint64)begin->rewritten);
  gint64 run = database_last_id(journal->database);
  done = done && drop_old_runs(journal, run, error);
  g_mutex_unlock(&journal->lock);
  if (done)
    *ret_run = run;
  else
    g_prefix_error(error, "cannot write the journal: ");
  return done;
}

/* An update of one row that must be there. */
static gboolean ended(Journal *journal, gboolean done, GError **error) {
  gboolean found = done && database_changes(journal->database) == 1;
  g_mutex_unlock(&journal->lock);
  if (done && !found)
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "it has no record of the beginning");
  if (!found)
    g_prefix_error(error, "cannot write the journal: ");
  return found;
}

gboolean journal_run_end(Journal *journal, gint64 run, int exit_status, const char *summary, GError **error) {
  g_mutex_lock(&journal->lock);
  return ended(journal,
               database_run(journal->database, error, "UPDATE run SET ended = ?, exit_status = ?, summary = ? WHERE id = ?",
                            "iisi", g_get_real_time(), (gint64)exit_status, summary, run),
               error);
}

gboolean journal_action_begin(Journal *journal, gint64 run, const JournalActionBegin *begin, GError **error) {
  g_mutex_lock(&journal->lock);
  gboolean done = database_run(
    journal->database, error, "INSERT INTO action (run, id, object, kind, description, target, uri, epoch, started) VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, -1), ?)",
    "issssssii", run, begin->action, begin->object, begin->kind, begin->description, begin->target, begin->uri, begin->epoch, g_get_real_time());
  g_mutex_unlock(&journal->lock);
  if (!done)
    g_prefix_error(error, "cannot write the journal: ");
  return done;
}

gboolean journal_action_end(Journal *journal, gint64 run, const char *action, const char *result, const char *message,
                            GError **error) {
  g_mutex_lock(&journal->lock);
  return ended(journal,
               database_run(journal->database, error,
                            "UPDATE action SET ended = ?, result = ?, message = ? WHERE run = ? AND id = ?", "issis",
                            g_get_real_time(), result, message, run, action),
               error);
}

guint journal_deletions_since(Journal *journal, const char *host, gint64 since) {
  g_autofree char *objects = g_strconcat(host ? host : "", host ? "/" : "", "vm/", NULL);
  g_mutex_lock(&journal->lock);
  g_autoptr(Rows) rows = database_query(
    journal->database, NULL,
    "SELECT count(*) FROM action WHERE kind = 'domain-undefine' AND result = 'done' AND ended >= ? AND substr(object, 1, length(?)) = ?", "iss",
    since, objects, objects);
  guint number = rows && rows_next(rows, NULL) ? (guint)rows_int(rows, 0) : JOURNAL_UNKNOWN;
  g_clear_pointer(&rows, rows_free);
  g_mutex_unlock(&journal->lock);
  return number;
}

void journal_gather(Journal *journal) {
  g_mutex_lock(&journal->lock);
  database_run(journal->database, NULL, "BEGIN", ""); /* without it each is written on its own */
  g_mutex_unlock(&journal->lock);
}

gboolean journal_keep(Journal *journal, GError **error) {
  g_mutex_lock(&journal->lock);
  gboolean kept = database_run(journal->database, error, "COMMIT", "");
  if (!kept)
    database_run(journal->database, NULL, "ROLLBACK", "");
  g_mutex_unlock(&journal->lock);
  if (!kept)
    g_prefix_error(error, "cannot write the journal: ");
  return kept;
}

static void run_free(gpointer data) {
  JournalRun *run = data;
  g_free(run->source);
  g_free(run->revision);
  g_free(run->uri);
  g_free(run->cause);
  g_free(run->summary);
  g_free(run);
}

static JournalRun *run_of(Rows *rows) {
  JournalRun *run = g_new0(JournalRun, 1);
  run->id = rows_int(rows, 0);
  run->started = rows_int(rows, 1);
  run->ended = rows_int(rows, 2);
  run->pid = rows_int(rows, 3);
  run->source = rows_text(rows, 4);
  run->revision = rows_text(rows, 5);
  run->uri = rows_text(rows, 6);
  run->exit_status = run->ended ? (int)rows_int(rows, 7) : -1;
  run->summary = rows_text(rows, 8);
  run->n_actions = (guint)rows_int(rows, 9);
  run->n_failed = (guint)rows_int(rows, 10);
  run->cause = rows_text(rows, 11);
  run->rewritten = rows_int(rows, 12) != 0;
  return run;
}

static GPtrArray *query_runs(Journal *journal, guint limit, GError **error) {
  g_autoptr(GPtrArray) runs = g_ptr_array_new_with_free_func(run_free);
#define RUNS(more)                                                                                                     \
  "SELECT id, started, ended, pid, source, revision, uri, exit_status, summary,"                                        \
  " (SELECT count(*) FROM action WHERE run = run.id),"                                                                  \
  " (SELECT count(*) FROM action WHERE run = run.id AND result = 'failed'), " more " FROM run ORDER BY id DESC LIMIT ?"
  g_autoptr(Rows) rows = database_query(
    journal->database, error,
    journal->version >= JOURNAL_WITH_REWRITTEN ? RUNS("cause, rewritten") : journal->version >= JOURNAL_WITH_EVENTS ? RUNS("cause, 0") : RUNS("NULL, 0"),
    "i", limit ? (gint64)limit : (gint64)-1);
  GError *trouble = NULL;
  while (rows && rows_next(rows, &trouble))
    g_ptr_array_add(runs, run_of(rows));
  if (trouble)
    g_propagate_error(error, trouble);
  return rows && !trouble ? g_steal_pointer(&runs) : NULL;
}

GPtrArray *journal_runs(Journal *journal, guint limit, GError **error) {
  /* Asked before the rows are read: a run that ends in between is then shown as ended. */
  gboolean held = writer_lock_is_held(journal->dir);
  g_mutex_lock(&journal->lock);
  GPtrArray *runs = query_runs(journal, limit, error);
  g_mutex_unlock(&journal->lock);
  if (runs && runs->len) {
    JournalRun *newest = runs->pdata[0];
    newest->running = held && !newest->ended;
  }
  return runs;
}

static void action_record_free(gpointer data) {
  JournalAction *action = data;
  g_free(action->id);
  g_free(action->object);
  g_free(action->kind);
  g_free(action->description);
  g_free(action->result);
  g_free(action->message);
  g_free(action);
}

static GPtrArray *query_actions(Journal *journal, gint64 run, GError **error) {
  g_autoptr(GPtrArray) actions = g_ptr_array_new_with_free_func(action_record_free);
  g_autoptr(Rows) rows = database_query(
    journal->database, error,
    "SELECT id, object, kind, description, started, ended, result, message FROM action WHERE run = ? ORDER BY rowid", "i", run);
  GError *trouble = NULL;
  while (rows && rows_next(rows, &trouble)) {
    JournalAction *action = g_new(JournalAction, 1);
    *action = (JournalAction){
      .id = rows_text(rows, 0), .object = rows_text(rows, 1), .kind = rows_text(rows, 2), .description = rows_text(rows, 3),
      .started = rows_int(rows, 4), .ended = rows_int(rows, 5), .result = rows_text(rows, 6), .message = rows_text(rows, 7)};
    g_ptr_array_add(actions, action);
  }
  if (trouble)
    g_propagate_error(error, trouble);
  return rows && !trouble ? g_steal_pointer(&actions) : NULL;
}

GPtrArray *journal_actions(Journal *journal, gint64 run, GError **error) {
  g_mutex_lock(&journal->lock);
  GPtrArray *actions = query_actions(journal, run, error);
  g_mutex_unlock(&journal->lock);
  return actions;
}
