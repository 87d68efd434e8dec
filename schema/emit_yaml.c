/* YAML of whole objects, in block style, rows in their order. */
#include "schema/emit_yaml.h"
#include "schema/document.h"
#include "schema/value.h"
#include <string.h>

/* Words that some reader takes for a boolean or null (PyYAML and yq know YAML 1.1). */
static gboolean is_reserved(const char *text) {
  static const char *const words[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", NULL};
  for (guint i = 0; words[i]; i++)
    if (g_ascii_strcasecmp(text, words[i]) == 0) return TRUE;
  return FALSE;
}

/* "20GiB", "100MiB/s", "90s"; but not hexadecimal, octal or binary numbers. */
static gboolean is_quantity(const char *text) {
  gsize digits = strspn(text, "0123456789");
  const char *unit = text + digits;
  if (digits == 0 || *unit == '\0' || strchr("xXoObB_", *unit) == NULL) {
    while (g_ascii_isalpha(*unit) || *unit == '/') unit++;
    return digits > 0 && unit > text + digits && *unit == '\0';
  }
  return strcmp(unit, "B") == 0 || strcmp(unit, "B/s") == 0;
}

static gboolean is_ipv4(const char *text) {
  guint dots = 0;
  for (; *text; text++) {
    if (*text == '.') dots++;
    else if (!g_ascii_isdigit(*text)) return FALSE;
  }
  return dots == 3;
}

static gboolean is_plain(const char *text) {
  if (g_ascii_isdigit(*text)) return is_quantity(text) || is_ipv4(text);
  if (!g_ascii_isalpha(*text) && *text != '/') return FALSE;
  for (const char *p = text; *p; p++) {
    if (!g_ascii_isalnum(*p) && !strchr(" _./@+:=,()-", *p)) return FALSE;
    if ((*p == ' ' || *p == ':') && (p[1] == ' ' || p[1] == '\0')) return FALSE;
  }
  return !is_reserved(text);
}

/* Characters that stand for themselves within quotes on one line. */
static gboolean is_printable(gunichar c) {
  if (c < 0x20 || (c >= 0x7f && c <= 0xa0)) return FALSE;
  return c != 0x2028 && c != 0x2029 && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

static void append_double_quoted(GString *out, const char *text) {
  g_string_append_c(out, '"');
  for (const char *p = text; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c == '"' || c == '\\') g_string_append_printf(out, "\\%c", (char)c);
    else if (c == '\n') g_string_append(out, "\\n");
    else if (c == '\t') g_string_append(out, "\\t");
    else if (is_printable(c)) g_string_append_unichar(out, c);
    else if (c > 0xffff) g_string_append_printf(out, "\\U%08X", c);
    else g_string_append_printf(out, "\\u%04X", c);
  }
  g_string_append_c(out, '"');
}

static void append_single_quoted(GString *out, const char *text) {
  g_string_append_c(out, '\'');
  for (; *text; text++) {
    if (*text == '\'') g_string_append_c(out, '\'');
    g_string_append_c(out, *text);
  }
  g_string_append_c(out, '\'');
}

void yaml_append_string(GString *out, const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  if (is_plain(valid)) {
    g_string_append(out, valid);
    return;
  }
  for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
    if (!is_printable(g_utf8_get_char(p))) {
      append_double_quoted(out, valid);
      return;
    }
  }
  append_single_quoted(out, valid);
}

static void indent(GString *out, guint depth) {
  for (guint i = 0; i < depth; i++) g_string_append(out, "  ");
}

/* Several lines that a literal block keeps as they are: the first one sets the
 * indentation, and lines of white space alone are too easily lost. */
static gboolean fits_block(const char *text) {
  if (!strchr(text, '\n') || strchr(" \t\n", text[0]) || !g_utf8_validate(text, -1, NULL)) return FALSE;
  for (const char *p = text; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (c != '\n' && c != '\t' && !is_printable(c)) return FALSE;
  }
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (guint i = 0; lines[i]; i++)
    if (lines[i][0] && lines[i][strspn(lines[i], " \t")] == '\0') return FALSE;
  return TRUE;
}

static void append_block(GString *out, guint depth, const char *text) {
  gsize length = strlen(text);
  const char *chomping = text[length - 1] != '\n' ? "-" : text[length - 2] == '\n' ? "+" : "";
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  guint n = g_strv_length(lines);
  if (lines[n - 1][0] == '\0') n--; /* what stands behind the last newline */
  g_string_append_printf(out, "|%s\n", chomping);
  for (guint i = 0; i < n; i++) {
    if (lines[i][0]) indent(out, depth);
    g_string_append_printf(out, "%s\n", lines[i]);
  }
}

