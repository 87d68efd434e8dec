/* A row becomes {"not": …} of the spec, with its message for editors. */
#include "schema/rule_schema.h"
#include "schema/rules.h"
#include <string.h>

static json_t *words_schema(const RuleTerm *term, const Field *field) {
  json_t *list = json_array();
  for (guint i = 0; term->words[i]; i++)
    json_array_append_new(list, field->type == VALUE_BOOL ? json_boolean(strcmp(term->words[i], "true") == 0) : json_string(term->words[i]));
  return json_pack("{s:o}", "enum", list);
}

static json_t *value_schema(const RuleTerm *term) {
  switch (term->comparison) {
  case '=': return words_schema(term, term->steps[term->n_steps - 1].field);
  case '~': return json_pack("{s:s}", "pattern", term->operand);
  case '<': return json_pack("{s:I}", "exclusiveMaximum", (json_int_t)term->number);
  case '>': return json_pack("{s:I}", "exclusiveMinimum", (json_int_t)term->number);
  case '+': return json_pack("{s:{s:b}}", "not", "uniqueItems", 1);
  default: return NULL;
  }
}

/* An object that has the member, and (inner isn't NULL) such a one. */
static json_t *with_member(const char *key, json_t *inner) {
  json_t *schema = json_pack("{s:[s]}", "required", key);
  if (inner)
    json_object_set_new(schema, "properties", json_pack("{s:o}", key, inner));
  return schema;
}

static json_t *term_schema(const RuleTerm *term) {
  json_t *schema = value_schema(term);
  for (guint i = term->n_steps; i-- > 0;)
    schema = with_member(term->steps[i].field->key, schema);
  return term->negated ? json_pack("{s:o}", "not", schema) : schema;
}

/* One of a list stands for itself. */
static json_t *combined(const char *how, json_t *list) {
  json_t *schema = json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", how, list);
  json_decref(list);
  return schema;
}

static json_t *rule_schema(const Rule *rule) {
  json_t *any = json_array();
  const GPtrArray *alternatives = rule_alternatives(rule);
  for (guint i = 0; i < alternatives->len; i++) {
    const GPtrArray *terms = alternatives->pdata[i];
    json_t *all = json_array();
    for (guint j = 0; j < terms->len; j++)
      json_array_append_new(all, term_schema(terms->pdata[j]));
    json_array_append_new(any, combined("allOf", all));
  }
  json_t *schema = json_pack("{s:o, s:s}", "not", combined("anyOf", any), "errorMessage", rule->message);
  if (!rule->in)
    return json_pack("{s:{s:o}}", "properties", "spec", schema);
  if (strcmp(rule->in, "metadata") == 0)
    return json_pack("{s:{s:o}}", "properties", "metadata", schema);
  return json_pack("{s:{s:{s:{s:{s:o}}}}}", "properties", "spec", "properties", rule->in, "items", schema);
}

/* What the rows of a group are for: documents of the kind that aren't adopted, and that build on no profile. */
static json_t *condition(Kind kind, gboolean unless_adopted, gboolean partial) {
  json_t *all = json_pack("[{s:[s], s:{s:{s:s}}}]", "required", "kind", "properties", "kind", "const", kinds[kind].name);
  if (unless_adopted)
    json_array_append_new(all, json_pack("{s:{s:{s:{s:[s], s:{s:{s:b}}}}}}", "not", "properties", "metadata", "required", "adopt",
                                         "properties", "adopt", "const", 1));
  if (partial)
    json_array_append_new(all, json_pack("{s:{s:{s:{s:[s]}}}}", "properties", "spec", "not", "required", "profile"));
  return combined("allOf", all);
}

static void add_group(json_t *all_of, Kind kind, gboolean unless_adopted, gboolean partial) {
  json_t *group = json_array();
  for (guint i = 0; i < n_rules; i++) {
    const Rule *rule = &rules[i];
    gboolean is_partial = kind == KIND_VIRTUAL_MACHINE && rule_is_partial(rule);
    if (rule->kind == kind && rule->unless_adopted == unless_adopted && is_partial == partial)
      json_array_append_new(group, rule_schema(rule));
  }
  if (json_array_size(group) > 0)
    json_array_append_new(all_of, json_pack("{s:o, s:{s:O}}", "if", condition(kind, unless_adopted, partial), "then", "allOf", group));
  json_decref(group);
}

void add_rule_schemas(json_t *all_of) {
  for (Kind kind = 0; kind < KIND_N; kind++)
    for (guint group = 0; group < 4; group++)
      add_group(all_of, kind, (group & 1) != 0, (group & 2) != 0);
}
