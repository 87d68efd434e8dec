/* Specs within larger JSON. */
#pragma once
#include <jansson.h>
#include "schema/field.h"

/* As spec_to_json, as a value (new reference). */
json_t *spec_to_json_value(const FieldTable *table, gconstpointer spec);

typedef struct {
  const char *key;
  const FieldTable *table;
  gpointer spec;
  gboolean optional; /* it may be missing */
} JsonPart;
/* As spec_from_json, of an object that has a spec under each key ({"metadata":{…},"spec":{…}}), into
 * zeroed structs; what was read so far stays in them on failure. */
gboolean specs_from_json(const JsonPart *parts, guint n_parts, const char *json, const char *what, GError **error);
