/* The one way into libxml2's parser. A document type declaration ends parsing at
 * once, so entities are never declared, expanded or fetched. */
#include "state/xml.h"

#include <libxml/parser.h>
#include <string.h>

G_DEFINE_QUARK(reconcile-xml-error, xml_error)

/* libvirt itself reads at most 10 MiB of domain XML over its protocol; libxml2
 * bounds depth (256) and text (10 MB) itself as long as XML_PARSE_HUGE isn't set. */
#define XML_MAX_BYTES (16 << 20)

static void refuse_dtd(void *context, const xmlChar *name G_GNUC_UNUSED, const xmlChar *public_id G_GNUC_UNUSED,
                       const xmlChar *system_id G_GNUC_UNUSED) {
  xmlParserCtxt *parser = context;
  *(gboolean *)parser->_private = TRUE;
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

static xmlDoc *parse_with(xmlParserCtxt *parser, const char *text, int more_options, const char *what, GError **error) {
  gsize length = strlen(text);
  if (length > XML_MAX_BYTES) {
    g_set_error(error, XML_ERROR, XML_ERROR_PARSE, "%s: larger than %d MiB", what, XML_MAX_BYTES >> 20);
    return NULL;
  }
  gboolean has_dtd = FALSE;
  parser->_private = &has_dtd;
  parser->sax->internalSubset = refuse_dtd;
  xmlDoc *doc = xmlCtxtReadMemory(parser, text, (int)length, NULL, encoding_of(text),
                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC | more_options);
  if (has_dtd || !doc || !xmlDocGetRootElement(doc)) {
    parse_error(parser, has_dtd, what, error);
    g_clear_pointer(&doc, xmlFreeDoc);
  }
  return doc;
}

static xmlParserCtxt *parser_new(void) {
  static GOnce once = G_ONCE_INIT;
  g_once(&once, parser_init, NULL);
  return xmlNewParserCtxt();
}

xmlDoc *xml_parse(const char *text, const char *what, GError **error) {
  xmlParserCtxt *parser = parser_new();
  xmlDoc *doc = parse_with(parser, text, 0, what, error);
  xmlFreeParserCtxt(parser);
  return doc;
}

/* A thread's parser keeps its dictionary of names from one text to the next. It is made anew
 * after an error, and now and then, since a dictionary only grows. */
enum { MOST_TEXTS = 4096 };

typedef struct {
  xmlParserCtxt *parser;
  guint n_texts;
} Reader;

static void reader_free(gpointer data) {
  Reader *reader = data;
  if (reader->parser)
    xmlFreeParserCtxt(reader->parser);
  g_free(reader);
}

static Reader *thread_reader(void) {
  static GPrivate readers = G_PRIVATE_INIT(reader_free);
  Reader *reader = g_private_get(&readers);
  if (!reader)
    g_private_set(&readers, reader = g_new0(Reader, 1));
  if (!reader->parser)
    *reader = (Reader){parser_new(), 0};
  return reader;
}

/* Within the last 250 bytes libxml2 looks for more input at every step. Blanks after the root element are none of them. */
enum { TAIL = 256 };

xmlDoc *xml_parse_lean(const char *text, const char *what, GError **error) {
  Reader *reader = thread_reader();
  gsize length = strlen(text);
  g_autofree char *padded = g_malloc(length + TAIL + 1);
  memcpy(padded, text, length);
  memset(padded + length, ' ', TAIL);
  padded[length + TAIL] = '\0';
  xmlDoc *doc = parse_with(reader->parser, padded, XML_PARSE_NOBLANKS | XML_PARSE_COMPACT, what, error);
  if (!doc || ++reader->n_texts == MOST_TEXTS)
    g_clear_pointer(&reader->parser, xmlFreeParserCtxt);
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
