/* libxml2 handles, parsed safely: no network, no entities, no DTD; bounded depth. */
#pragma once
#include <glib.h>
#include <libxml/tree.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

#define XML_ERROR (xml_error_quark())
GQuark xml_error_quark(void);
typedef enum { XML_ERROR_PARSE, XML_ERROR_SHAPE } XmlError;

xmlDoc *xml_parse(const char *text, const char *what, GError **error); /* `what` for messages */
/* Faster, to be read and not to be written again: without the blanks between elements. The
 * document shares the thread's dictionary of names: it is freed in the thread that made it. */
xmlDoc *xml_parse_lean(const char *text, const char *what, GError **error);
char *xml_text(xmlDoc *doc);       /* g_malloc'ed, with libvirt's two-space indentation kept as it is */
char *xml_node_text(xmlNode *node); /* one element as text, stand-alone */
