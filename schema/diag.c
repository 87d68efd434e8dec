#include "schema/diag.h"
#include <string.h>

static void diagnostic_free(gpointer item) {
  Diagnostic *diagnostic = item;
  g_free(diagnostic->message);
  g_free(diagnostic);
}

Diagnostics *diagnostics_new(void) {
  Diagnostics *diagnostics = g_new0(Diagnostics, 1);
  diagnostics->items = g_ptr_array_new_with_free_func(diagnostic_free);
  return diagnostics;
}

void diagnostics_free(Diagnostics *diagnostics) {
  if (!diagnostics)
    return;
  g_ptr_array_unref(diagnostics->items);
  g_free(diagnostics);
}

static void G_GNUC_PRINTF(4, 0)
    add(Diagnostics *diagnostics, Severity severity, Place at, const char *format, va_list args) {
  Diagnostic *diagnostic = g_new(Diagnostic, 1);
  *diagnostic = (Diagnostic){severity, at, g_strdup_vprintf(format, args)};
  g_ptr_array_add(diagnostics->items, diagnostic);
  if (severity == SEVERITY_ERROR)
    diagnostics->errors++;
}

void diag_error(Diagnostics *diagnostics, Place at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  add(diagnostics, SEVERITY_ERROR, at, format, args);
  va_end(args);
}

void diag_warning(Diagnostics *diagnostics, Place at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  add(diagnostics, SEVERITY_WARNING, at, format, args);
  va_end(args);
}

void diag_note(Diagnostics *diagnostics, Place at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  add(diagnostics, SEVERITY_NOTE, at, format, args);
  va_end(args);
}

typedef struct {
  guint first, n; /* an error or warning and its notes */
  Place at;
} Group;

static int compare_groups(gconstpointer a, gconstpointer b, gpointer data) {
  (void)data;
  const Group *x = a, *y = b;
  int files = g_strcmp0(x->at.file, y->at.file);
  if (files != 0)
    return files;
  if (x->at.line != y->at.line)
    return x->at.line < y->at.line ? -1 : 1;
  if (x->at.column != y->at.column)
    return x->at.column < y->at.column ? -1 : 1;
  return x->first < y->first ? -1 : x->first > y->first;
}

void diagnostics_sort(Diagnostics *diagnostics) {
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(Group));
  GPtrArray *items = diagnostics->items;
  for (guint i = 0; i < items->len; i++) {
    const Diagnostic *item = items->pdata[i];
    const Group group = {i, 1, item->at};
    if (item->severity == SEVERITY_NOTE && groups->len)
      g_array_index(groups, Group, groups->len - 1).n++;
    else
      g_array_append_val(groups, group);
  }
  g_array_sort_with_data(groups, compare_groups, NULL);
  g_autofree gpointer *sorted = g_new(gpointer, items->len + 1);
  guint n = 0;
  for (guint i = 0; i < groups->len; i++)
    for (guint j = 0; j < g_array_index(groups, Group, i).n; j++)
      sorted[n++] = items->pdata[g_array_index(groups, Group, i).first + j];
  for (guint i = 0; i < n; i++)
    items->pdata[i] = sorted[i];
}

char *place_format(Place at) {
  if (!at.file)
    return g_strdup("");
  if (at.line == 0)
    return g_strdup(at.file);
  if (at.column == 0)
    return g_strdup_printf("%s:%u", at.file, at.line);
  return g_strdup_printf("%s:%u:%u", at.file, at.line, at.column);
}

char *diagnostic_format(const Diagnostic *diagnostic) {
  static const char *const words[] = {"error", "warning", "note"};
  g_autofree char *place = place_format(diagnostic->at);
  return g_strdup_printf("%s%s%s: %s", place, *place ? ": " : "", words[diagnostic->severity], diagnostic->message);
}

#define QUOTED_MAX 60 /* characters of hostile text that a message shows */

char *quoted(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, 6 * QUOTED_MAX));
  GString *out = g_string_new("\"");
  guint shown = 0;
  const char *at = valid;
  for (; *at && shown < QUOTED_MAX; at = g_utf8_next_char(at), shown++) {
    gunichar c = g_utf8_get_char(at);
    if (c == '\n')
      g_string_append(out, "\\n");
    else if (c == '\t')
      g_string_append(out, "\\t");
    else if (c == '"')
      g_string_append(out, "\\\"");
    else if (g_unichar_isprint(c))
      g_string_append_unichar(out, c);
    else
      g_string_append_printf(out, "\\u%04x", c);
  }
  g_string_append(out, *at ? "…\"" : "\"");
  return g_string_free(out, FALSE);
}

#define WORD_MAX 64 /* longer ones are no typing errors */

/* Edits between two words: insert, delete, replace, swap of neighbours; upper and lower case are alike. */
static guint edit_distance(const char *a, const char *b) {
  guint rows[3][WORD_MAX + 1];
  guint n = strlen(b);
  for (guint j = 0; j <= n; j++)
    rows[0][j] = j;
  for (guint i = 1; a[i - 1]; i++) {
    guint *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
    row[0] = i;
    for (guint j = 1; j <= n; j++) {
      char x = g_ascii_tolower(a[i - 1]), y = g_ascii_tolower(b[j - 1]);
      row[j] = MIN(MIN(above[j] + 1, row[j - 1] + 1), above[j - 1] + (x != y));
      if (i > 1 && j > 1 && x == g_ascii_tolower(b[j - 2]) && y == g_ascii_tolower(a[i - 2]))
        row[j] = MIN(row[j], above2[j - 2] + 1);
    }
  }
  return rows[strlen(a) % 3][n];
}

const char *nearest_word(const char *written, const char *const *candidates) {
  gsize length = strlen(written);
  if (length == 0 || length > WORD_MAX)
    return NULL;
  const char *best = NULL;
  guint best_distance = MIN(3, (guint)length / 3 + 1) + 1;
  for (; *candidates; candidates++) {
    if (strlen(*candidates) > WORD_MAX)
      continue;
    guint distance = edit_distance(written, *candidates);
    if (distance < best_distance && distance < strlen(*candidates)) {
      best = *candidates;
      best_distance = distance;
    }
  }
  return best;
}
