#include "state/helper.h"

#include "state/domain_xml.h"
#include "state/xml_tree.h"

char *helper_name(const char *machine) { return g_strconcat(machine, "-reconcile", NULL); }

void helper_mark(xmlNode *domain, const char *machine) {
  xmlNode *metadata = xmlNewChild(domain, NULL, (const xmlChar *)"metadata", NULL);
  xmlNode *mark = xmlNewChild(metadata, NULL, (const xmlChar *)"helper", NULL);
  xmlSetNs(mark, xmlNewNs(mark, (const xmlChar *)METADATA_NAMESPACE, (const xmlChar *)METADATA_PREFIX));
  xml_set_attribute(mark, "for", machine);
}

char *helper_owner(xmlNode *domain) {
  xmlNode *metadata = xml_first_child(domain, "metadata");
  for (xmlNode *each = metadata ? metadata->children : NULL; each; each = each->next)
    if (each->type == XML_ELEMENT_NODE && each->ns && g_str_equal(each->ns->href, METADATA_NAMESPACE) && g_str_equal(each->name, "helper"))
      return g_strdup(xml_attribute(each, "for"));
  return NULL;
}
