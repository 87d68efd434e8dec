/* The rows of schema/rules.c as JSON Schema. */
#pragma once
#include <jansson.h>

/* What each document is held against: a list for allOf. */
void add_rule_schemas(json_t *all_of);
