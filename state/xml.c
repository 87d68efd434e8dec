/* The way into libxml2's parser, of which state/xml_lean.h is a branch. A document type declaration ends parsing at
 * once, so entities are never declared, expanded or fetched. */
#include "state/xml_parser.h"

#include <string.h>

G_DEFINE_QUARK(reconcile-xml-error, xml_error)

/* libvirt itself reads at most 10 MiB of domain XML over its protocol; libxml2
 * bounds depth (256) and text (10 MB) itself as long as XML_PARSE_HUGE isn't set. */
#define XML_MAX_BYTES (16 << 20)

typedef struct {
  gboolean has_dtd;
  gpointer data;
} Reading;

gpointer xml_parser_data(const xmlParserCtxt *parser) { return ((Reading *)parser->_private)->data; }

void xml_refuse_dtd(void *context, const xmlChar *name G_GNUC_UNUSED, const xmlChar *public_id G_GNUC_UNUSED,
                    const xmlChar *system_id G_GNUC_UNUSED) {
  xmlParserCtxt *parser = context;
  ((Reading *)parser->_private)->has_dtd = TRUE;
  xmlStopParser(parser);
}

static void parse_error(xmlParserCtxt *parser, gboolean has_dtd, const char *what, GError **error) {
  if (has_dtd) {
    g_set_error(error, XML_ERROR, XML_ERROR_PARSE, "%s: a document type declaration isn't allowed", what);
    return;
  }
  const xmlError *last = xmlCtxtGetLastError(parser);
  g_autofree char *message = last && last->message ? g_utf8_make_valid(last->message, -1) : g_strdup("no element");
  g_set_error(error, XML_ERROR, XML_ERROR_PARSE, "%s: not well-formed XML: line %d: %s", what,
              last ? MAX(last->line, 1) : 1, g_strstrip(message));
}

static gpointer parser_init(gpointer data G_GNUC_UNUSED) {
  xmlInitParser();
  return NULL;
}

/* The texts are UTF-8 whatever they say. Naming it makes libxml2 convert (and copy) them, which
 * isn't needed where the first byte rules out that it guesses something else. */
static const char *encoding_of(const char *text) {
  return *text == '<' ? NULL : "UTF-8";
}

xmlParserCtxt *xml_parser_new(void) {
  static GOnce once = G_ONCE_INIT;
  g_once(&once, parser_init, NULL);
  xmlParserCtxt *parser = xmlNewParserCtxt();
  parser->sax->internalSubset = xml_refuse_dtd;
  return parser;
}

gboolean xml_parser_read(xmlParserCtxt *parser, const char *text, int options, gpointer data, const char *what, xmlDoc **ret_doc, GError **error) {
  gsize length = strlen(text);
  if (length > XML_MAX_BYTES) {
    g_set_error(error, XML_ERROR, XML_ERROR_PARSE, "%s: larger than %d MiB", what, XML_MAX_BYTES >> 20);
    return FALSE;
  }
  Reading reading = {.data = data};
  parser->_private = &reading;
  g_autoptr(xmlDoc) doc = xmlCtxtReadMemory(parser, text, (int)length, NULL, encoding_of(text),
                                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC | options);
  parser->_private = NULL;
  if (reading.has_dtd || !parser->wellFormed || (ret_doc && !doc)) {
    parse_error(parser, reading.has_dtd, what, error);
    return FALSE;
  }
  if (ret_doc)
    *ret_doc = g_steal_pointer(&doc);
  return TRUE;
}

xmlDoc *xml_parse(const char *text, const char *what, GError **error) {
  xmlParserCtxt *parser = xml_parser_new();
  xmlDoc *doc = NULL;
  xml_parser_read(parser, text, 0, NULL, what, &doc, error);
  xmlFreeParserCtxt(parser);
  return doc;
}

static char *dump(xmlDoc *doc, xmlNode *node) {
  xmlOutputBuffer *out = xmlAllocOutputBuffer(NULL);
  xmlNodeDumpOutput(out, doc, node, 0, 0, "UTF-8");
  char *text = g_strndup((const char *)xmlOutputBufferGetContent(out), xmlOutputBufferGetSize(out));
  xmlOutputBufferClose(out);
  return text;
}

char *xml_text(xmlDoc *doc) {
  return dump(doc, xmlDocGetRootElement(doc));
}

char *xml_node_text(xmlNode *node) {
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  /* The copy declares the namespaces that it uses. */
  xmlDocSetRootElement(doc, xmlDocCopyNode(node, doc, 1));
  return xml_text(doc);
}
