/* Sizes, rates and durations: a whole number and a unit, without a space. */
#pragma once
#include "schema/field.h"

/* type: VALUE_BYTES, VALUE_RATE or VALUE_DURATION. FALSE: not in the notation, or too large. */
gboolean quantity_parse(ValueType type, const char *text, guint64 *ret_value);
/* Whether the text is in the notation, but the value can't be held. */
gboolean quantity_too_large(ValueType type, const char *text);
/* The largest unit that divides the value. */
char *quantity_format(ValueType type, guint64 value);
/* What somebody who wrote `text` may have meant, in the notation: "2GiB" for "2 GB". NULL: no idea. */
char *quantity_suggest(ValueType type, const char *text);
