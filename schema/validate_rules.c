/* Holds an object against the rows of schema/rules.c. */
#include "schema/rules.h"
#include "schema/validate.h"
#include "schema/value.h"
#include <string.h>

static gboolean has_twice(char *const *items) {
  for (guint i = 0; items && items[i]; i++)
    for (guint j = 0; j < i; j++)
      if (strcmp(items[i], items[j]) == 0)
        return TRUE;
  return FALSE;
}

static gboolean is_one_of(const RuleTerm *term, const Field *field, gconstpointer member) {
  if (field->type == VALUE_BOOL)
    return (term->indexes >> (*(const gboolean *)member != 0)) & 1;
  if (field->type == VALUE_ENUM)
    return (term->indexes >> *(const int *)member) & 1;
  return g_strv_contains((const char *const *)term->words, *(char *const *)member);
}

static gboolean matches(const RuleTerm *term, const Field *field, gconstpointer member) {
  if (value_is_string(field->type))
    return g_regex_match(term->pattern, *(char *const *)member, 0, NULL);
  g_autofree char *text = value_format(field, member);
  return g_regex_match(term->pattern, text, 0, NULL);
}

static gboolean fits(const RuleTerm *term, const Field *field, gconstpointer member) {
  switch (term->comparison) {
  case '=': return is_one_of(term, field, member);
  case '<': return *(const gint64 *)member < term->number;
  case '>': return *(const gint64 *)member > term->number;
  case '+': return has_twice(*(char *const *const *)member);
  case '~': return matches(term, field, member);
  default: return TRUE;
  }
}

static gboolean holds(const RuleTerm *term, gconstpointer spec) {
  for (guint i = 0; i < term->n_steps; i++) {
    const Field *field = term->steps[i].field;
    if (!field_given(term->steps[i].table, spec, field))
      return term->negated;
    spec = field_member(field, spec);
  }
  return fits(term, term->steps[term->n_steps - 1].field, spec) != term->negated;
}

static gboolean is_forbidden(const Rule *rule, gconstpointer spec) {
  const GPtrArray *alternatives = rule_alternatives(rule);
  for (guint i = 0; i < alternatives->len; i++) {
    const GPtrArray *terms = alternatives->pdata[i];
    guint held = 0;
    while (held < terms->len && holds(terms->pdata[held], spec))
      held++;
    if (held == terms->len)
      return TRUE;
  }
  return FALSE;
}

/* With the values of the fields in braces. */
static char *fill(const char *message, const FieldTable *table, gconstpointer spec) {
  GString *text = g_string_new(NULL);
  for (const char *at = message; *at; at++) {
    const char *end = *at == '{' ? strchr(at, '}') : NULL;
    if (!end) {
      g_string_append_c(text, *at);
      continue;
    }
    g_autofree char *key = g_strndup(at + 1, (gsize)(end - at - 1));
    const Field *field = table_find(table, key);
    g_autofree char *value = value_format(field, field_member(field, spec));
    g_string_append(text, value);
    at = end;
  }
  return g_string_free(text, FALSE);
}

static void check_rule(const Check *check, const Rule *rule, const FieldTable *table, gconstpointer spec) {
  if (!is_forbidden(rule, spec))
    return;
  g_autofree char *message = fill(rule->message, table, spec);
  check_error(check, rule->at, "%s", message);
}

static void check_items(const Check *outer, const Rule *rule) {
  const FieldTable *table = kinds[outer->object->kind].spec;
  const Field *list = table_find(table, rule->in);
  if (!field_given(table, outer->object->spec, list))
    return;
  const GPtrArray *items = *(GPtrArray **)field_member(list, outer->object->spec);
  for (guint i = 0; items && i < items->len; i++) {
    if (!is_forbidden(rule, items->pdata[i]))
      continue;
    g_autofree char *key = item_key(list->sub, items->pdata[i]);
    const Check check = check_item(outer, rule->in, key);
    check_rule(&check, rule, list->sub, items->pdata[i]);
  }
}

void validate_rules(const Check *check) {
  const Object *object = check->object;
  for (guint i = 0; i < n_rules; i++) {
    const Rule *rule = &rules[i];
    if (rule->kind != object->kind || (rule->unless_adopted && check->adopt))
      continue;
    if (!rule->in)
      check_rule(check, rule, kinds[object->kind].spec, object->spec);
    else if (strcmp(rule->in, "metadata") == 0)
      check_rule(check, rule, &MetadataSpec_table, &object->metadata);
    else
      check_items(check, rule);
  }
}
