/* What the tests of the journal share: each has a directory of its own. */
#pragma once
#include "tests/unit/check.h"
#include "state/journal.h"

#include <glib/gstdio.h>

static inline int setup(void **state) {
  *state = g_dir_make_tmp("journal-XXXXXX", NULL);
  return *state ? 0 : -1;
}

static inline int teardown(void **state) {
  g_autoptr(GDir) dir = g_dir_open(*state, 0, NULL);
  for (const char *name; dir && (name = g_dir_read_name(dir));) {
    g_autofree char *path = g_build_filename(*state, name, NULL);
    g_unlink(path);
  }
  g_rmdir(*state);
  g_free(*state);
  return 0;
}

static inline Journal *open_journal(const char *dir, JournalMode mode) {
  g_autoptr(GError) error = NULL;
  Journal *journal = journal_open(dir, mode, NULL, &error);
  assert_null(error);
  assert_non_null(journal);
  return journal;
}

static inline gint64 begin(Journal *journal) {
  gint64 run = 0;
  assert_true(journal_run_begin(journal, &(JournalBegin){"/srv/vms", NULL, "qemu:///system", "a test"}, &run, NULL));
  return run;
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
