/* The highest epoch, which a host that is given up may hide: beside the runs, which are dropped when they are old. */
#include "state/journal.h"
#include "state/journal_private.h"

gboolean journal_epoch(Journal *journal, gint64 *ret_epoch, GError **error) {
  gint64 epoch = 0;
  GError *trouble = NULL;
  g_mutex_lock(&journal->lock);
  g_autoptr(Rows) rows = journal->version >= JOURNAL_WITH_EPOCH ? database_query(journal->database, &trouble, "SELECT highest FROM epoch", "") : NULL;
  if (rows && rows_next(rows, &trouble))
    epoch = rows_int(rows, 0);
  g_clear_pointer(&rows, rows_free);
  g_mutex_unlock(&journal->lock);
  if (trouble) {
    g_propagate_prefixed_error(error, trouble, "cannot read in the journal which epoch machines were given: ");
    return FALSE;
  }
  *ret_epoch = epoch;
  return TRUE;
}

gboolean journal_note_epoch(Journal *journal, gint64 epoch, GError **error) {
  g_mutex_lock(&journal->lock);
  gboolean done = database_run(journal->database, error,
                               "INSERT INTO epoch (one, highest) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET highest = max(highest, excluded.highest)", "i", epoch);
  g_mutex_unlock(&journal->lock);
  if (!done)
    g_prefix_error(error, "cannot write the journal: ");
  return done;
}
