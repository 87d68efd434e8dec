#include "state/helper.h"

#include "state/domain_xml.h"
#include "state/xml_tree.h"

char *helper_name(const char *machine) { return g_strconcat(machine, "-reconcile", NULL); }

static void mark(xmlNode *domain, const char *name, const char *key, const char *value) {
  xmlNode *metadata = xmlNewChild(domain, NULL, (const xmlChar *)"metadata", NULL);
  xmlNode *element = xmlNewChild(metadata, NULL, (const xmlChar *)name, NULL);
  xmlSetNs(element, xmlNewNs(element, (const xmlChar *)METADATA_NAMESPACE, (const xmlChar *)METADATA_PREFIX));
  xml_set_attribute(element, key, value);
}

static const char *marked(xmlNode *domain, const char *name, const char *key) {
  xmlNode *metadata = xml_first_child(domain, "metadata");
  for (xmlNode *each = metadata ? metadata->children : NULL; each; each = each->next)
    if (each->type == XML_ELEMENT_NODE && each->ns && g_str_equal(each->ns->href, METADATA_NAMESPACE) && g_str_equal(each->name, name))
      return xml_attribute(each, key);
  return NULL;
}

void helper_mark(xmlNode *domain, const char *machine) { mark(domain, "helper", "for", machine); }
void helper_mark_lock(xmlNode *domain, const char *holder) { mark(domain, "lock", "holder", holder); }
char *helper_lock_holder(xmlNode *domain) { return g_strdup(marked(domain, "lock", "holder")); }

char *helper_owner(xmlNode *domain) {
  const char *owner = marked(domain, "helper", "for");
  return g_strdup(owner || !marked(domain, "lock", "holder") ? owner : HOST_LOCK_NAME);
}
