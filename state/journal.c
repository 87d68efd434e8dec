/* The journal's file: made, checked, moved aside when it is beyond use. */
#include "state/journal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "state/journal_private.h"
#include "state/writer_lock.h"

/* What brings a file from one format to the next, in order: a new file takes all of them. Never changed
 * once released; an older file keeps what it has. */
static const char *const steps[] = {
  "CREATE TABLE run (id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, ended INTEGER, pid INTEGER NOT NULL,"
  " source TEXT NOT NULL, revision TEXT, uri TEXT, exit_status INTEGER, summary TEXT) STRICT;"
  "CREATE TABLE action (run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, id TEXT NOT NULL, object TEXT NOT NULL,"
  " kind TEXT NOT NULL, description TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, result TEXT, message TEXT,"
  " PRIMARY KEY (run, id)) STRICT;"
  "CREATE TABLE digest (path TEXT PRIMARY KEY, device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL,"
  " mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID;",
  "ALTER TABLE run ADD COLUMN cause TEXT;"
  "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, uri TEXT, object TEXT, kind TEXT NOT NULL,"
  " detail TEXT) STRICT;"
  "CREATE INDEX event_of_object ON event (object, id);",
  "ALTER TABLE run ADD COLUMN rewritten INTEGER NOT NULL DEFAULT 0;",
  "ALTER TABLE action ADD COLUMN target TEXT;",
  "ALTER TABLE action ADD COLUMN uri TEXT;"
  "CREATE TABLE place (machine TEXT PRIMARY KEY, host TEXT NOT NULL, uri TEXT, source TEXT NOT NULL) STRICT, WITHOUT ROWID;",
  "CREATE TABLE epoch (one INTEGER PRIMARY KEY CHECK (one = 1), highest INTEGER NOT NULL) STRICT;",
  "ALTER TABLE place ADD COLUMN run INTEGER NOT NULL DEFAULT 0;",
  "ALTER TABLE action ADD COLUMN epoch INTEGER; ALTER TABLE place ADD COLUMN epoch INTEGER;",
  "ALTER TABLE place ADD COLUMN ran INTEGER NOT NULL DEFAULT 0;",
  "CREATE TABLE put (machine TEXT NOT NULL, source TEXT NOT NULL, host TEXT NOT NULL, uri TEXT, run INTEGER NOT NULL, epoch INTEGER,"
  " ran INTEGER NOT NULL, sent INTEGER NOT NULL, PRIMARY KEY (machine, source)) STRICT, WITHOUT ROWID;"
  "INSERT INTO put SELECT machine, source, host, uri, run, epoch, ran, 0 FROM place; DROP TABLE place; ALTER TABLE put RENAME TO place;",
};
enum { SCHEMA_VERSION = G_N_ELEMENTS(steps) };
G_STATIC_ASSERT((int)SCHEMA_VERSION >= (int)JOURNAL_WITH_SENT);

G_DEFINE_QUARK(reconcile-journal-error, journal_error)

char *journal_default_dir(void) {
  const char *asked = g_getenv("XDG_STATE_HOME");
  if (geteuid() == 0 && !(asked && g_path_is_absolute(asked)))
    return g_strdup("/var/lib/reconcile");
  return g_build_filename(g_get_user_state_dir(), "reconcile", NULL);
}

static gboolean version_of(Database *database, gint64 *ret_version, GError **error) {
  g_autoptr(Rows) rows = database_query(database, error, "PRAGMA user_version", "");
  GError *trouble = NULL;
  if (!rows || !rows_next(rows, &trouble)) {
    if (trouble)
      g_propagate_error(error, trouble);
    return FALSE;
  }
  *ret_version = rows_int(rows, 0);
  return TRUE;
}

static gboolean is_sound(Database *database, GError **error) {
  g_autoptr(Rows) rows = database_query(database, error, "PRAGMA quick_check(1)", "");
  if (!rows || !rows_next(rows, error))
    return FALSE;
  g_autofree char *verdict = rows_text(rows, 0);
  if (g_strcmp0(verdict, "ok") == 0)
    return TRUE;
  g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT, "%s", verdict);
  return FALSE;
}

