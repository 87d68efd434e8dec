/* Canonical JSON of a spec and back: for the record in a domain's metadata, for
 * plans and for comparison. Only given fields, in row order, as canonical text
 * (numbers and booleans as such), so that equal specs have equal JSON. */
#include "schema/document.h"
#include "schema/value.h"
#include "schema/canonical.h"

typedef json_t Json;
static void json_release(json_t *json) { json_decref(json); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_release)

static json_t *table_to_json(const FieldTable *table, gconstpointer spec);

/* Strings of a spec are valid UTF-8 already; jansson's NULL for others would
 * drop the field silently. */
static json_t *string_to_json(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  return json_string(valid);
}

static json_t *strings_to_json(char *const *strings) {
  json_t *array = json_array();
  for (; strings && *strings; strings++) json_array_append_new(array, string_to_json(*strings));
  return array;
}

static json_t *map_to_json(const StringMap *map) {
  json_t *object = json_object();
  for (guint i = 0; map && i < map->keys->len; i++)
    json_object_set_new(object, map->keys->pdata[i], string_to_json(map->values->pdata[i]));
  return object;
}

static json_t *list_to_json(const FieldTable *sub, const GPtrArray *items) {
  json_t *array = json_array();
  for (guint i = 0; items && i < items->len; i++) json_array_append_new(array, table_to_json(sub, items->pdata[i]));
  return array;
}

static json_t *field_to_json(const Field *field, gconstpointer member) {
  switch (field->type) {
    case VALUE_BOOL: return json_boolean(*(const gboolean *)member);
    case VALUE_INT: return json_integer(*(const gint64 *)member);
    case VALUE_STRINGS: return strings_to_json(*(char *const *const *)member);
    case VALUE_MAP: return map_to_json(*(StringMap *const *)member);
    case VALUE_GROUP: return table_to_json(field->sub, member);
    case VALUE_LIST: return list_to_json(field->sub, *(GPtrArray *const *)member);
    default: {
      g_autofree char *text = value_format(field, member);
      return string_to_json(text);
    }
  }
}

static json_t *table_to_json(const FieldTable *table, gconstpointer spec) {
  json_t *object = json_object();
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    /* A secret has no canonical text: it is kept nowhere. */
    if (field->secret || !field_given(table, spec, field)) continue;
    json_object_set_new(object, field->key, field_to_json(field, field_member(field, spec)));
  }
  return object;
}

json_t *spec_to_json_value(const FieldTable *table, gconstpointer spec) { return table_to_json(table, spec); }

char *spec_to_json(const FieldTable *table, gconstpointer spec) {
  g_autoptr(Json) json = table_to_json(table, spec);
  char *text = json_dumps(json, JSON_COMPACT);
  char *copy = g_strdup(text); /* callers free with g_free, not with jansson's free */
  free(text);
  return copy;
}

/* Reading: `path` is where we are, as disks[1].size, for messages. */
typedef struct {
  const char *what;
  GString *path;
} Reader;

static gboolean read_table(Reader *reader, const FieldTable *table, json_t *object, gpointer spec, GError **error);

static gboolean fail(const Reader *reader, const char *expected, GError **error) {
  g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "%s: %s%sexpected %s", reader->what, reader->path->str,
              reader->path->len ? ": " : "", expected);
  return FALSE;
}

static gboolean at_path(const Reader *reader, GError **error) {
  g_prefix_error(error, "%s: %s: ", reader->what, reader->path->str);
  return FALSE;
}

static gboolean parse_text(Reader *reader, const Field *field, const char *text, gpointer member, GError **error) {
  return value_parse(field, text, member, error) || at_path(reader, error);
}

static gboolean read_scalar(Reader *reader, const Field *field, json_t *json, gpointer member, GError **error) {
  switch (field->type) {
    case VALUE_BOOL:
      if (!json_is_boolean(json)) return fail(reader, "true or false", error);
      *(gboolean *)member = json_is_true(json);
      return TRUE;
    case VALUE_INT: {
      if (!json_is_integer(json)) return fail(reader, "an integer", error);
      g_autofree char *text = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(json));
      return parse_text(reader, field, text, member, error); /* checks the bounds */
    }
    default:
      if (!json_is_string(json)) return fail(reader, "a string", error);
      return parse_text(reader, field, json_string_value(json), member, error);
  }
}

