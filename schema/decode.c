/* A mapping of YAML to a struct, by its table. */
#include "schema/document.h"
#include "schema/value.h"
#include "schema/value_text.h"
#include <string.h>

typedef struct {
  const char *base_dir; /* absolute: relative paths count from here; NULL: they are errors */
  Diagnostics *diagnostics;
  guint errors_before;
} Decoder;

#define LABEL_MAX 4096 /* bytes of a label's value */

static void decode_table(const Decoder *decoder, const FieldTable *table, const Node *node, const char *what, gpointer spec);

#define ERRORS_MAX 1000 /* of one spec; more help nobody */

/* Whether enough has been said; loops end then. */
static gboolean exhausted(const Decoder *decoder) {
  return decoder->diagnostics->errors - decoder->errors_before >= ERRORS_MAX;
}

static const char *kind_name(const Node *node) {
  return node->kind == NODE_MAPPING ? "a mapping" : node->kind == NODE_SEQUENCE ? "a list" : scalar_type_name(node->scalar);
}

static gboolean is_null(const Node *node) { return node->kind == NODE_SCALAR && node->scalar == SCALAR_NULL; }

/* What the node is, as a message shows it: "a list", or "123 is an integer". */
static void wrong_type(const Decoder *decoder, const Node *node, const char *what, const char *expected, const char *hint) {
  if (is_null(node)) {
    const char *instead = g_str_has_suffix(expected, "mapping") ? "{} for an empty one" : "remove the key";
    diag_error(decoder->diagnostics, node->at, "%s has no value: give %s, or %s", what, expected, instead);
  } else if (node->kind == NODE_SCALAR) {
    g_autofree char *shown = quoted(node->text);
    diag_error(decoder->diagnostics, node->at, "%s: expected %s, but %s is %s%s%s", what, expected, shown, kind_name(node),
               hint ? ": " : "", hint ? hint : "");
  } else {
    diag_error(decoder->diagnostics, node->at, "%s: expected %s, but got %s", what, expected, kind_name(node));
  }
}

/* Whether the scalar's YAML type is one that the value may be written in. */
static gboolean check_scalar(const Decoder *decoder, ValueType type, const Node *node, const char *what) {
  if (node->kind != NODE_SCALAR || node->scalar == SCALAR_NULL) {
    wrong_type(decoder, node, what, value_info(type)->expects, NULL);
    return FALSE;
  }
  gboolean string = node->scalar == SCALAR_STRING;
  if (value_is_string(type) && !string) {
    wrong_type(decoder, node, what, "a string", "put it in quotes");
    return FALSE;
  }
  if (type == VALUE_INT && node->scalar != SCALAR_INT) {
    gboolean number = string && g_ascii_string_to_signed(node->text, 10, G_MININT64, G_MAXINT64, NULL, NULL);
    wrong_type(decoder, node, what, value_info(type)->expects, number ? "remove the quotes" : NULL);
    return FALSE;
  }
  if (type == VALUE_BOOL && string && (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)) {
    wrong_type(decoder, node, what, value_info(type)->expects, "remove the quotes");
    return FALSE;
  }
  return TRUE;
}

/* Relative paths count from the file's folder. NULL where there is none, diagnosed. */
static char *absolute_path(const Decoder *decoder, ValueType type, const Node *node, const char *what) {
  const char *text = node->text;
  if (type != VALUE_PATH || *text == '/' || *text == '\0')
    return g_strdup(text);
  if (!decoder->base_dir) {
    g_autofree char *shown = quoted(text);
    diag_error(decoder->diagnostics, node->at, "%s: %s is relative, and this file isn't on the host: give an absolute path of the host",
               what, shown);
    return NULL;
  }
  g_autofree char *checked = text_canonical(VALUE_PATH, text);
  return checked ? g_build_filename(decoder->base_dir, checked, NULL) : g_strdup(text);
}

