/* The journal's file: damaged, removed while it is in use, or of another version. */
#include "tests/unit/journals.h"
#include "state/database.h"

#include <fcntl.h>
#include <unistd.h>

static void damage(const char *dir, gsize at) {
  g_autofree char *path = g_build_filename(dir, "journal.db", NULL);
  int fd = open(path, O_WRONLY);
  static char rubbish[4096];
  memset(rubbish, 0xa5, sizeof rubbish);
  assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, (off_t)at), sizeof rubbish);
  close(fd);
}

static void check_recovers(const char *dir) {
  g_autoptr(GError) error = NULL;
  g_autofree char *warning = NULL;
  g_autoptr(Journal) journal = journal_open(dir, JOURNAL_WRITE, &warning, &error);
  assert_null(error);
  assert_non_null(warning);
  assert_non_null(strstr(warning, "journal.db.corrupt-2"));
  begin(journal);
  g_autoptr(GPtrArray) runs = journal_runs(journal, 0, NULL);
  assert_int_equal(runs->len, 1);
}

static void a_corrupt_file_is_moved_aside(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  begin(journal);
  g_clear_pointer(&journal, journal_close);
  damage(*state, 0);
  assert_null(journal_open(*state, JOURNAL_DIGESTS, NULL, NULL));
  check_recovers(*state);
}

static void a_damaged_page_is_found(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  begin(journal);
  g_clear_pointer(&journal, journal_close);
  damage(*state, 4096);
  g_autofree char *warning = NULL;
  journal = journal_open(*state, JOURNAL_WRITE, &warning, NULL);
  assert_non_null(journal);
  assert_non_null(warning);
}

static void remove_file(const char *dir, const char *name) {
  g_autofree char *path = g_build_filename(dir, name, NULL);
  g_unlink(path);
}

static void renew(Journal *journal) {
  g_autofree char *warning = NULL;
  assert_true(journal_renew(journal, &warning, NULL));
  assert_non_null(warning);
  g_clear_pointer(&warning, g_free);
  assert_true(journal_renew(journal, &warning, NULL));
  assert_null(warning);
}

static void assert_runs(const char *dir, guint number) {
  g_autoptr(Journal) reader = open_journal(dir, JOURNAL_READ);
  g_autoptr(GPtrArray) runs = journal_runs(reader, 0, NULL);
  assert_int_equal(runs->len, number);
}

