#include "schema/jsonschema.h"
#include "schema/describe.h"
#include "schema/document.h"
#include "schema/rule_schema.h"
#include "schema/value.h"
#include <jansson.h>

typedef json_t Json;
static void json_release(json_t *json) { json_decref(json); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_release)

static void set_string(json_t *object, const char *key, const char *text) {
  if (text) json_object_set_new(object, key, json_string(text));
}

static json_t *words_schema(const EnumWords *words) {
  json_t *list = json_array();
  for (guint i = 0; words->words[i]; i++) json_array_append_new(list, json_string(words->words[i]));
  return json_pack("{s:o}", "enum", list);
}

/* Of a value that isn't a struct; `field` gives the bounds. */
static json_t *value_schema(ValueType type, const Field *field) {
  if (type == VALUE_ENUM) return words_schema(field->words);
  const ValueInfo *info = value_info(type);
  json_t *schema = json_object();
  set_string(schema, "type", info->json);
  set_string(schema, "pattern", info->pattern);
  gboolean bounded = type == field->type && field_has_bounds(field); /* of a list of strings, max counts items */
  if (type == VALUE_INT && bounded) {
    json_object_set_new(schema, "minimum", json_integer(field->min));
    json_object_set_new(schema, "maximum", json_integer(field->max));
  } else if (value_is_string(type)) {
    json_int_t most = bounded ? field->max : (json_int_t)info->max_bytes;
    json_object_set_new(schema, "maxLength", json_integer(most));
  }
  return schema;
}

static json_t *reference(const FieldTable *table) {
  g_autofree char *where = g_strdup_printf("#/definitions/%s", table->name);
  return json_pack("{s:s}", "$ref", where);
}

static json_t *strings_schema(const Field *field) {
  json_t *schema = json_pack("{s:s, s:o}", "type", "array", "items", value_schema(field->item, field));
  if (field->max > 0) json_object_set_new(schema, "maxItems", json_integer(field->max));
  return schema;
}

/* Keys are one line each; values may be empty. */
static json_t *map_schema(void) {
  return json_pack("{s:s, s:{s:s}, s:{s:s, s:[{s:i},{s:s}]}}", "type", "object", "propertyNames", "pattern",
                   value_info(VALUE_STRING)->pattern, "additionalProperties", "type", "string", "anyOf", "maxLength", 0,
                   "pattern", value_info(VALUE_TEXT)->pattern);
}

static json_t *type_schema(const Field *field) {
  switch (field->type) {
    case VALUE_GROUP: return json_pack("{s:[o]}", "allOf", reference(field->sub)); /* keywords beside $ref don't count */
    case VALUE_LIST: return json_pack("{s:s, s:o}", "type", "array", "items", reference(field->sub));
    case VALUE_STRINGS: return strings_schema(field);
    case VALUE_MAP: return map_schema();
    default: return value_schema(field->type, field);
  }
}

static json_t *node_to_json(const Node *node) {
  if (node->kind == NODE_SCALAR) {
    switch (node->scalar) {
      case SCALAR_INT: return json_integer(g_ascii_strtoll(node->text, NULL, 10));
      case SCALAR_BOOL: return json_boolean(g_ascii_strcasecmp(node->text, "true") == 0);
      default: return json_string(node->text);
    }
  }
  json_t *json = node->kind == NODE_SEQUENCE ? json_array() : json_object();
  for (guint i = 0; i < node->n; i++) {
    json_t *item = node_to_json(node->items[i]);
    if (node->kind == NODE_SEQUENCE) json_array_append_new(json, item);
    else json_object_set_new(json, node->keys[i]->text, item);
  }
  return json;
}

/* The row's example is YAML. */
static void add_example(json_t *schema, const Field *field) {
  if (!field->example) return;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) documents =
    node_parse(field->key, field->example, strlen(field->example), &node_limits_default, diagnostics);
  if (documents && documents->len == 1)
    json_object_set_new(schema, "examples", json_pack("[o]", node_to_json(documents->pdata[0])));
}

static json_t *field_schema(const Field *field) {
  json_t *schema = type_schema(field);
  g_autofree char *effect = describe_effect(field);
  g_autofree char *bounds = describe_bounds(field);
  g_autoptr(GString) text = g_string_new(field->help);
  if (bounds) g_string_append_printf(text, " (%s)", bounds);
  if (effect) g_string_append_printf(text, "; %s", effect);
  set_string(schema, "description", text->str);
  add_example(schema, field);
  return schema;
}

static json_t *table_schema(const FieldTable *table) {
  json_t *properties = json_object(), *required = json_array();
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    json_object_set_new(properties, field->key, field_schema(field));
    if (field->required) json_array_append_new(required, json_string(field->key));
  }
  json_t *schema = json_pack("{s:s, s:s, s:b, s:o}", "description", table->help, "type", "object",
                             "additionalProperties", 0, "properties", properties);
  if (json_array_size(required)) json_object_set(schema, "required", required);
  json_decref(required);
  return schema;
}

/* Inner tables first, as a reader meets them in the .def files. */
static void add_definitions(json_t *definitions, const FieldTable *table) {
  if (json_object_get(definitions, table->name)) return;
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].sub) add_definitions(definitions, table->fields[i].sub);
  json_object_set_new(definitions, table->name, table_schema(table));
}

/* if kind is this one, then spec is of its table. */
static json_t *kind_rule(const KindInfo *kind) {
  json_t *then = json_pack("{s:{s:o}}", "properties", "spec", reference(kind->spec));
  return json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:o}", "if", "properties", "kind", "const", kind->name, "required",
                   "kind", "then", then);
}

static json_t *envelope(json_t *kind_names) {
  return json_pack("{s:{s:s, s:s}, s:{s:s, s:o}, s:o, s:{s:s, s:s}}",
                   "apiVersion", "const", API_VERSION, "description", "Version of this format",
                   "kind", "description", "Kind of the object", "enum", kind_names,
                   "metadata", reference(&MetadataSpec_table),
                   "spec", "description", "What the object shall be", "type", "object");
}

char *json_schema(void) {
  json_t *names = json_array(), *rules = json_array(), *definitions = json_object();
  add_definitions(definitions, &MetadataSpec_table);
  for (guint i = 0; i < KIND_N; i++) {
    json_array_append_new(names, json_string(kinds[i].name));
    json_array_append_new(rules, kind_rule(&kinds[i]));
    add_definitions(definitions, kinds[i].spec);
  }
  add_rule_schemas(rules);
  g_autoptr(Json) schema = json_pack("{s:s, s:s, s:s, s:s, s:b, s:[s,s,s,s], s:o, s:o, s:o}",
    "$schema", "http://json-schema.org/draft-07/schema#", "title", "reconcile",
    "description", "One document of a reconcile source: an object of libvirt as it shall be",
    "type", "object", "additionalProperties", 0, "required", "apiVersion", "kind", "metadata", "spec",
    "properties", envelope(names), "allOf", rules, "definitions", definitions);
  char *text = json_dumps(schema, JSON_INDENT(2));
  char *lines = g_strconcat(text, "\n", NULL);
  free(text);
  return lines;
}