/* What is wrong with a secret is said without it. */
static gboolean decode_secret(const Decoder *decoder, const Field *field, const Node *node, gpointer member) {
  if (node->kind == NODE_SCALAR && node->scalar == SCALAR_STRING && value_parse(field, node->text, member, NULL))
    return TRUE;
  diag_error(decoder->diagnostics, node->at, "%s: expected a string of %s (what is there is secret, so it isn't shown)", field->key,
             value_info(field->type)->expects);
  return FALSE;
}

static gboolean decode_value(const Decoder *decoder, const Field *field, const Node *node, gpointer member) {
  if (field->secret)
    return decode_secret(decoder, field, node, member);
  if (!check_scalar(decoder, field->type, node, field->key))
    return FALSE;
  g_autofree char *text = absolute_path(decoder, field->type, node, field->key);
  g_autoptr(GError) error = NULL;
  if (!text)
    return FALSE;
  if (value_parse(field, text, member, &error))
    return TRUE;
  diag_error(decoder->diagnostics, node->at, "%s: %s", field->key, error->message);
  return FALSE;
}

static gboolean decode_strings(const Decoder *decoder, const Field *field, const Node *node, char ***ret_items) {
  if (node->kind != NODE_SEQUENCE) {
    wrong_type(decoder, node, field->key, "a list", NULL);
    return FALSE;
  }
  if (field->max > 0 && node->n > (guint64)field->max) {
    diag_error(decoder->diagnostics, node->at, "%s: expected at most %" G_GINT64_FORMAT " items, but there are %u", field->key,
               field->max, node->n);
    return FALSE;
  }
  g_autoptr(GStrvBuilder) items = g_strv_builder_new();
  guint errors = decoder->diagnostics->errors;
  for (guint i = 0; i < node->n && !exhausted(decoder); i++) {
    const Node *item = node->items[i];
    if (!check_scalar(decoder, field->item, item, field->key))
      continue;
    g_autofree char *text = absolute_path(decoder, field->item, item, field->key);
    g_autoptr(GError) error = NULL;
    if (!text)
      continue;
    g_autofree char *canonical = value_parse_item(field, text, &error);
    if (canonical)
      g_strv_builder_add(items, canonical);
    else
      diag_error(decoder->diagnostics, item->at, "%s: %s", field->key, error->message);
  }
  if (decoder->diagnostics->errors > errors)
    return FALSE;
  *ret_items = g_strv_builder_end(items);
  return TRUE;
}

static gboolean decode_map(const Decoder *decoder, const Field *field, const Node *node, StringMap **ret_map) {
  if (node->kind != NODE_MAPPING) {
    wrong_type(decoder, node, field->key, value_info(VALUE_MAP)->expects, NULL);
    return FALSE;
  }
  g_autoptr(StringMap) map = string_map_new();
  guint errors = decoder->diagnostics->errors;
  for (guint i = 0; i < node->n && !exhausted(decoder); i++) {
    const Node *key = node->keys[i], *value = node->items[i];
    g_autofree char *plain_key = text_canonical(VALUE_STRING, key->text);
    if (!plain_key) {
      diag_error(decoder->diagnostics, key->at, "%s: expected a key without control characters", field->key);
    } else if (check_scalar(decoder, VALUE_TEXT, value, plain_key)) {
      g_autofree char *text = *value->text ? text_canonical(VALUE_TEXT, value->text) : g_strdup("");
      if (text && strlen(text) <= LABEL_MAX)
        string_map_set(map, plain_key, text);
      else
        diag_error(decoder->diagnostics, value->at, "%s: expected text without control characters, at most %d bytes", plain_key,
                   LABEL_MAX);
    }
  }
  if (decoder->diagnostics->errors > errors)
    return FALSE;
  *ret_map = g_steal_pointer(&map);
  return TRUE;
}

