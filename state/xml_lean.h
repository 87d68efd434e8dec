/* A document that is read and not changed, the fast way: libxml2's tree of what its parser tells, in one piece of memory that
 * goes at once, without the blanks between elements and without comments. Nodes that are made and freed one by one cost more
 * than the parsing. What changes a tree (xml_set_attribute, xml_remove, xml_insert …) must not be used on it; a copy of a
 * part of it (xml_node_text) is an ordinary one. */
#pragma once
#include "state/xml.h"

typedef struct XmlLean XmlLean;
XmlLean *xml_parse_lean(const char *text, const char *what, GError **error); /* as xml_parse */
xmlNode *xml_lean_root(XmlLean *lean); /* NULL for NULL */
/* Its names are shared with the thread's parser: in the thread that made it. Accepts NULL. */
void xml_lean_free(XmlLean *lean);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlLean, xml_lean_free)
