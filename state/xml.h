/* libxml2 handles, parsed safely: no network, no entities, no DTD; bounded depth. */
#pragma once
#include <glib.h>
#include <libxml/tree.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

#define XML_ERROR (xml_error_quark())
GQuark xml_error_quark(void);
typedef enum { XML_ERROR_PARSE, XML_ERROR_SHAPE } XmlError;

xmlDoc *xml_parse(const char *text, const char *what, GError **error); /* `what` for messages */
char *xml_text(xmlDoc *doc);       /* g_malloc'ed, with libvirt's two-space indentation kept as it is */
char *xml_node_text(xmlNode *node); /* one element as text, stand-alone */
