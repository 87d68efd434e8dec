/* Rules across the fields of one object: what can't stand together, and what needs something else. One row says
 * each (rules.c); the validator and the JSON Schema both read it. What depends on sums, on other objects or on
 * what stands elsewhere is said by the validate_*.c.
 *
 * A row forbids something: terms that hold together, or, after " | ", other terms that do. A term is
 *   cpu.mode                    the field is given
 *   cpu.mode=custom,maximum     it is given, as one of the words
 *   target~^[vh]                a part of its text is as the pattern says (which has no spaces)
 *   cpu.quota<1000              its number is less, or (>) more
 *   boot.order+                 an item of its list is there twice
 * and !term is the opposite. */
#pragma once
#include "schema/document.h"

typedef struct {
  Kind kind;
  const char *in;          /* the list whose items it is about, or "metadata"; NULL: the spec */
  const char *forbids;
  const char *at;          /* the field to point at, from the item (or "metadata.name") */
  const char *message;     /* {device} stands for the value of that field */
  gboolean unless_adopted; /* not for an object that is taken over: what the file doesn't say, it has already */
} Rule;

extern const Rule rules[];
extern const guint n_rules;

#define RULE_DEPTH 2
typedef struct {
  struct {
    const FieldTable *table;
    const Field *field;
  } steps[RULE_DEPTH]; /* the last is the field, what is before it are the groups that it is in */
  guint n_steps;
  gboolean negated;
  char comparison;   /* '=' '~' '<' '>' '+'; 0: given */
  char *operand;
  char **words;     /* of '=' */
  guint64 indexes;  /* of '=', where the field has words or is true or false: bit i is word i */
  gint64 number;    /* of '<' and '>' */
  GRegex *pattern;  /* of '~' */
} RuleTerm;

/* What a row forbids: arrays of RuleTerm that hold together, one of which is enough. They live as long as the program. */
const GPtrArray *rule_alternatives(const Rule *rule);
/* Whether what is forbidden may end when a profile gives more. */
gboolean rule_is_partial(const Rule *rule);
