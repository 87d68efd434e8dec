/* SQLite behind a few functions: the only module that includes <sqlite3.h>. Private to the
 * journal, whose lock guards every call; errors are JOURNAL_ERROR. */
#pragma once
#include "state/journal.h"

typedef struct Database Database;
/* Waits up to five seconds for other processes. `create`: makes the file, switches to WAL. */
Database *database_open(const char *path, gboolean write, gboolean create, GError **error);
void database_close(Database *database); /* accepts NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Database, database_close)
/* Of no use any more: SQLite found it corrupt, or its file isn't the one at its path. NULL: as well. */
gboolean database_is_lost(Database *database);
/* Several statements without values. */
gboolean database_script(Database *database, const char *sql, GError **error);
/* One statement that yields no rows, kept for the next time. `types` has a letter per value:
 * s (const char * or NULL) or i (gint64). `sql` is a literal. */
gboolean database_run(Database *database, GError **error, const char *sql, const char *types, ...);
gint64 database_last_id(Database *database);
guint database_changes(Database *database); /* rows that the last database_run changed */

typedef struct Rows Rows;
Rows *database_query(Database *database, GError **error, const char *sql, const char *types, ...);
gboolean rows_next(Rows *rows, GError **error); /* FALSE: the end, or error is set */
gint64 rows_int(Rows *rows, int column);
char *rows_text(Rows *rows, int column); /* a copy; NULL stays NULL */
void rows_free(Rows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rows, rows_free)
