/* Specs as values of jansson, for what builds larger JSON around them. */
#pragma once
#include <jansson.h>
#include "schema/field.h"

/* As spec_to_json, as a value (new reference). */
json_t *spec_to_json_value(const FieldTable *table, gconstpointer spec);
/* As spec_from_json, into a zeroed struct; what was read so far stays in it on failure. */
gboolean spec_from_json_value(const FieldTable *table, json_t *json, const char *what, gpointer spec, GError **error);