/* Two items of one key are an error; `seen` maps keys to nodes. */
static gboolean check_item_key(const Decoder *decoder, const Field *field, const Node *node, gconstpointer item, GHashTable *seen) {
  char *key = item_key(field->sub, item);
  if (!key) /* missing or wrong: said already */
    return FALSE;
  const Node *first = g_hash_table_lookup(seen, key);
  if (!first) {
    g_hash_table_insert(seen, key, (gpointer)node);
    return TRUE;
  }
  g_autofree char *shown = quoted(key);
  g_free(key);
  diag_error(decoder->diagnostics, node->at, "%s: two items have the %s %s", field->key, table_key_field(field->sub)->key, shown);
  diag_note(decoder->diagnostics, first->at, "the first is here");
  return FALSE;
}

static gboolean decode_list(const Decoder *decoder, const Field *field, const Node *node, GPtrArray **ret_items) {
  if (node->kind != NODE_SEQUENCE) {
    wrong_type(decoder, node, field->key, value_info(VALUE_LIST)->expects, NULL);
    return FALSE;
  }
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *items = spec_list_new(field->sub);
  for (guint i = 0; i < node->n && !exhausted(decoder); i++) {
    gpointer item = spec_new(field->sub);
    decode_table(decoder, field->sub, node->items[i], field->key, item);
    if (check_item_key(decoder, field, node->items[i], item, seen))
      g_ptr_array_add(items, item);
    else
      spec_free(field->sub, item);
  }
  *ret_items = items;
  return TRUE;
}

static gboolean decode_field(const Decoder *decoder, const Field *field, const Node *node, gpointer member) {
  switch (field->type) {
  case VALUE_GROUP:
    if (node->kind != NODE_MAPPING) {
      wrong_type(decoder, node, field->key, "a mapping", NULL);
      return FALSE;
    }
    decode_table(decoder, field->sub, node, field->key, member);
    return TRUE;
  case VALUE_LIST:
    return decode_list(decoder, field, node, member);
  case VALUE_MAP:
    return decode_map(decoder, field, node, member);
  case VALUE_STRINGS:
    return decode_strings(decoder, field, node, member);
  default:
    return decode_value(decoder, field, node, member);
  }
}

static void unknown_key(const Decoder *decoder, const FieldTable *table, const Node *key, const char *what) {
  const char *keys[64 + 1] = {NULL};
  for (guint i = 0; i < table->n_fields; i++)
    keys[i] = table->fields[i].key;
  const char *near = nearest_word(key->text, keys);
  g_autofree char *shown = quoted(key->text);
  if (near) {
    diag_error(decoder->diagnostics, key->at, "unknown key %s in %s: did you mean \"%s\"?", shown, what, near);
    return;
  }
  g_autofree char *all = g_strjoinv(", ", (char **)keys);
  diag_error(decoder->diagnostics, key->at, "unknown key %s in %s: it can have %s", shown, what, all);
}

static void decode_table(const Decoder *decoder, const FieldTable *table, const Node *node, const char *what, gpointer spec) {
  if (node->kind != NODE_MAPPING) {
    wrong_type(decoder, node, what, "a mapping", NULL);
    return;
  }
  FieldSet seen = 0; /* also those whose value is wrong: they aren't missing */
  for (guint i = 0; i < node->n && !exhausted(decoder); i++) {
    const Node *key = node->keys[i];
    const Field *field = table_find(table, key->text);
    if (!field) {
      unknown_key(decoder, table, key, what);
      continue;
    }
    seen |= FIELD_BIT(field - table->fields);
    if (decode_field(decoder, field, node->items[i], field_member(field, spec)))
      field_set_given(table, spec, field);
  }
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].required && !(seen & FIELD_BIT(i)))
      diag_error(decoder->diagnostics, node->at, "%s: \"%s\" is missing (%s)", what, table->fields[i].key, table->fields[i].help);
}

void decode_spec(const FieldTable *table, const Node *node, const char *base_dir, gpointer spec, Diagnostics *diagnostics) {
  g_autofree char *absolute = base_dir ? g_canonicalize_filename(base_dir, NULL) : NULL;
  const Decoder decoder = {absolute, diagnostics, diagnostics->errors};
  const char *what = table == &MetadataSpec_table ? "metadata" : table == &ServiceSpec_table ? "the configuration" : "spec";
  decode_table(&decoder, table, node, what, spec);
}
