/* What the parts of the journal share: journal.c (file and lock), journal_runs.c,
 * journal_events.c, journal_digests.c. */
#pragma once
#include "state/database.h"

enum { JOURNAL_WITH_EVENTS = 2, /* the format that has events and causes */ JOURNAL_WITH_REWRITTEN = 3, JOURNAL_WITH_TARGETS = 4 };

struct Journal {
  char *dir;
  JournalMode mode;
  GMutex lock; /* guards the database */
  Database *database;
  gint64 version; /* of the file's format; an older one only where it isn't written */
  int lock_fd; /* JOURNAL_WRITE; else -1 */
};
