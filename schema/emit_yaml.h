/* A string as a YAML scalar that reads back as the same string: plain where no
 * reader of YAML 1.1 or 1.2 could see something else in it, quoted otherwise. */
#pragma once
#include <glib.h>

void yaml_append_string(GString *out, const char *text);