/* A file that has something, and no version of ours, was made by somebody else or lost its head. */
static gboolean is_ours(Database *database, gint64 version, GError **error) {
  if (version > 0)
    return TRUE;
  g_autoptr(Rows) rows = database_query(database, error, "SELECT count(*) FROM sqlite_schema", "");
  if (!rows || !rows_next(rows, error))
    return FALSE;
  if (version == 0 && rows_int(rows, 0) == 0)
    return TRUE;
  g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT, "it has no version of a journal");
  return FALSE;
}

#define FIRST_TABLES "SELECT id FROM run LIMIT 0; SELECT result FROM action LIMIT 0; SELECT sha256 FROM digest LIMIT 0;"
#define ALL_TABLES \
  FIRST_TABLES "SELECT cause, rewritten FROM run LIMIT 0; SELECT target, uri, epoch FROM action LIMIT 0;" \
  "SELECT uri, run, epoch, ran, sent FROM place LIMIT 0; SELECT highest FROM epoch LIMIT 0; SELECT detail FROM event LIMIT 0;"

/* What is changed or written later must be there: it would fail each run. */
static gboolean has_tables(Database *database, const char *tables, GError **error) {
  g_autoptr(GError) lacks = NULL;
  if (database_script(database, tables, &lacks))
    return TRUE;
  g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT, "%s", lacks->message);
  return FALSE;
}

static gboolean take_steps(Database *database, gint64 version, GError **error) {
  for (; version < SCHEMA_VERSION; version++)
    if (!database_script(database, steps[version], error))
      return FALSE;
  g_autofree char *now = g_strdup_printf("PRAGMA user_version = %d; COMMIT;", SCHEMA_VERSION);
  return database_script(database, now, error);
}

/* All of it or nothing; whoever waited for another process looks again at what that has left. */
static gboolean upgrade(Database *database, gint64 *version, GError **error) {
  if (!database_script(database, "BEGIN IMMEDIATE", error))
    return FALSE;
  if (version_of(database, version, error) && is_ours(database, *version, error) &&
      (*version == 0 || has_tables(database, FIRST_TABLES, error)) && take_steps(database, *version, error)) {
    *version = SCHEMA_VERSION;
    return TRUE;
  }
  database_script(database, "ROLLBACK", NULL);
  return FALSE;
}

/* A file of an older version is changed by the one writer only: others read it as it is. */
static gboolean prepare_schema(Database *database, JournalMode mode, gint64 *ret_version, GError **error) {
  gint64 version;
  if (!version_of(database, &version, error))
    return FALSE;
  gboolean lacks = mode == JOURNAL_WRITE ? version < SCHEMA_VERSION : mode == JOURNAL_DIGESTS && version <= 0;
  if (lacks && !upgrade(database, &version, error))
    return FALSE;
  if (version > SCHEMA_VERSION) {
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_NEWER,
                "it was written by a newer version of reconcile (format %" G_GINT64_FORMAT "); use that, or another --state-dir",
                version);
    return FALSE;
  }
  *ret_version = version;
  return mode != JOURNAL_WRITE || has_tables(database, ALL_TABLES, error);
}

/* Checked before it is changed. */
static Database *open_sound(Journal *journal, const char *path, GError **error) {
  gboolean writes = journal->mode != JOURNAL_READ;
  g_autoptr(Database) database = database_open(path, writes, writes, error);
  if (!database || (journal->mode == JOURNAL_WRITE && !is_sound(database, error)) ||
      !prepare_schema(database, journal->mode, &journal->version, error))
    return NULL;
  return g_steal_pointer(&database);
}

