#include "schema/node_tags.h"

#include <string.h>

#define TAG "tag:yaml.org,2002:"

static void refuse_tag(const char *tag, Place at, Diagnostics *diagnostics) {
  g_autofree char *shown = quoted(tag);
  diag_error(diagnostics, at, "the tag %s isn't supported: remove it", shown);
}

ScalarType node_tag_scalar(const char *tag, const char *text, Place at, Diagnostics *diagnostics) {
  static const struct { const char *tag; ScalarType type; } tags[] = {
      {TAG "str", SCALAR_STRING}, {"!", SCALAR_STRING}, {TAG "int", SCALAR_INT},
      {TAG "float", SCALAR_FLOAT}, {TAG "bool", SCALAR_BOOL}, {TAG "null", SCALAR_NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(tags); i++) {
    if (strcmp(tags[i].tag, tag) != 0)
      continue;
    ScalarType plain = scalar_resolve(text);
    if (tags[i].type == SCALAR_STRING || tags[i].type == plain || (tags[i].type == SCALAR_FLOAT && plain == SCALAR_INT))
      return tags[i].type;
    g_autofree char *shown = quoted(text);
    diag_error(diagnostics, at, "the tag says %s, but %s is %s", scalar_type_name(tags[i].type), shown, scalar_type_name(plain));
    return SCALAR_STRING;
  }
  refuse_tag(tag, at, diagnostics);
  return SCALAR_STRING;
}

void node_tag_check(const char *tag, NodeKind kind, Place at, Diagnostics *diagnostics) {
  if (strcmp(tag, "!") != 0 && strcmp(tag, kind == NODE_MAPPING ? TAG "map" : TAG "seq") != 0)
    refuse_tag(tag, at, diagnostics);
}
