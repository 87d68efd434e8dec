/* Values of fields as text: the one place that knows the notation of sizes,
 * rates, durations, addresses and words, in YAML and on the screen. Canonical:
 * equal values have equal text. */
#pragma once
#include "schema/field.h"

typedef struct {
  const char *name;    /* for messages and the reference: "size" */
  const char *json;    /* JSON Schema type: "string", "integer", "boolean", … */
  const char *pattern; /* PCRE and ECMA regular expression of the text, anchored; NULL: any */
  const char *expects; /* for messages: "a size such as 512MiB or 2GiB" */
  gsize max_bytes;     /* longest text where the row gives no max; 0: not a string type */
} ValueInfo;
const ValueInfo *value_info(ValueType type);

/* Parses canonical or user text into the member. On failure leaves it untouched and
 * sets error (SCHEMA_ERROR) with what was expected. Not for groups, lists and maps. */
gboolean value_parse(const Field *field, const char *text, gpointer member, GError **error);
/* The same for one item of a VALUE_STRINGS: its canonical text, to be freed, or NULL. */
char *value_parse_item(const Field *field, const char *text, GError **error);
/* Canonical text, to be freed; strings lists joined with ", ". Secrets are never shown:
 * "(secret)". Not for groups and lists. */
char *value_format(const Field *field, gconstpointer member);
gboolean value_equal(const Field *field, gconstpointer a, gconstpointer b);
/* Whether what was found is what libvirt makes of the wanted value (the row's rounding). */
gboolean value_is_met(const Field *field, gconstpointer wanted, gconstpointer found, gboolean running);
void value_clear(const Field *field, gpointer member);
void value_copy(const Field *field, gconstpointer from, gpointer to);
gboolean value_is_string(ValueType type); /* stored as char * */

/* Index of a word, or -1. */
int enum_find(const char *const *words, const char *word);

char *bytes_format(guint64 bytes);       /* "2GiB", exact: the largest unit that divides */
char *bytes_format_short(guint64 bytes); /* "1.4 GiB", for progress */

#define SCHEMA_ERROR (schema_error_quark())
GQuark schema_error_quark(void);
typedef enum { SCHEMA_ERROR_VALUE, SCHEMA_ERROR_SYNTAX, SCHEMA_ERROR_LIMIT } SchemaError;
