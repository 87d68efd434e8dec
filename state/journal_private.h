/* What the parts of the journal share: journal.c (file and lock), journal_runs.c,
 * journal_digests.c. */
#pragma once
#include "state/database.h"

struct Journal {
  char *dir;
  JournalMode mode;
  GMutex lock; /* guards the database */
  Database *database;
  int lock_fd; /* JOURNAL_WRITE; else -1 */
};