static void what_is_removed_while_in_use_is_begun_anew(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  begin(journal);
  remove_file(*state, "journal.db");
  renew(journal);
  begin(journal);
  assert_runs(*state, 1);
  static const char *const files[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
  for (guint i = 0; i < G_N_ELEMENTS(files); i++)
    remove_file(*state, files[i]);
  renew(journal);
  begin(journal);
  assert_runs(*state, 1);
  assert_null(journal_open(*state, JOURNAL_WRITE, NULL, NULL));
}

static void another_that_took_the_place_is_left_alone(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  begin(journal);
  static const char *const files[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
  for (guint i = 0; i < G_N_ELEMENTS(files); i++)
    remove_file(*state, files[i]);
  g_autoptr(Journal) other = open_journal(*state, JOURNAL_WRITE);
  begin(other);
  g_autoptr(GError) error = NULL;
  g_autofree char *warning = NULL;
  assert_false(journal_renew(journal, &warning, &error));
  assert_true(g_error_matches(error, JOURNAL_ERROR, JOURNAL_ERROR_LOCKED));
  gint64 run;
  assert_false(journal_run_begin(journal, &(JournalBegin){"s", NULL, "u", NULL}, &run, NULL));
  g_autoptr(GPtrArray) runs = journal_runs(journal, 0, NULL);
  assert_null(runs);
  begin(other);
  assert_runs(*state, 2);
  g_clear_pointer(&other, journal_close);
  renew(journal);
  assert_runs(*state, 2);
}

static Journal *open_damaged(const char *dir) {
  g_clear_pointer(&(Journal *){open_journal(dir, JOURNAL_WRITE)}, journal_close);
  Journal *journal = open_journal(dir, JOURNAL_WRITE);
  g_autoptr(Journal) other = open_journal(dir, JOURNAL_DIGESTS);
  journal_digest_keep(other, "/srv/a", &(FileIdentity){1, 2, 3, 4}, "00"); /* what is cached isn't valid any more */
  g_clear_pointer(&other, journal_close);
  for (gsize page = 1; page < 6; page++)
    damage(dir, page * 4096);
  return journal;
}

static void damage_while_in_use_is_found(void **state) {
  g_autoptr(Journal) journal = open_damaged(*state);
  gint64 run;
  assert_false(journal_run_begin(journal, &(JournalBegin){"s", NULL, "u", NULL}, &run, NULL));
  renew(journal);
  begin(journal);
  assert_runs(*state, 1);
}

static void damage_is_found_by_reading(void **state) {
  g_autoptr(Journal) journal = open_damaged(*state);
  assert_null(journal_runs(journal, 0, NULL));
  renew(journal);
  assert_runs(*state, 0);
}

/* A table is missing: a dry run opens the file without looking. */
static void a_statement_that_cannot_be_prepared_is_an_error(void **state) {
  g_clear_pointer(&(Journal *){open_journal(*state, JOURNAL_WRITE)}, journal_close);
  g_autofree char *path = g_build_filename(*state, "journal.db", NULL);
  g_autoptr(GError) error = NULL;
  Database *database = database_open(path, TRUE, FALSE, &error);
  assert_non_null(database);
  assert_false(database_run(database, &error, "DELETE FROM nothing WHERE id = ?", "i", G_GINT64_CONSTANT(1)));
  assert_non_null(error);
  database_close(database);
}

/* By the sqlite3 of the time: the file as version 1 wrote it. */
static void write_old_file(const char *dir, const char *more) {
  g_autofree char *path = g_build_filename(dir, "journal.db", NULL);
  g_autoptr(Database) database = database_open(path, TRUE, TRUE, NULL);
  assert_non_null(database);
  assert_true(database_script(database,
    "CREATE TABLE run (id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, ended INTEGER, pid INTEGER NOT NULL,"
    " source TEXT NOT NULL, revision TEXT, uri TEXT, exit_status INTEGER, summary TEXT) STRICT;"
    "CREATE TABLE action (run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, id TEXT NOT NULL, object TEXT NOT NULL,"
    " kind TEXT NOT NULL, description TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, result TEXT, message TEXT,"
    " PRIMARY KEY (run, id)) STRICT;"
    "CREATE TABLE digest (path TEXT PRIMARY KEY, device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO run VALUES (7, 1000000, 2000000, 42, '/srv/vms', 'abc', 'qemu:///system', 0, '1 actions');"
    "INSERT INTO action VALUES (7, 'a1', 'vm/web', 'domain-start', 'start', 1000000, 2000000, 'done', NULL);", NULL));
  assert_true(database_script(database, more, NULL));
}

static void check_old_run(Journal *journal, guint runs_now) {
  g_autoptr(GPtrArray) runs = journal_runs(journal, 0, NULL);
  assert_non_null(runs);
  assert_int_equal(runs->len, runs_now);
  const JournalRun *old = runs->pdata[runs->len - 1];
  assert_int_equal(old->id, 7);
  assert_string_equal(old->revision, "abc");
  assert_int_equal(old->n_actions, 1);
  assert_null(old->cause);
}

static void an_older_file_keeps_its_history(void **state) {
  write_old_file(*state, "PRAGMA user_version = 1;");
  for (JournalMode mode = JOURNAL_READ; mode <= JOURNAL_DIGESTS; mode++) { /* who doesn't write reads it as it is */
    g_autoptr(Journal) reader = open_journal(*state, mode);
    check_old_run(reader, 1);
    g_autoptr(GPtrArray) none = journal_events(reader, NULL, 0, NULL);
    assert_int_equal(none->len, 0);
    gint64 epoch = -1;
    assert_true(journal_epoch(reader, &epoch, NULL));
    assert_int_equal(epoch, 0);
  }
  g_autoptr(Journal) before = open_journal(*state, JOURNAL_READ); /* goes on over the change */
  g_autofree char *warning = NULL;
  g_autoptr(Journal) journal = journal_open(*state, JOURNAL_WRITE, &warning, NULL);
  assert_null(warning);
  assert_true(begin(journal) == 8);
  check_old_run(journal, 2);
  assert_true(journal_note_epoch(journal, 5, NULL));
  check_old_run(before, 2);
  g_autoptr(GPtrArray) actions = journal_actions(journal, 7, NULL);
  assert_int_equal(actions->len, 1);
  g_clear_pointer(&journal, journal_close);
  journal = open_journal(*state, JOURNAL_WRITE);
  check_old_run(journal, 2);
}

/* As the version before the table of places left it. */
static void an_older_file_keeps_where_machines_were_put(void **state) {
  write_old_file(*state,
    "ALTER TABLE run ADD COLUMN cause TEXT;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, uri TEXT, object TEXT, kind TEXT NOT NULL, detail TEXT) STRICT;"
    "CREATE INDEX event_of_object ON event (object, id);"
    "ALTER TABLE run ADD COLUMN rewritten INTEGER NOT NULL DEFAULT 0; ALTER TABLE action ADD COLUMN target TEXT;"
    "INSERT INTO action VALUES (7, 'a2', 'kvm-1/vm/web', 'domain-define', 'define', 1000000, 2000000, 'done', NULL, NULL);"
    "INSERT INTO action VALUES (7, 'a3', 'kvm-1/vm/db', 'domain-migrate', 'move', 1000000, 2000000, 'done', NULL, 'kvm-2');"
    "PRAGMA user_version = 4;");
  static const JournalMode modes[] = {JOURNAL_READ, JOURNAL_DIGESTS, JOURNAL_WRITE, JOURNAL_WRITE};
  for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
    g_autoptr(Journal) journal = open_journal(*state, modes[i]);
    g_autoptr(GHashTable) places = journal_whereabouts(journal, "/srv/vms", NULL, NULL);
    const JournalPlace *web = g_hash_table_lookup(places, "web"), *db = g_hash_table_lookup(places, "db");
    assert_non_null(web);
    assert_non_null(db);
    assert_string_equal(web->host, "kvm-1");
    assert_string_equal(db->host, "kvm-2");
    assert_string_equal(db->source, "/srv/vms");
    assert_null(db->uri);
    for (guint run = 0; i == 2 && run < 1001; run++)
      begin(journal);
  }
}

/* As the version before epochs of places left it: which copy that was it doesn't say. */
static void an_older_file_has_places_without_epochs(void **state) {
  write_old_file(*state,
    "ALTER TABLE run ADD COLUMN cause TEXT;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, uri TEXT, object TEXT, kind TEXT NOT NULL, detail TEXT) STRICT;"
    "CREATE INDEX event_of_object ON event (object, id);"
    "ALTER TABLE run ADD COLUMN rewritten INTEGER NOT NULL DEFAULT 0; ALTER TABLE action ADD COLUMN target TEXT; ALTER TABLE action ADD COLUMN uri TEXT;"
    "CREATE TABLE place (machine TEXT PRIMARY KEY, host TEXT NOT NULL, uri TEXT, source TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE epoch (one INTEGER PRIMARY KEY CHECK (one = 1), highest INTEGER NOT NULL) STRICT;"
    "ALTER TABLE place ADD COLUMN run INTEGER NOT NULL DEFAULT 0;"
    "INSERT INTO place VALUES ('web', 'kvm-1', 'test://1', '/srv/vms', 7);"
    "INSERT INTO run VALUES (8, 1000000, 2000000, 42, '/srv/vms', 'abc', 'qemu:///system', 0, '1 actions', NULL, 0);"
    "INSERT INTO action VALUES (8, 'a1', 'kvm-1/vm/db', 'domain-migrate', 'move', 1000000, 2000000, 'done', NULL, 'kvm-2', 'test://2');"
    "INSERT INTO action VALUES (8, 'a2', 'kvm-1/vm/lost', 'domain-migrate', 'move', 1000000, 2000000, 'failed', NULL, 'kvm-2', 'test://2');"
    "PRAGMA user_version = 7;");
  static const JournalMode modes[] = {JOURNAL_READ, JOURNAL_DIGESTS, JOURNAL_WRITE, JOURNAL_WRITE};
  for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
    g_autoptr(Journal) journal = open_journal(*state, modes[i]);
    g_autoptr(GHashTable) places = journal_whereabouts(journal, "/srv/vms", NULL, NULL);
    const JournalPlace *web = g_hash_table_lookup(places, "web"), *db = g_hash_table_lookup(places, "db");
    assert_int_equal(g_hash_table_size(places), 2);
    assert_string_equal(web->host, "kvm-1");
    assert_int_equal(web->epoch, JOURNAL_NO_EPOCH);
    assert_string_equal(db->host, "kvm-2");
    assert_int_equal(db->epoch, JOURNAL_NO_EPOCH);
    for (guint run = 0; i == 2 && run < 1001; run++)
      begin(journal);
  }
}

