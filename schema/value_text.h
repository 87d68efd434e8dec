/* Text of the string-like types: what is accepted, and the one canonical form of it. The
 * checks are written by hand, since they run for each string of each file and XML; a test
 * holds them to the patterns of value_info. */
#pragma once
#include "schema/field.h"

/* Canonical form, to be freed, or NULL when the text isn't of the type. Lengths that the row
 * limits are the caller's business. VALUE_PATH: absolute or relative, normalised when absolute. */
char *text_canonical(ValueType type, const char *text);
