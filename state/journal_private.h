/* What the parts of the journal share: journal.c (file and lock), journal_runs.c,
 * journal_places.c, journal_events.c, journal_digests.c, journal_epoch.c. */
#pragma once
#include "state/database.h"

enum { JOURNAL_WITH_EVENTS = 2, /* the format that has events and causes */ JOURNAL_WITH_REWRITTEN = 3, JOURNAL_WITH_TARGETS = 4, JOURNAL_WITH_PLACES = 5, JOURNAL_WITH_EPOCH = 6, JOURNAL_WITH_SEEN = 7, JOURNAL_WITH_PLACES_EPOCHS = 8, JOURNAL_WITH_RAN = 9, JOURNAL_WITH_SENT = 10 };

struct Journal {
  char *dir;
  JournalMode mode;
  GMutex lock; /* guards the database */
  Database *database;
  gint64 version; /* of the file's format; an older one only where it isn't written */
  int lock_fd; /* JOURNAL_WRITE; else -1 */
};

/* Before runs up to this one are dropped: keeps where they put machines. For who has the lock; may be done again. */
gboolean journal_places_keep(Journal *journal, gint64 last, GError **error);