/* A string as a value: after "key: " or "- ", with its end of line. */
static void append_text(GString *out, guint depth, const char *text) {
  if (text && fits_block(text)) {
    append_block(out, depth, text);
    return;
  }
  yaml_append_string(out, text);
  g_string_append_c(out, '\n');
}

static void append_table(GString *out, guint depth, const FieldTable *table, gconstpointer spec, gboolean in_item);

static void append_strings(GString *out, guint depth, char *const *strings) {
  g_string_append(out, strings && *strings ? "\n" : " []\n");
  for (; strings && *strings; strings++) {
    indent(out, depth);
    g_string_append(out, "- ");
    append_text(out, depth + 1, *strings);
  }
}

static void append_map(GString *out, guint depth, const StringMap *map) {
  guint n = map ? map->keys->len : 0;
  g_string_append(out, n ? "\n" : " {}\n");
  for (guint i = 0; i < n; i++) {
    const char *key = map->keys->pdata[i];
    gboolean is_long = strlen(key) > 100; /* YAML bounds the length of simple keys */
    indent(out, depth);
    if (is_long) g_string_append(out, "? ");
    yaml_append_string(out, key);
    if (is_long) {
      g_string_append_c(out, '\n');
      indent(out, depth);
    }
    g_string_append(out, ": ");
    append_text(out, depth + 1, map->values->pdata[i]);
  }
}

static void append_list(GString *out, guint depth, const FieldTable *sub, const GPtrArray *items) {
  g_string_append(out, items && items->len ? "\n" : " []\n");
  for (guint i = 0; items && i < items->len; i++) {
    indent(out, depth);
    g_string_append(out, "- ");
    append_table(out, depth + 1, sub, items->pdata[i], TRUE);
  }
}

static void append_value(GString *out, guint depth, const Field *field, gconstpointer member) {
  if (value_is_string(field->type)) {
    g_string_append_c(out, ' ');
    append_text(out, depth, *(char *const *)member);
    return;
  }
  g_autofree char *text = value_format(field, member);
  g_string_append_c(out, ' ');
  if (field->type == VALUE_BOOL || field->type == VALUE_INT) g_string_append(out, text);
  else yaml_append_string(out, text);
  g_string_append_c(out, '\n');
}

static gboolean is_empty(const FieldTable *table, gconstpointer spec) {
  for (guint i = 0; i < table->n_fields; i++)
    if (field_given(table, spec, &table->fields[i]) && !table->fields[i].secret) return FALSE;
  return TRUE;
}

static void append_group(GString *out, guint depth, const FieldTable *sub, gconstpointer spec) {
  g_string_append(out, is_empty(sub, spec) ? " " : "\n");
  append_table(out, depth, sub, spec, FALSE);
}

static void append_field(GString *out, guint depth, const Field *field, gconstpointer member) {
  g_string_append_printf(out, "%s:", field->key);
  switch (field->type) {
    case VALUE_STRINGS: append_strings(out, depth + 1, *(char *const *const *)member); break;
    case VALUE_MAP: append_map(out, depth + 1, *(StringMap *const *)member); break;
    case VALUE_GROUP: append_group(out, depth + 1, field->sub, member); break;
    case VALUE_LIST: append_list(out, depth + 1, field->sub, *(GPtrArray *const *)member); break;
    default: append_value(out, depth + 1, field, member);
  }
}

/* in_item: the first line stands behind "- " already. */
static void append_table(GString *out, guint depth, const FieldTable *table, gconstpointer spec, gboolean in_item) {
  if (is_empty(table, spec)) {
    g_string_append(out, "{}\n");
    return;
  }
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field->secret || !field_given(table, spec, field)) continue;
    if (!in_item) indent(out, depth);
    in_item = FALSE;
    append_field(out, depth, field, field_member(field, spec));
  }
}

/* Names in comments come from libvirt: nothing in them may end the comment. */
static void append_comment(GString *out, const char *comment) {
  g_auto(GStrv) lines = g_strsplit(comment, "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    if (!lines[i][0] && !lines[i + 1]) break;
    g_autofree char *valid = g_utf8_make_valid(lines[i], -1);
    g_string_append(out, valid[0] ? "# " : "#");
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
      gunichar c = g_utf8_get_char(p);
      g_string_append_unichar(out, is_printable(c) ? c : '?');
    }
    g_string_append_c(out, '\n');
  }
}

void object_to_yaml(const Object *object, const char *comment, GString *out) {
  if (out->len) g_string_append(out, "---\n");
  if (comment) append_comment(out, comment);
  const KindInfo *kind = &kinds[object->kind];
  g_string_append_printf(out, "apiVersion: %s\nkind: %s\nmetadata:", API_VERSION, kind->name);
  append_group(out, 1, &MetadataSpec_table, &object->metadata);
  g_string_append(out, "spec:");
  append_group(out, 1, kind->spec, object->spec);
}
