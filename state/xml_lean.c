#include "state/xml_lean.h"

#include <libxml/parserInternals.h>
#include <string.h>

#include "schema/arena.h"
#include "state/xml_parser.h"

/* Most documents fit into their first piece: nodes take seven to nine times the room of libvirt's text. */
enum { ROOM_PER_BYTE = 10, LEAST_ROOM = 4096 };

struct XmlLean {
  Arena *arena;
  xmlDoc doc;
  xmlNode *open; /* whose content is being read: an element, or the document */
  gsize length;  /* of the text that was begun last */
};

static xmlChar *take_text(XmlLean *lean, const xmlChar *text, gsize length) {
  return BAD_CAST arena_text(lean->arena, (const char *)text, length);
}

static xmlNode *node_new(XmlLean *lean, xmlElementType type, const xmlChar *name, xmlNode *parent) {
  xmlNode *node = arena_take(lean->arena, sizeof(xmlNode));
  node->type = type;
  node->name = name;
  node->parent = parent;
  node->doc = &lean->doc;
  return node;
}

static void append(xmlNode *parent, xmlNode *node) {
  node->prev = parent->last;
  *(parent->last ? &parent->last->next : &parent->children) = node;
  parent->last = node;
}

/* The blanks before an element, and behind the last one, are none of the content; those in the middle of a text are. */
static void drop_blanks(xmlNode *parent) {
  xmlNode *last = parent->last;
  if (!last || last->type != XML_TEXT_NODE || (last->prev && parent->children->type == XML_TEXT_NODE) || !xmlIsBlankNode(last))
    return;
  parent->last = last->prev;
  *(last->prev ? &last->prev->next : &parent->children) = NULL;
}

static void take_namespaces(XmlLean *lean, xmlNode *element, const xmlChar **namespaces, int n) {
  xmlNs **link = &element->nsDef;
  for (int i = 0; i < n; i++, link = &(*link)->next) {
    *link = arena_take(lean->arena, sizeof(xmlNs));
    (*link)->type = XML_NAMESPACE_DECL;
    (*link)->prefix = namespaces[2 * i]; /* both are the dictionary's */
    (*link)->href = namespaces[2 * i + 1];
    (*link)->context = &lean->doc;
  }
}

static xmlNs *find_namespace(XmlLean *lean, xmlNode *element, const xmlChar *prefix, const xmlChar *uri) {
  static xmlNs of_xml = {.type = XML_NAMESPACE_DECL, .href = XML_XML_NAMESPACE, .prefix = BAD_CAST "xml"};
  if (!uri)
    return NULL;
  for (; element != (xmlNode *)&lean->doc; element = element->parent)
    for (xmlNs *each = element->nsDef; each; each = each->next)
      if (each->prefix == prefix)
        return each;
  return &of_xml; /* the only one that needn't be declared */
}

/* One of a prefix that isn't declared is a part of the name. */
static const xmlChar *full_name(XmlLean *lean, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
  if (!prefix || uri)
    return name;
  g_autofree char *full = g_strconcat((const char *)prefix, ":", (const char *)name, NULL);
  return take_text(lean, BAD_CAST full, strlen(full));
}

/* Of five words: name, prefix, namespace, and from where to where the value is. */
static xmlAttr *attribute_new(XmlLean *lean, xmlNode *element, const xmlChar **words) {
  xmlAttr *attribute = arena_take(lean->arena, sizeof(xmlAttr));
  attribute->type = XML_ATTRIBUTE_NODE;
  attribute->name = full_name(lean, words[0], words[1], words[2]);
  attribute->parent = element;
  attribute->doc = &lean->doc;
  attribute->ns = words[1] ? find_namespace(lean, element, words[1], words[2]) : NULL;
  attribute->children = attribute->last = node_new(lean, XML_TEXT_NODE, xmlStringText, (xmlNode *)attribute);
  attribute->children->content = take_text(lean, words[3], (gsize)(words[4] - words[3]));
  return attribute;
}

static XmlLean *lean_of(gpointer context) { return xml_parser_data(context); }