/* The file with what SQLite keeps beside it, so that it can still be looked into. */
static char *move_aside(const char *path, GError **error) {
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format(now, "%Y%m%dT%H%M%S");
  g_autofree char *aside = g_strdup_printf("%s.corrupt-%s.%06d", path, time, g_date_time_get_microsecond(now));
  static const char *const parts[] = {"-wal", "-shm", ""};
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autofree char *from = g_strconcat(path, parts[i], NULL), *to = g_strconcat(aside, parts[i], NULL);
    if (rename(from, to) < 0 && errno != ENOENT) {
      g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "cannot move it aside: %s", g_strerror(errno));
      return NULL;
    }
  }
  return g_steal_pointer(&aside);
}

static gboolean open_database(Journal *journal, char **ret_warning, GError **error) {
  g_autofree char *path = g_build_filename(journal->dir, "journal.db", NULL);
  g_autoptr(GError) trouble = NULL;
  journal->database = open_sound(journal, path, &trouble);
  if (!journal->database && journal->mode == JOURNAL_WRITE && g_error_matches(trouble, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT)) {
    g_autofree char *aside = move_aside(path, error);
    if (!aside)
      return FALSE;
    if (ret_warning)
      *ret_warning = g_strdup_printf("the journal %s is corrupt (%s); it was moved to %s and begun anew", path,
                                     trouble->message, aside);
    g_clear_error(&trouble);
    journal->database = open_sound(journal, path, &trouble);
  }
  if (!journal->database)
    g_propagate_prefixed_error(error, g_steal_pointer(&trouble), "journal %s: ", path);
  return journal->database != NULL;
}

static gboolean prepare_dir(const char *dir, JournalMode mode, GError **error) {
  if (mode == JOURNAL_READ) {
    g_autofree char *path = g_build_filename(dir, "journal.db", NULL);
    if (g_file_test(path, G_FILE_TEST_EXISTS) || access(path, F_OK) == 0 || errno != ENOENT)
      return TRUE;
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_ABSENT, "there is no journal in %s yet", dir);
    return FALSE;
  }
  if (g_mkdir_with_parents(dir, 0700) == 0)
    return TRUE;
  g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "cannot make the state directory %s: %s", dir, g_strerror(errno));
  return FALSE;
}

const char *journal_dir(const Journal *journal) { return journal->dir; }

Journal *journal_open(const char *dir, JournalMode mode, char **ret_warning, GError **error) {
  if (!prepare_dir(dir, mode, error))
    return NULL;
  int lock_fd = -1;
  if (mode == JOURNAL_WRITE && (lock_fd = writer_lock_take(dir, error)) < 0)
    return NULL;
  g_autoptr(Journal) journal = g_new0(Journal, 1);
  journal->dir = g_strdup(dir);
  journal->mode = mode;
  journal->lock_fd = lock_fd;
  g_mutex_init(&journal->lock);
  return open_database(journal, ret_warning, error) ? g_steal_pointer(&journal) : NULL;
}

static gboolean take_lock_anew(Journal *journal, GError **error) {
  if (writer_lock_is_in_place(journal->lock_fd, journal->dir))
    return TRUE;
  int fd = writer_lock_take(journal->dir, error);
  if (fd < 0)
    return FALSE;
  close(journal->lock_fd);
  journal->lock_fd = fd;
  return TRUE;
}

gboolean journal_renew(Journal *journal, char **ret_warning, GError **error) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&journal->lock);
  *ret_warning = NULL;
  if (!database_is_lost(journal->database) && writer_lock_is_in_place(journal->lock_fd, journal->dir))
    return TRUE;
  g_clear_pointer(&journal->database, database_close); /* first: it still has names beside the new one */
  if (!prepare_dir(journal->dir, journal->mode, error) || !take_lock_anew(journal, error) || !open_database(journal, ret_warning, error))
    return FALSE;
  if (!*ret_warning)
    *ret_warning = g_strdup_printf("the journal in %s was removed, or couldn't be opened: it was opened anew, and what it had may be lost",
                                   journal->dir);
  return TRUE;
}

void journal_close(Journal *journal) {
  if (!journal)
    return;
  database_close(journal->database);
  if (journal->lock_fd >= 0)
    close(journal->lock_fd);
  g_mutex_clear(&journal->lock);
  g_free(journal->dir);
  g_free(journal);
}
