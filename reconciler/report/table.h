/* A table of texts, aligned for a terminal or as Markdown. Cells are escaped here. */
#pragma once
#include <glib.h>

typedef struct Table Table;
Table *table_new(const char *const *headers); /* NULL-terminated */
void table_free(Table *table);
void table_add(Table *table, const char *cell); /* the next cell, row by row; NULL and "" are shown as - */
void table_add_printf(Table *table, const char *format, ...) G_GNUC_PRINTF(2, 3);
void table_text(const Table *table, GString *out, gboolean color);
void table_markdown(const Table *table, GString *out);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)