/* As the version before left it. */
static void an_older_file_saw_nothing_run(void **state) {
  g_autofree char *path = g_build_filename(*state, "journal.db", NULL);
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  assert_true(journal_note_place(journal, "web", &(JournalPlace){.host = (char *)"kvm-1", .epoch = 3, .source = (char *)"/srv/vms"}, NULL));
  g_clear_pointer(&journal, journal_close);
  g_autoptr(Database) database = database_open(path, TRUE, TRUE, NULL);
  assert_true(database_script(database, "ALTER TABLE place DROP COLUMN ran; PRAGMA user_version = 8;", NULL));
  g_clear_pointer(&database, database_close);
  static const JournalMode modes[] = {JOURNAL_READ, JOURNAL_WRITE};
  for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
    journal = open_journal(*state, modes[i]);
    g_autoptr(GHashTable) places = journal_whereabouts(journal, "/srv/vms", NULL, NULL);
    const JournalPlace *web = g_hash_table_lookup(places, "web");
    assert_non_null(web);
    assert_int_equal(web->epoch, 3);
    assert_false(web->ran);
    g_clear_pointer(&journal, journal_close);
  }
}

static void a_file_without_its_tables_is_moved_aside(void **state) {
  write_old_file(*state, "PRAGMA user_version = 1; DROP TABLE action;");
  check_recovers(*state);
}

