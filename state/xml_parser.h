/* What both ways into libxml2's parser share: what is refused, and what is said of it. */
#pragma once
#include <libxml/parser.h>

#include "state/xml.h"

xmlParserCtxt *xml_parser_new(void); /* for xmlFreeParserCtxt */
/* Reads a text, which has a root element, with the parser's handler. Of the default one *ret_doc is the document; another
 * one finds `data` again through xml_parser_data, and has xml_refuse_dtd as its internalSubset. */
gboolean xml_parser_read(xmlParserCtxt *parser, const char *text, int options, gpointer data, const char *what, xmlDoc **ret_doc, GError **error);
gpointer xml_parser_data(const xmlParserCtxt *parser);
void xml_refuse_dtd(void *parser, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id);
