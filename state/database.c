#include "state/database.h"

#include <sqlite3.h>
#include <stdarg.h>

enum { BUSY_MILLISECONDS = 5000 };

/* SQLite's own types under names that the rest can use. */
static sqlite3 *handle_of(Database *database) { return (sqlite3 *)database; }
static sqlite3_stmt *statement_of(Rows *rows) { return (sqlite3_stmt *)rows; }

static JournalError code_of(int code) {
  switch (code & 0xff) {
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return JOURNAL_ERROR_CORRUPT;
  default:
    return JOURNAL_ERROR_IO;
  }
}

static gboolean fail(sqlite3 *handle, GError **error) {
  int code = handle ? sqlite3_extended_errcode(handle) : SQLITE_NOMEM;
  g_set_error(error, JOURNAL_ERROR, code_of(code), "%s", handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
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
  Database *database = (Database *)handle;
  /* NORMAL survives the death of a process at any point; a power cut may cost the last runs. */
  if (!database_script(database, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;", error) ||
      (create && !database_script(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;", error)))
    g_clear_pointer(&database, database_close);
  return database;
}

void database_close(Database *database) { sqlite3_close(handle_of(database)); }

gboolean database_script(Database *database, const char *sql, GError **error) {
  sqlite3 *handle = handle_of(database);
  return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK || fail(handle, error);
}

static int bind(sqlite3_stmt *statement, const char *types, va_list values) {
  int code = SQLITE_OK;
  for (int i = 0; types[i] && code == SQLITE_OK; i++)
    code = types[i] == 'i' ? sqlite3_bind_int64(statement, i + 1, va_arg(values, gint64))
                           : sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
  return code;
}

static Rows *prepare(Database *database, GError **error, const char *sql, const char *types, va_list values) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(handle_of(database), sql, -1, &statement, NULL) == SQLITE_OK &&
      bind(statement, types, values) == SQLITE_OK)
    return (Rows *)statement;
  fail(handle_of(database), error);
  sqlite3_finalize(statement);
  return NULL;
}

Rows *database_query(Database *database, GError **error, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  Rows *rows = prepare(database, error, sql, types, values);
  va_end(values);
  return rows;
}

gboolean database_run(Database *database, GError **error, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  g_autoptr(Rows) rows = prepare(database, error, sql, types, values);
  va_end(values);
  return rows && (sqlite3_step(statement_of(rows)) == SQLITE_DONE || fail(handle_of(database), error));
}

gint64 database_last_id(Database *database) { return sqlite3_last_insert_rowid(handle_of(database)); }
guint database_changes(Database *database) { return (guint)sqlite3_changes(handle_of(database)); }

gboolean rows_next(Rows *rows, GError **error) {
  switch (sqlite3_step(statement_of(rows))) {
  case SQLITE_ROW:
    return TRUE;
  case SQLITE_DONE:
    return FALSE;
  default:
    return fail(sqlite3_db_handle(statement_of(rows)), error);
  }
}

gint64 rows_int(Rows *rows, int column) { return sqlite3_column_int64(statement_of(rows), column); }

char *rows_text(Rows *rows, int column) {
  return g_strdup((const char *)sqlite3_column_text(statement_of(rows), column));
}

void rows_free(Rows *rows) { sqlite3_finalize(statement_of(rows)); }
