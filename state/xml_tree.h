/* Small steps in an XML tree: elements without the white space between them. */
#pragma once
#include "state/xml.h"

/* NULL name: any. Elements of a namespace are never libvirt's own and are passed over. */
xmlNode *xml_first_child(xmlNode *parent, const char *name);
xmlNode *xml_next_sibling(xmlNode *element, const char *name);
/* The attribute's value, borrowed; NULL when absent (or of several text nodes, which
 * only a tree that was put together by hand has). */
const char *xml_attribute(xmlNode *element, const char *name);
void xml_set_attribute(xmlNode *element, const char *name, const char *value);
void xml_remove_attribute(xmlNode *element, const char *name);
/* The text of an element without children elements: borrowed, or *ret_owned (free it). */
const char *xml_content(xmlNode *element, char **ret_owned);
void xml_set_content(xmlNode *element, const char *text);
gboolean xml_is_empty(xmlNode *element); /* no attributes, no children but white space */

/* A new element in libvirt's two-space style: after `after` (NULL: as the last one). */
xmlNode *xml_add_child(xmlNode *parent, xmlNode *after, const char *name);
/* The same for an element that is made already; it is owned by the tree then. */
void xml_insert(xmlNode *parent, xmlNode *after, xmlNode *element);
/* Takes the element and its line out of the tree and frees it. */
void xml_remove(xmlNode *element);
/* And elements above it that became empty, below `top`. */
void xml_remove_up_to(xmlNode *element, xmlNode *top);
