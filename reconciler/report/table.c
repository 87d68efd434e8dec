#include "reconciler/report/table.h"

#include "reconciler/report/escape.h"
#include "reconciler/report/paint.h"

struct Table {
  char **headers;
  guint columns;
  GPtrArray *cells; /* as given; row by row */
};

Table *table_new(const char *const *headers) {
  Table *table = g_new0(Table, 1);
  table->headers = g_strdupv((char **)headers);
  table->columns = g_strv_length(table->headers);
  table->cells = g_ptr_array_new_with_free_func(g_free);
  return table;
}

void table_free(Table *table) {
  if (!table)
    return;
  g_strfreev(table->headers);
  g_ptr_array_unref(table->cells);
  g_free(table);
}

void table_add(Table *table, const char *cell) {
  g_ptr_array_add(table->cells, g_strdup(cell && *cell ? cell : "-"));
}

void table_add_printf(Table *table, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *cell = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  table_add(table, cell);
}

static void append_row(GString *out, char *const *cells, guint count, const guint *widths, gboolean bold) {
  g_autoptr(GString) line = g_string_new(NULL);
  guint blanks = 0; /* before the next cell: none at the end of a line */
  for (guint i = 0; i < count; i++) {
    g_string_append_printf(line, "%*s%s", (int)blanks, "", cells[i]);
    blanks = widths[i] - text_width(cells[i]) + 2;
  }
  paint_append(out, bold, PAINT_BOLD, line->str);
  g_string_append_c(out, '\n');
}

void table_text(const Table *table, GString *out, gboolean color) {
  g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
  g_autofree guint *widths = g_new0(guint, table->columns);
  for (guint i = 0; i < table->columns; i++)
    widths[i] = text_width(table->headers[i]);
  for (guint i = 0; i < table->cells->len; i++) {
    char *cell = escape_text(table->cells->pdata[i]);
    g_ptr_array_add(cells, cell);
    widths[i % table->columns] = MAX(widths[i % table->columns], text_width(cell));
  }
  append_row(out, table->headers, table->columns, widths, color);
  for (guint i = 0; i + table->columns <= cells->len; i += table->columns)
    append_row(out, (char *const *)cells->pdata + i, table->columns, widths, FALSE);
}

void table_markdown(const Table *table, GString *out) {
  for (guint i = 0; i < table->columns; i++)
    g_string_append_printf(out, "| %s ", table->headers[i]);
  g_string_append(out, "|\n");
  for (guint i = 0; i < table->columns; i++)
    g_string_append(out, "|---");
  g_string_append(out, "|\n");
  for (guint i = 0; i < table->cells->len; i++) {
    g_string_append(out, "| ");
    markdown_append_code(out, table->cells->pdata[i]);
    g_string_append(out, (i + 1) % table->columns ? " " : " |\n");
  }
}