static void start_element(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_namespaces,
                          const xmlChar **namespaces, int n_attributes, int n_defaulted G_GNUC_UNUSED, const xmlChar **attributes) {
  XmlLean *lean = lean_of(context);
  drop_blanks(lean->open);
  xmlNode *element = node_new(lean, XML_ELEMENT_NODE, full_name(lean, name, prefix, uri), lean->open);
  append(lean->open, element);
  take_namespaces(lean, element, namespaces, n_namespaces);
  element->ns = find_namespace(lean, element, prefix, uri);
  xmlAttr *last = NULL;
  for (int i = 0; i < n_attributes; i++) {
    xmlAttr *attribute = attribute_new(lean, element, attributes + 5 * i);
    attribute->prev = last;
    *(last ? &last->next : &element->properties) = attribute;
    last = attribute;
  }
  lean->open = element;
}

static void end_element(void *context, const xmlChar *name G_GNUC_UNUSED, const xmlChar *prefix G_GNUC_UNUSED, const xmlChar *uri G_GNUC_UNUSED) {
  XmlLean *lean = lean_of(context);
  if (lean->open->children != lean->open->last)
    drop_blanks(lean->open);
  lean->open = lean->open->parent;
}

/* It comes in parts: what follows the text that was begun last makes that longer. */
static void take_characters(void *context, const xmlChar *part, int part_length) {
  XmlLean *lean = lean_of(context);
  xmlNode *text = lean->open->last;
  gsize length = (gsize)part_length;
  if (text && text->type == XML_TEXT_NODE) {
    text->content = BAD_CAST arena_text_append(lean->arena, (char *)text->content, lean->length, (const char *)part, length);
    lean->length += length;
    return;
  }
  text = node_new(lean, XML_TEXT_NODE, xmlStringText, lean->open);
  text->content = take_text(lean, part, length);
  lean->length = length;
  append(lean->open, text);
}

static const xmlSAXHandler handler = {
  .initialized = XML_SAX2_MAGIC,
  .internalSubset = xml_refuse_dtd,
  .startElementNs = start_element,
  .endElementNs = end_element,
  .characters = take_characters,
  .ignorableWhitespace = take_characters, /* the same: then libxml2 doesn't judge */
  .cdataBlock = take_characters,
};

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
  if (!reader->parser) {
    *reader = (Reader){.parser = xml_parser_new()};
    *reader->parser->sax = handler;
    reader->parser->sax2 = 1;
  }
  return reader;
}

static XmlLean *lean_new(xmlDict *dictionary, gsize room) {
  Arena *arena = arena_new(room);
  XmlLean *lean = arena_take(arena, sizeof(XmlLean));
  *lean = (XmlLean){.arena = arena, .doc = {.type = XML_DOCUMENT_NODE, .doc = &lean->doc, .dict = dictionary, .standalone = -1}};
  lean->open = (xmlNode *)&lean->doc;
  xmlDictReference(dictionary);
  return lean;
}

void xml_lean_free(XmlLean *lean) {
  if (!lean)
    return;
  xmlDictFree(lean->doc.dict);
  arena_free(lean->arena);
}

xmlNode *xml_lean_root(XmlLean *lean) { return lean ? lean->doc.children : NULL; }

/* Within the last 250 bytes libxml2 looks for more input at every step. Blanks after the root element are none of them. */
enum { TAIL = 256 };

XmlLean *xml_parse_lean(const char *text, const char *what, GError **error) {
  Reader *reader = thread_reader();
  gsize length = strlen(text);
  g_autofree char *padded = g_malloc(length + TAIL + 1);
  memcpy(padded, text, length);
  memset(padded + length, ' ', TAIL);
  padded[length + TAIL] = '\0';
  g_autoptr(XmlLean) lean = lean_new(reader->parser->dict, LEAST_ROOM + ROOM_PER_BYTE * MIN(length, 1 << 16));
  /* References are those of characters, and of XML's own five entities: others can't be declared. */
  gboolean sound = xml_parser_read(reader->parser, padded, XML_PARSE_NOENT, lean, what, NULL, error);
  if (!sound || ++reader->n_texts == MOST_TEXTS)
    g_clear_pointer(&reader->parser, xmlFreeParserCtxt);
  return sound ? g_steal_pointer(&lean) : NULL;
}
