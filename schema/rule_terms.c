/* What the rows forbid, read once. A row that says what isn't there ends the program: the first test would. */
#include "schema/rules.h"
#include "schema/value.h"
#include <string.h>

static const FieldTable *table_of(const Rule *rule) {
  if (rule->in && strcmp(rule->in, "metadata") == 0)
    return &MetadataSpec_table;
  const FieldTable *table = kinds[rule->kind].spec;
  return rule->in ? table_find(table, rule->in)->sub : table;
}

static void resolve(RuleTerm *term, const FieldTable *table, const char *path) {
  g_auto(GStrv) keys = g_strsplit(path, ".", -1);
  for (guint i = 0; keys[i]; i++) {
    const Field *field = table ? table_find(table, keys[i]) : NULL;
    if (!field || i == RULE_DEPTH)
      g_error("a rule names %s, which isn't there", path);
    term->steps[i].table = table;
    term->steps[i].field = field;
    term->n_steps = i + 1;
    table = field->type == VALUE_GROUP ? field->sub : NULL;
  }
}

static void read_words(RuleTerm *term, const Field *field) {
  static const char *const truth[] = {"false", "true", NULL};
  const char *const *words = field->type == VALUE_BOOL ? truth : field->type == VALUE_ENUM ? field->words->words : NULL;
  term->words = g_strsplit(term->operand, ",", -1);
  for (guint i = 0; words && term->words[i]; i++) {
    int index = enum_find(words, term->words[i]);
    if (index < 0)
      g_error("a rule names the word %s, which %s doesn't have", term->words[i], field->key);
    term->indexes |= G_GUINT64_CONSTANT(1) << index;
  }
}

static RuleTerm *read_term(const FieldTable *table, const char *text) {
  RuleTerm *term = g_new0(RuleTerm, 1);
  term->negated = *text == '!';
  text += term->negated;
  gsize length = strcspn(text, "=~<>+");
  g_autofree char *path = g_strndup(text, length);
  resolve(term, table, path);
  term->comparison = text[length];
  term->operand = term->comparison ? g_strdup(text + length + 1) : NULL;
  if (term->comparison == '=')
    read_words(term, term->steps[term->n_steps - 1].field);
  if (term->comparison == '<' || term->comparison == '>')
    term->number = g_ascii_strtoll(term->operand, NULL, 10);
  if (term->comparison == '~' && !(term->pattern = g_regex_new(term->operand, G_REGEX_OPTIMIZE, 0, NULL)))
    g_error("a rule has a malformed pattern: %s", term->operand);
  return term;
}

static GPtrArray *read_row(const Rule *rule) {
  GPtrArray *alternatives = g_ptr_array_new();
  g_auto(GStrv) texts = g_strsplit(rule->forbids, " | ", -1);
  for (guint i = 0; texts[i]; i++) {
    GPtrArray *terms = g_ptr_array_new();
    g_auto(GStrv) words = g_strsplit(texts[i], " ", -1);
    for (guint j = 0; words[j]; j++)
      g_ptr_array_add(terms, read_term(table_of(rule), words[j]));
    g_ptr_array_add(alternatives, terms);
  }
  return alternatives;
}

const GPtrArray *rule_alternatives(const Rule *rule) {
  static GPtrArray **all;
  if (g_once_init_enter(&all)) {
    GPtrArray **read = g_new(GPtrArray *, n_rules);
    for (guint i = 0; i < n_rules; i++)
      read[i] = read_row(&rules[i]);
    g_once_init_leave(&all, read);
  }
  return all[rule - rules];
}

gboolean rule_is_partial(const Rule *rule) {
  const GPtrArray *alternatives = rule_alternatives(rule);
  for (guint i = 0; i < alternatives->len; i++) {
    const GPtrArray *terms = alternatives->pdata[i];
    for (guint j = 0; j < terms->len; j++)
      if (((const RuleTerm *)terms->pdata[j])->negated)
        return TRUE;
  }
  return FALSE;
}
