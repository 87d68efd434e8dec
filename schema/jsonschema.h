/* The JSON Schema (draft-07) of one document, for editors and checks without
 * libvirt. It accepts what the decoder accepts as far as shapes, types, words,
 * patterns and integer bounds go; rules across fields and the bounds of
 * quantities are beyond it. */
#pragma once

char *json_schema(void); /* indented, ends in a newline; to be freed */
