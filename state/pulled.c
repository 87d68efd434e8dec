#include "state/pulled.h"

#include "state/xml_tree.h"

char *pulled_namespace(const char *target) { return g_strconcat(PULLED_NAMESPACE, target, NULL); }

void pulled_remove(xmlNode *definition) {
  xmlNode *metadata = xml_first_child(definition, "metadata");
  for (xmlNode *node = metadata ? metadata->children : NULL, *next; node; node = next) {
    next = node->next;
    if (node->type == XML_ELEMENT_NODE && node->ns && g_str_has_prefix((const char *)node->ns->href, PULLED_NAMESPACE))
      xml_remove(node);
  }
}
