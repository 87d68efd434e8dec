/* Steps in an XML tree, and edits that keep its lines and indentation. */
#include "state/xml_tree.h"

#include <string.h>

/* Mostly told by the first letter. */
static gboolean is_name(const xmlChar *found, const char *name) {
  return *found == (xmlChar)*name && strcmp((const char *)found, name) == 0;
}

static xmlNode *matching(xmlNode *node, const char *name) {
  while (node && (node->type != XML_ELEMENT_NODE || node->ns || (name && !is_name(node->name, name))))
    node = node->next;
  return node;
}

xmlNode *xml_first_child(xmlNode *parent, const char *name) {
  return matching(parent->children, name);
}

xmlNode *xml_next_sibling(xmlNode *element, const char *name) {
  return matching(element->next, name);
}

static xmlAttr *find_attribute(xmlNode *element, const char *name) {
  for (xmlAttr *attribute = element->properties; attribute; attribute = attribute->next)
    if (!attribute->ns && is_name(attribute->name, name))
      return attribute;
  return NULL;
}

const char *xml_attribute(xmlNode *element, const char *name) {
  xmlAttr *attribute = find_attribute(element, name);
  if (!attribute)
    return NULL;
  if (!attribute->children)
    return "";
  return attribute->children->next ? NULL : (const char *)attribute->children->content;
}

void xml_set_attribute(xmlNode *element, const char *name, const char *value) {
  xmlSetNsProp(element, NULL, BAD_CAST name, BAD_CAST value);
}

void xml_remove_attribute(xmlNode *element, const char *name) {
  xmlAttr *attribute = find_attribute(element, name);
  if (attribute)
    xmlRemoveProp(attribute);
}

const char *xml_content(xmlNode *element, char **ret_owned) {
  xmlNode *only = element->children;
  if (!only)
    return "";
  if (!only->next && (only->type == XML_TEXT_NODE || only->type == XML_CDATA_SECTION_NODE))
    return (const char *)only->content;
  xmlChar *content = xmlNodeGetContent(element);
  *ret_owned = g_strdup(content ? (const char *)content : "");
  xmlFree(content);
  return *ret_owned;
}

void xml_set_content(xmlNode *element, const char *text) {
  xmlNodeSetContent(element, NULL);
  if (*text)
    xmlNodeAddContent(element, BAD_CAST text); /* taken as it is, escaped on output */
}

static gboolean is_blank(const xmlNode *node) {
  return node->type == XML_TEXT_NODE && xmlIsBlankNode(node);
}

gboolean xml_is_empty(xmlNode *element) {
  if (element->properties || element->nsDef)
    return FALSE;
  for (xmlNode *child = element->children; child; child = child->next)
    if (!is_blank(child))
      return FALSE;
  return TRUE;
}

static xmlNode *new_line(xmlNode *parent, int deeper) {
  int depth = deeper;
  for (xmlNode *up = parent; up->parent && up->parent->type == XML_ELEMENT_NODE; up = up->parent)
    depth++;
  g_autofree char *text = g_strdup_printf("\n%*s", 2 * depth, "");
  return xmlNewDocText(parent->doc, BAD_CAST text);
}

/* Links without libxml2's merging of adjacent text nodes, which frees the new one. */
static void link_after(xmlNode *parent, xmlNode *after, xmlNode *node) {
  xmlNode *next = after ? after->next : parent->children;
  node->parent = parent;
  node->prev = after;
  node->next = next;
  *(after ? &after->next : &parent->children) = node;
  *(next ? &next->prev : &parent->last) = node;
}

void xml_insert(xmlNode *parent, xmlNode *after, xmlNode *element) {
  if (!after) { /* before the line of the end tag, where there is one */
    after = parent->last;
    if (after && is_blank(after))
      after = after->prev;
  }
  gboolean end_has_line = parent->last && is_blank(parent->last) && parent->last != after;
  xmlUnlinkNode(element);
  if (element->doc != parent->doc)
    xmlSetTreeDoc(element, parent->doc);
  xmlNode *line = new_line(parent, 1);
  link_after(parent, after, line);
  link_after(parent, line, element);
  if (!element->next && !end_has_line)
    link_after(parent, element, new_line(parent, 0));
}

xmlNode *xml_add_child(xmlNode *parent, xmlNode *after, const char *name) {
  xmlNode *element = xmlNewDocNode(parent->doc, NULL, BAD_CAST name, NULL);
  xml_insert(parent, after, element);
  return element;
}

void xml_remove(xmlNode *element) {
  xmlNode *parent = element->parent, *line = element->prev;
  if (line && is_blank(line)) {
    xmlUnlinkNode(line);
    xmlFreeNode(line);
  }
  xmlUnlinkNode(element);
  xmlFreeNode(element);
  if (parent && parent->type == XML_ELEMENT_NODE && parent->children && is_blank(parent->children) &&
      !parent->children->next)
    xml_set_content(parent, "");
}

void xml_remove_up_to(xmlNode *element, xmlNode *top) {
  xmlNode *parent = element->parent;
  xml_remove(element);
  if (parent != top && xml_is_empty(parent))
    xml_remove_up_to(parent, top);
}
