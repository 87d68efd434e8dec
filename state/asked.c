#include "state/asked.h"

#include "state/xml_tree.h"

gint64 asked_read(xmlNode *machine) {
  xmlNode *metadata = xml_first_child(machine, "metadata");
  for (xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next)
    if (node->type == XML_ELEMENT_NODE && node->ns && g_str_equal(node->ns->href, ASKED_NAMESPACE)) {
      const char *text = xml_attribute(node, "at");
      gint64 at = 0;
      return text && g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &at, NULL) ? at : 0;
    }
  return 0;
}

char *asked_text(gint64 now) { return g_strdup_printf("<asked at='%" G_GINT64_FORMAT "'/>", now); }