static gboolean read_strings(Reader *reader, const Field *field, json_t *json, char ***member, GError **error) {
  if (!json_is_array(json)) return fail(reader, "an array", error);
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  for (gsize i = 0; i < json_array_size(json); i++) {
    const char *written = json_string_value(json_array_get(json, i));
    if (!written) return fail(reader, "strings", error);
    g_autofree char *text = value_parse_item(field, written, error);
    if (!text) return at_path(reader, error);
    g_strv_builder_add(builder, text);
  }
  *member = g_strv_builder_end(builder);
  return TRUE;
}

static gboolean read_map(Reader *reader, json_t *json, StringMap **member, GError **error) {
  if (!json_is_object(json)) return fail(reader, "an object", error);
  g_autoptr(StringMap) map = string_map_new();
  const char *key;
  json_t *value;
  json_object_foreach(json, key, value) {
    if (!json_is_string(value)) return fail(reader, "strings as values", error);
    string_map_set(map, key, json_string_value(value));
  }
  *member = g_steal_pointer(&map);
  return TRUE;
}

static gboolean read_item(Reader *reader, const FieldTable *sub, json_t *json, GPtrArray *items, GError **error) {
  gpointer item = spec_new(sub);
  gboolean good = read_table(reader, sub, json, item, error);
  if (good && !field_given(sub, item, table_key_field(sub)))
    good = fail(reader, "the key of the item", error);
  g_autofree char *key = good ? item_key(sub, item) : NULL;
  if (good && list_find(sub, items, table_key_field(sub), key))
    good = fail(reader, "no two items of one key", error);
  if (good) g_ptr_array_add(items, item);
  else spec_free(sub, item);
  return good;
}

/* The list is filled in place, with its bit: what was read so far is freed with the spec. */
static gboolean read_list(Reader *reader, const Field *field, json_t *json, GPtrArray **member, GError **error) {
  if (!json_is_array(json)) return fail(reader, "an array", error);
  *member = spec_list_new(field->sub);
  gsize end = reader->path->len;
  for (gsize i = 0; i < json_array_size(json); i++) {
    g_string_append_printf(reader->path, "[%zu]", i);
    if (!read_item(reader, field->sub, json_array_get(json, i), *member, error)) return FALSE;
    g_string_truncate(reader->path, end);
  }
  return TRUE;
}

static gboolean read_field(Reader *reader, const Field *field, json_t *json, gpointer member, GError **error) {
  switch (field->type) {
    case VALUE_STRINGS: return read_strings(reader, field, json, member, error);
    case VALUE_MAP: return read_map(reader, json, member, error);
    case VALUE_GROUP: return read_table(reader, field->sub, json, member, error);
    case VALUE_LIST: return read_list(reader, field, json, member, error);
    default: return read_scalar(reader, field, json, member, error);
  }
}

static gboolean read_table(Reader *reader, const FieldTable *table, json_t *object, gpointer spec, GError **error) {
  if (!json_is_object(object)) return fail(reader, "an object", error);
  gsize end = reader->path->len;
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    json_t *json = json_object_get(object, field->key);
    if (!json) continue;
    g_string_append_printf(reader->path, "%s%s", end ? "." : "", field->key);
    field_set_given(table, spec, field);
    if (!read_field(reader, field, json, field_member(field, spec), error)) return FALSE;
    g_string_truncate(reader->path, end);
  }
  return TRUE;
}

gboolean spec_from_json_value(const FieldTable *table, json_t *json, const char *what, gpointer spec, GError **error) {
  g_autoptr(GString) path = g_string_new(NULL);
  Reader reader = {.what = what, .path = path};
  return read_table(&reader, table, json, spec, error);
}

gpointer spec_from_json(const FieldTable *table, const char *json, const char *what, GError **error) {
  json_error_t where;
  g_autoptr(Json) root = json_loads(json, JSON_REJECT_DUPLICATES, &where);
  if (!root) {
    g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_SYNTAX, "%s: not JSON: %s (line %d, column %d)", what, where.text,
                where.line, where.column);
    return NULL;
  }
  gpointer spec = spec_new(table);
  if (spec_from_json_value(table, root, what, spec, error)) return spec;
  spec_free(table, spec);
  return NULL;
}
