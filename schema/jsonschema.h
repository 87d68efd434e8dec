/* The JSON Schema (draft-07) of one document, for editors and checks without
 * libvirt. It accepts what the decoder accepts: shapes, types, words, patterns,
 * bounds of integers and the rules across fields of schema/rules.c. What is
 * beyond one document's schema is listed, with the reasons, in
 * tests/integration/test_json_schema.py. */
#pragma once

char *json_schema(void); /* indented, ends in a newline; to be freed */
