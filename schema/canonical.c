/* Canonical JSON of a spec: for the record in a domain's metadata, for
 * plans and for comparison. Only given fields, in row order, as canonical text
 * (numbers and booleans as such), so that equal specs have equal JSON. */
#include "schema/document.h"
#include "schema/canonical.h"
#include "schema/value.h"

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
