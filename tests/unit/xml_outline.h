/* A tree in words, without what blanks and comments are to it: the same for both ways into the parser. */
#pragma once
#include "state/xml.h"

static void outline_text(GString *out, const xmlNode *texts) {
  for (; texts; texts = texts->next)
    for (const xmlChar *at = texts->type == XML_TEXT_NODE || texts->type == XML_CDATA_SECTION_NODE ? texts->content : NULL; at && *at; at++)
      if (!g_ascii_isspace(*at))
        g_string_append_c(out, (char)*at);
}

static void outline_name(GString *out, const xmlNs *ns, const xmlChar *name) {
  g_string_append_printf(out, " {%s}%s", ns ? (const char *)ns->href : "", name);
}

static void outline(GString *out, const xmlNode *element) {
  outline_name(out, element->ns, element->name);
  for (const xmlAttr *each = element->properties; each; each = each->next) {
    outline_name(out, each->ns, each->name);
    g_string_append_c(out, '=');
    outline_text(out, each->children);
  }
  g_string_append_c(out, '(');
  outline_text(out, element->children);
  for (const xmlNode *each = element->children; each; each = each->next)
    if (each->type == XML_ELEMENT_NODE)
      outline(out, each);
  g_string_append_c(out, ')');
}

static inline char *xml_outline(const xmlNode *root) {
  GString *out = g_string_new(NULL);
  outline(out, root);
  return g_string_free(out, FALSE);
}
