/* What tests of the tables share: a walk over all rows, YAML with every row's
 * example, and specs with random values. */
#pragma once
#include "schema/document.h"
#include "schema/value.h"
#include <string.h>

typedef void (*RowFunction)(const FieldTable *table, const Field *field, const char *path, gpointer data);

static inline void each_row_of(const FieldTable *table, const char *path, RowFunction function, gpointer data) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    g_autofree char *name = g_strdup_printf("%s.%s", path, field->key);
    function(table, field, name, data);
    if (field->sub) each_row_of(field->sub, name, function, data);
  }
}

static inline void each_row(RowFunction function, gpointer data) {
  each_row_of(&MetadataSpec_table, "metadata", function, data);
  for (guint i = 0; i < KIND_N; i++) each_row_of(kinds[i].spec, kinds[i].name, function, data);
}

/* Block YAML that gives every field its example; lists have one item. */
static inline void example_yaml(const FieldTable *table, guint indent, GString *out) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    gboolean in_item = i == 0 && out->len >= 2 && g_str_has_suffix(out->str, "- ");
    g_string_append_printf(out, "%*s%s:", in_item ? 0 : (int)indent, "", field->key);
    if (field->type == VALUE_GROUP) {
      g_string_append_c(out, '\n');
      example_yaml(field->sub, indent + 2, out);
    } else if (field->type == VALUE_LIST) {
      g_string_append_printf(out, "\n%*s- ", (int)indent + 2, "");
      example_yaml(field->sub, indent + 4, out);
    } else {
      g_string_append_printf(out, " %s\n", field->example);
    }
  }
}

/* A struct with every field given its example; NULL when one isn't accepted. */
static inline gpointer example_spec(const FieldTable *table, Diagnostics *diagnostics) {
  g_autoptr(GString) yaml = g_string_new(NULL);
  example_yaml(table, 0, yaml);
  g_autoptr(GPtrArray) documents = node_parse("examples.yaml", yaml->str, yaml->len, &node_limits_default, diagnostics);
  if (documents->len != 1) return NULL;
  gpointer spec = spec_new(table);
  decode_spec(table, documents->pdata[0], "/base", spec, diagnostics);
  return spec;
}

/* Text that tempts a YAML reader to see something else. */
static inline char *random_text(GRand *random) {
  static const char *const pieces[] = {
    "a", "b", "0", "1", "9", " ", "  ", ":", ": ", " #", "#", "'", "\"", "\\", "-", "- ", "?", "? ", ",", "[", "]", "{", "}",
    "&", "*", "!", "|", ">", "%", "@", "`", "~", "\n", "\n\n", "\t", "\n ", "\n- x", "---", "...", "\n---\n", "yes", "No", "null",
    "true", "1e3", "0x1F", "0o17", "1.5", ".inf", "12:30:45", "2001-01-01", "GiB", "/", "=", "<<", "\xc3\xa9",
    "\xe2\x80\xa8", "\xc2\xa0", "\xef\xbb\xbf", "\xf0\x9f\x90\xa7", "<vsock/>", "10.0.0.1", "fe80::", "+", "_",
  };
  GString *text = g_string_new(NULL);
  for (gint i = g_rand_int_range(random, 1, 6); i > 0; i--)
    g_string_append(text, pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces))]);
  return g_string_free(text, FALSE);
}

/* A value that the row accepts: a random one, else the row's example. */
static inline char *random_value(const Field *field, ValueType type, GRand *random) {
  switch (type) {
    case VALUE_BOOL: return g_strdup(g_rand_boolean(random) ? "true" : "false");
    case VALUE_INT: return g_strdup_printf("%" G_GINT64_FORMAT, field->min + g_rand_int_range(random, 0, 3));
    case VALUE_ENUM: {
      guint n = g_strv_length((char **)field->words->words);
      return g_strdup(field->words->words[g_rand_int_range(random, 0, (gint32)n)]);
    }
    case VALUE_XML: return g_strdup_printf("<vsock>\n  <cid auto='%d'/>\n</vsock>", g_rand_int_range(random, 0, 9));
    default: break;
  }
  Field free_field = {.key = field->key, .type = type, .min = field->min, .max = type == field->type ? field->max : 0};
  for (guint tries = 0; tries < 20 && value_is_string(type); tries++) {
    g_autofree char *text = random_text(random);
    char *parsed = NULL;
    if (!value_parse(&free_field, text, &parsed, NULL)) continue;
    g_free(parsed);
    return g_steal_pointer(&text);
  }
  if (type == VALUE_PATH) return g_strdup("/srv/a file");
  if (type == VALUE_NAME) return g_strdup("name");
  if (type == VALUE_TARGET) return g_strdup_printf("vd%c", 'a' + g_rand_int_range(random, 0, 26));
  gsize length = field->example ? strlen(field->example) : 0;
  gboolean quoted = length && field->example[0] == '\'';
  return g_strndup(field->example + quoted, quoted ? length - 2 : length);
}

static inline gpointer random_spec(const FieldTable *table, GRand *random, guint percent);

static inline void random_member(const Field *field, gpointer member, GRand *random, guint percent) {
  if (field->type == VALUE_GROUP) {
    gpointer inner = random_spec(field->sub, random, percent);
    spec_copy_into(field->sub, inner, member);
    spec_free(field->sub, inner);
  } else if (field->type == VALUE_LIST) {
    GPtrArray *items = spec_list_new(field->sub);
    if (g_rand_boolean(random)) g_ptr_array_add(items, random_spec(field->sub, random, percent));
    *(GPtrArray **)member = items;
  } else if (field->type == VALUE_MAP) {
    StringMap *map = string_map_new();
    for (gint i = g_rand_int_range(random, 0, 3); i > 0; i--) {
      Field text = {.key = "text", .type = VALUE_STRING}, name = {.key = "name", .type = VALUE_NAME, .example = "tier"};
      text.example = "web";
      g_autofree char *key = random_value(&name, VALUE_NAME, random), *value = random_value(&text, VALUE_STRING, random);
      string_map_set(map, key, value);
    }
    *(StringMap **)member = map;
  } else if (field->type == VALUE_STRINGS) {
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *item = random_value(field, field->item, random);
    g_strv_builder_add(builder, item);
    *(char ***)member = g_strv_builder_end(builder);
  } else {
    g_autofree char *text = random_value(field, field->type, random);
    g_autoptr(GError) error = NULL;
    if (!value_parse(field, text, member, &error)) g_error("%s: %s: %s", field->key, text, error->message);
  }
}

/* What is written down anywhere has none. */
static inline void forget_secrets(const FieldTable *table, gpointer spec) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field->secret) spec_unset(table, spec, field);
    if (!field_given(table, spec, field)) continue;
    if (field->type == VALUE_GROUP) forget_secrets(field->sub, field_member(field, spec));
    if (field->type != VALUE_LIST) continue;
    GPtrArray *items = *(GPtrArray **)field_member(field, spec);
    for (guint j = 0; j < items->len; j++) forget_secrets(field->sub, items->pdata[j]);
  }
}

/* Some fields given; required and key fields always. */
static inline gpointer random_spec(const FieldTable *table, GRand *random, guint percent) {
  gpointer spec = spec_new(table);
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field->required && (guint)g_rand_int_range(random, 0, 100) >= percent) continue;
    random_member(field, field_member(field, spec), random, percent);
    field_set_given(table, spec, field);
  }
  return spec;
}
