#include "state/database.h"

#include <sqlite3.h>
#include <stdarg.h>

enum { BUSY_MILLISECONDS = 5000 };

struct Database {
  sqlite3 *handle;
  gboolean corrupt; /* as some statement found */
  GHashTable *kept; /* SQL of database_run → sqlite3_stmt *: parsing costs more than running */
};

struct Rows {
  Database *database;
  sqlite3_stmt *statement;
};

static void finalize(gpointer statement) { sqlite3_finalize(statement); }

static JournalError code_of(int code) {
  switch (code & 0xff) {
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return JOURNAL_ERROR_CORRUPT;
  default:
    return JOURNAL_ERROR_IO;
  }
}

gboolean database_is_lost(Database *database) {
  int moved = 0;
  return !database || database->corrupt ||
         (sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved);
}

/* SQLite says that there was an error, the system which one. */
static gboolean fail(sqlite3 *handle, GError **error) {
  int code = handle ? sqlite3_extended_errcode(handle) : SQLITE_NOMEM;
  int system = handle && ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) ? sqlite3_system_errno(handle) : 0;
  g_set_error(error, JOURNAL_ERROR, code_of(code), "%s%s%s", handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code), system ? ": " : "",
              system ? g_strerror(system) : "");
  return FALSE;
}

Database *database_open(const char *path, gboolean write, gboolean create, GError **error) {
  int flags = SQLITE_OPEN_FULLMUTEX | (write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) |
              (create ? SQLITE_OPEN_CREATE : 0);
  sqlite3 *handle = NULL;
  if (sqlite3_open_v2(path, &handle, flags, NULL) != SQLITE_OK) {
    fail(handle, error);
    sqlite3_close(handle);
    return NULL;
  }
  sqlite3_busy_timeout(handle, BUSY_MILLISECONDS);
  Database *database = g_new(Database, 1);
  *database = (Database){.handle = handle, .kept = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, finalize)};
  /* NORMAL survives the death of a process at any point; a power cut may cost the last runs. */
  if (!database_script(database, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;", error) ||
      (create && !database_script(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;", error)))
    g_clear_pointer(&database, database_close);
  return database;
}

void database_close(Database *database) {
  if (!database)
    return;
  g_hash_table_unref(database->kept);
  sqlite3_close(database->handle);
  g_free(database);
}

/* After a journal couldn't be opened anew. */
static gboolean is_open(const Database *database, GError **error) {
  if (!database)
    g_set_error(error, JOURNAL_ERROR, JOURNAL_ERROR_IO, "it isn't open");
  return database != NULL;
}

/* What is corrupt is noted, whoever finds it. */
static gboolean fail_noted(Database *database, GError **error) {
  database->corrupt |= code_of(sqlite3_errcode(database->handle)) == JOURNAL_ERROR_CORRUPT;
  return fail(database->handle, error);
}

gboolean database_script(Database *database, const char *sql, GError **error) {
  sqlite3 *handle = database->handle;
  return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK || fail(handle, error);
}

static int bind(sqlite3_stmt *statement, const char *types, va_list values) {
  int code = SQLITE_OK;
  for (int i = 0; types[i] && code == SQLITE_OK; i++)
    code = types[i] == 'i' ? sqlite3_bind_int64(statement, i + 1, va_arg(values, gint64))
                           : sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
  return code;
}

/* The handle knows what went wrong. */
static sqlite3_stmt *prepare(Database *database, const char *sql) {
  sqlite3_stmt *statement = NULL;
  sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
  return statement;
}

Rows *database_query(Database *database, GError **error, const char *sql, const char *types, ...) {
  if (!is_open(database, error))
    return NULL;
  va_list values;
  va_start(values, types);
  sqlite3_stmt *statement = prepare(database, sql);
  gboolean bound = statement && bind(statement, types, values) == SQLITE_OK;
  va_end(values);
  if (!bound) {
    fail_noted(database, error);
    sqlite3_finalize(statement);
    return NULL;
  }
  Rows *rows = g_new(Rows, 1);
  *rows = (Rows){.database = database, .statement = statement};
  return rows;
}

static sqlite3_stmt *kept_statement(Database *database, const char *sql) {
  sqlite3_stmt *statement = g_hash_table_lookup(database->kept, sql);
  if (!statement && (statement = prepare(database, sql)))
    g_hash_table_insert(database->kept, (gpointer)sql, statement);
  return statement;
}

gboolean database_run(Database *database, GError **error, const char *sql, const char *types, ...) {
  if (!is_open(database, error))
    return FALSE;
  sqlite3_stmt *statement = kept_statement(database, sql);
  va_list values;
  va_start(values, types);
  gboolean done = statement && bind(statement, types, values) == SQLITE_OK && sqlite3_step(statement) == SQLITE_DONE;
  va_end(values);
  if (!done)
    fail_noted(database, error);
  if (statement) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
  return done;
}

gint64 database_last_id(Database *database) { return database ? sqlite3_last_insert_rowid(database->handle) : 0; }
guint database_changes(Database *database) { return database ? (guint)sqlite3_changes(database->handle) : 0; }

gboolean rows_next(Rows *rows, GError **error) {
  switch (sqlite3_step(rows->statement)) {
  case SQLITE_ROW:
    return TRUE;
  case SQLITE_DONE:
    return FALSE;
  default:
    return fail_noted(rows->database, error);
  }
}

gint64 rows_int(Rows *rows, int column) { return sqlite3_column_int64(rows->statement, column); }

char *rows_text(Rows *rows, int column) {
  return g_strdup((const char *)sqlite3_column_text(rows->statement, column));
}

void rows_free(Rows *rows) {
  sqlite3_finalize(rows->statement);
  g_free(rows);
}