static void a_file_without_a_version_is_moved_aside(void **state) {
  write_old_file(*state, "PRAGMA user_version = -3;");
  check_recovers(*state);
}

static void a_newer_file_is_left_alone(void **state) {
  write_old_file(*state, "PRAGMA user_version = 99;");
  for (JournalMode mode = JOURNAL_READ; mode <= JOURNAL_WRITE; mode++) {
    g_autoptr(GError) error = NULL;
    assert_null(journal_open(*state, mode, NULL, &error));
    assert_true(g_error_matches(error, JOURNAL_ERROR, JOURNAL_ERROR_NEWER));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    EACH(damage_is_found_by_reading),
    EACH(a_statement_that_cannot_be_prepared_is_an_error),
    EACH(a_corrupt_file_is_moved_aside),
    EACH(a_damaged_page_is_found),
    EACH(what_is_removed_while_in_use_is_begun_anew),
    EACH(another_that_took_the_place_is_left_alone),
    EACH(damage_while_in_use_is_found),
    EACH(an_older_file_keeps_its_history),
    EACH(an_older_file_keeps_where_machines_were_put),
    EACH(an_older_file_has_places_without_epochs),
    EACH(an_older_file_saw_nothing_run),
    EACH(a_file_without_its_tables_is_moved_aside),
    EACH(a_file_without_a_version_is_moved_aside),
    EACH(a_newer_file_is_left_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
