/* YAML events to a tree. libyaml tells syntax; what is accepted of it, and how
 * much, is decided here. An alias shares its anchor's node and counts with the
 * anchor's whole size, so a bomb is refused before anything is copied. */
#include "schema/node.h"

#include <string.h>
#include <yaml.h>

#include "schema/arena.h"
#include "schema/node_keys.h"
#include "schema/node_tags.h"

const NodeLimits node_limits_default = {.max_bytes = 4 << 20, .max_depth = 64, .max_nodes = 500000};

#define ERRORS_MAX 1000 /* of one file; more help nobody */

typedef struct {
  yaml_parser_t yaml;
  const char *file; /* interned */
  const char *data, *end;
  const NodeLimits *limits;
  Diagnostics *diagnostics;
  guint errors_before;
  NodeTree *tree;
  GPtrArray *begun;    /* of Node *: what collections hold that aren't complete */
  GHashTable *anchors; /* name → Node *, or NULL while it is still open */
  guint nodes;         /* of the file so far, aliases expanded */
} Parser;

typedef yaml_event_t YamlEvent;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(YamlEvent, yaml_event_delete)

/* All nodes of a file. */
struct NodeTree {
  Arena *arena;
  guint refs;
};

Node *node_ref(Node *node) {
  node->tree->refs++;
  return node;
}

static void tree_unref(NodeTree *tree) {
  if (--tree->refs == 0)
    arena_free(tree->arena); /* and itself with it */
}

void node_free(Node *node) {
  if (node)
    tree_unref(node->tree);
}

static void node_release(gpointer node) { node_free(node); }

/* Most files fit. */
static NodeTree *tree_new(gsize file_length) {
  Arena *arena = arena_new(1024 + 12 * MIN(file_length, 1 << 16));
  NodeTree *tree = arena_take(arena, sizeof(NodeTree));
  *tree = (NodeTree){.arena = arena, .refs = 1};
  return tree;
}

const Node *node_get(const Node *node, const char *key) {
  if (!node || node->kind != NODE_MAPPING)
    return NULL;
  for (guint i = 0; i < node->n; i++)
    if (strcmp(node->keys[i]->text, key) == 0)
      return node->items[i];
  return NULL;
}

static Place place_of(const Parser *parser, yaml_mark_t mark) {
  return (Place){parser->file, (guint)mark.line + 1, (guint)mark.column + 1};
}

static gboolean too_many_errors(const Parser *parser, Place at) {
  if (parser->diagnostics->errors - parser->errors_before < ERRORS_MAX)
    return FALSE;
  diag_error(parser->diagnostics, at, "too many errors in this file");
  return TRUE;
}

/* Adds to the count of nodes; FALSE when there are too many. */
static gboolean count_nodes(Parser *parser, Place at, guint nodes) {
  if (nodes <= parser->limits->max_nodes - parser->nodes) {
    parser->nodes += nodes;
    return TRUE;
  }
  diag_error(parser->diagnostics, at, "the file has more than %u nodes with its aliases expanded: split it",
             parser->limits->max_nodes);
  return FALSE;
}

static Node *node_new(Parser *parser, NodeKind kind, Place at) {
  Node *node = arena_take(parser->tree->arena, sizeof(Node));
  *node = (Node){.kind = kind, .at = at, .tree = parser->tree, .size = 1, .height = 1};
  return node;
}

static void node_holds(Node *node, const Node *child) {
  node->size += child->size;
  node->height = MAX(node->height, child->height + 1);
}

/* What was begun since `first`: each `step`th one of it. */
static Node **take_begun(Parser *parser, guint first, guint step) {
  guint n = (parser->begun->len - first + step - 1) / step;
  Node **nodes = arena_take(parser->tree->arena, n * sizeof(Node *));
  for (guint i = 0; i < n; i++)
    nodes[i] = parser->begun->pdata[first + i * step];
  return nodes;
}

static Node *scalar_node(Parser *parser, const yaml_event_t *event) {
  Place at = place_of(parser, event->start_mark);
  const char *value = (const char *)event->data.scalar.value, *tag = (const char *)event->data.scalar.tag;
  gsize length = event->data.scalar.length;
  if (strlen(value) != length || !g_utf8_validate(value, (gssize)length, NULL)) {
    diag_error(parser->diagnostics, at, "the text holds a NUL byte or isn't valid UTF-8");
    return NULL;
  }
  Node *node = node_new(parser, NODE_SCALAR, at);
  node->text = arena_text(parser->tree->arena, value, length);
  if (tag)
    node->scalar = node_tag_scalar(tag, node->text, at, parser->diagnostics);
  else
    node->scalar = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? scalar_resolve(node->text) : SCALAR_STRING;
  return count_nodes(parser, at, 1) ? node : NULL;
}

/* Where a byte is, for people. */
static Place place_of_byte(const char *file, const char *data, const char *byte) {
  Place at = {file, 1, 1};
  for (; data < byte; data++) {
    if (*data == '\n')
      at = (Place){file, at.line + 1, 1};
    else if ((*data & 0xc0) != 0x80)
      at.column++;
  }
  return at;
}

static gboolean is_indented_by_tab(const Parser *parser, gsize line) {
  const char *at = parser->data;
  while (line > 0 && at < parser->end)
    line -= *at++ == '\n';
  while (at < parser->end && *at == ' ')
    at++;
  return at < parser->end && *at == '\t';
}

static void report_syntax(Parser *parser) {
  const yaml_parser_t *yaml = &parser->yaml;
  Place at = yaml->error == YAML_READER_ERROR ? place_of_byte(parser->file, parser->data, parser->data + yaml->problem_offset)
                                              : place_of(parser, yaml->problem_mark);
  const char *problem = yaml->problem ? yaml->problem : "it can't be read";
  if (yaml->error == YAML_SCANNER_ERROR && is_indented_by_tab(parser, yaml->problem_mark.line))
    diag_error(parser->diagnostics, at, "a tab where YAML has spaces: indent with spaces");
  else if (yaml->error == YAML_MEMORY_ERROR)
    diag_error(parser->diagnostics, at, "out of memory");
  else if (yaml->context && yaml->context_mark.line != yaml->problem_mark.line)
    diag_error(parser->diagnostics, at, "not valid YAML: %s (%s that begins at line %u)", problem, yaml->context,
               (guint)yaml->context_mark.line + 1);
  else if (yaml->context)
    diag_error(parser->diagnostics, at, "not valid YAML: %s (%s)", problem, yaml->context);
  else
    diag_error(parser->diagnostics, at, "not valid YAML: %s", problem);
}

static gboolean next_event(Parser *parser, yaml_event_t *ret_event) {
  if (yaml_parser_parse(&parser->yaml, ret_event))
    return TRUE;
  report_syntax(parser);
  return FALSE;
}

static Node *alias_node(Parser *parser, const yaml_event_t *event, guint depth) {
  Place at = place_of(parser, event->start_mark);
  const char *name = (const char *)event->data.alias.anchor;
  gpointer anchored = NULL;
  g_autofree char *shown = quoted(name);
  if (!g_hash_table_lookup_extended(parser->anchors, name, NULL, &anchored)) {
    diag_error(parser->diagnostics, at, "no anchor is named %s", shown);
    return NULL;
  }
  if (!anchored) {
    diag_error(parser->diagnostics, at, "the alias %s stands within what it refers to", shown);
    return NULL;
  }
  Node *node = anchored;
  if (depth + node->height - 1 > parser->limits->max_depth) {
    diag_error(parser->diagnostics, at, "nested deeper than %u levels", parser->limits->max_depth);
    return NULL;
  }
  return count_nodes(parser, at, node->size) ? node : NULL;
}

static Node *read_node(Parser *parser, const yaml_event_t *event, guint depth);

static gboolean read_items(Parser *parser, Node *sequence, guint depth) {
  guint first = parser->begun->len;
  for (;;) {
    g_auto(YamlEvent) event = {0};
    if (!next_event(parser, &event))
      return FALSE;
    if (event.type == YAML_SEQUENCE_END_EVENT)
      break;
    Node *item = read_node(parser, &event, depth + 1);
    if (!item)
      return FALSE;
    g_ptr_array_add(parser->begun, item);
    node_holds(sequence, item);
  }
  sequence->n = parser->begun->len - first;
  sequence->items = take_begun(parser, first, 1);
  g_ptr_array_set_size(parser->begun, (int)first);
  return TRUE;
}

static Node *read_key(Parser *parser, const yaml_event_t *event, guint depth) {
  Node *key = read_node(parser, event, depth);
  if (!key || key->kind == NODE_SCALAR)
    return key;
  diag_error(parser->diagnostics, place_of(parser, event->start_mark), "a key must be a word, not a %s",
             key->kind == NODE_MAPPING ? "mapping" : "list");
  return NULL;
}

/* One pair, or the mapping's end (*ret_key is NULL then). */
static gboolean read_pair(Parser *parser, guint depth, Node **ret_key, Node **ret_value, gboolean *ret_plain) {
  g_auto(YamlEvent) event = {0};
  g_auto(YamlEvent) next = {0};
  *ret_key = NULL;
  if (!next_event(parser, &event))
    return FALSE;
  if (event.type == YAML_MAPPING_END_EVENT)
    return TRUE;
  *ret_key = read_key(parser, &event, depth);
  if (!*ret_key || too_many_errors(parser, (*ret_key)->at) || !next_event(parser, &next))
    return FALSE;
  *ret_value = read_node(parser, &next, depth);
  *ret_plain = event.type == YAML_SCALAR_EVENT && event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  return *ret_value != NULL;
}

static gboolean read_pairs(Parser *parser, Node *mapping, guint depth) {
  guint first = parser->begun->len;
  g_autoptr(GHashTable) seen = NULL;
  for (;;) {
    Node *key, *value;
    gboolean plain;
    if (!read_pair(parser, depth + 1, &key, &value, &plain))
      return FALSE;
    if (!key)
      break;
    NodeKeys keys = {.pairs = (Node **)parser->begun->pdata + first, .n = (parser->begun->len - first) / 2, .seen = seen};
    gboolean fine = node_keys_check(&keys, key, plain, parser->diagnostics);
    seen = keys.seen;
    if (!fine)
      continue;
    node_holds(mapping, key);
    node_holds(mapping, value);
    g_ptr_array_add(parser->begun, key);
    g_ptr_array_add(parser->begun, value);
  }
  mapping->n = (parser->begun->len - first) / 2;
  mapping->keys = take_begun(parser, first, 2);
  mapping->items = take_begun(parser, first + 1, 2);
  g_ptr_array_set_size(parser->begun, (int)first);
  return TRUE;
}

static Node *read_collection(Parser *parser, const yaml_event_t *event, guint depth) {
  gboolean mapping = event->type == YAML_MAPPING_START_EVENT;
  const char *tag = (const char *)(mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag);
  Place at = place_of(parser, event->start_mark);
  NodeKind kind = mapping ? NODE_MAPPING : NODE_SEQUENCE;
  if (tag)
    node_tag_check(tag, kind, at, parser->diagnostics);
  Node *node = node_new(parser, kind, at);
  if (!count_nodes(parser, at, 1))
    return NULL;
  gboolean ok = mapping ? read_pairs(parser, node, depth) : read_items(parser, node, depth);
  return ok ? node : NULL;
}

static const char *anchor_of(const yaml_event_t *event) {
  return (const char *)(event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
                        : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
                        : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
                                                                   : NULL);
}

/* The node that begins with the event; NULL after an error that ends the file. */
static Node *read_node(Parser *parser, const yaml_event_t *event, guint depth) {
  Place at = place_of(parser, event->start_mark);
  if (depth > parser->limits->max_depth) {
    diag_error(parser->diagnostics, at, "nested deeper than %u levels", parser->limits->max_depth);
    return NULL;
  }
  if (too_many_errors(parser, at))
    return NULL;
  if (event->type == YAML_ALIAS_EVENT)
    return alias_node(parser, event, depth);
  const char *anchor = anchor_of(event);
  if (anchor) /* open, until the node is complete */
    g_hash_table_insert(parser->anchors, g_strdup(anchor), NULL);
  Node *node = event->type == YAML_SCALAR_EVENT ? scalar_node(parser, event) : read_collection(parser, event, depth);
  if (anchor && node)
    g_hash_table_insert(parser->anchors, g_strdup(anchor), node);
  return node;
}

static gboolean is_nothing(const Node *node) { return node->kind == NODE_SCALAR && node->scalar == SCALAR_NULL; }

/* FALSE after an error. */
static gboolean read_documents(Parser *parser, GPtrArray *documents) {
  for (;;) {
    g_auto(YamlEvent) event = {0};
    if (!next_event(parser, &event))
      return FALSE;
    switch (event.type) {
    case YAML_STREAM_END_EVENT:
      return TRUE;
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
      break;
    case YAML_DOCUMENT_START_EVENT:
      g_hash_table_remove_all(parser->anchors); /* they count within their document */
      break;
    default: {
      Node *node = read_node(parser, &event, 1);
      if (!node)
        return FALSE;
      if (!is_nothing(node))
        g_ptr_array_add(documents, node_ref(node));
    }
    }
  }
}

static gboolean check_bytes(const char *file, const char *data, gsize length, const NodeLimits *limits, Diagnostics *diagnostics) {
  const char *end;
  if (length > limits->max_bytes) {
    g_autofree char *most = g_format_size_full(limits->max_bytes, G_FORMAT_SIZE_IEC_UNITS);
    diag_error(diagnostics, (Place){file, 0, 0}, "the file is larger than %s: split it", most);
    return FALSE;
  }
  if (g_utf8_validate_len(data, length, &end))
    return TRUE;
  diag_error(diagnostics, place_of_byte(file, data, end), *end ? "not valid UTF-8" : "a NUL byte: this isn't a text file");
  return FALSE;
}

GPtrArray *node_parse(const char *file, const char *data, gsize length, const NodeLimits *limits, Diagnostics *diagnostics) {
  g_autoptr(GPtrArray) documents = g_ptr_array_new_with_free_func(node_release);
  const char *name = g_intern_string(file);
  if (length >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
    data += 3, length -= 3;
  if (length == 0 || !check_bytes(name, data, length, limits, diagnostics))
    return g_steal_pointer(&documents);
  g_autoptr(GPtrArray) begun = g_ptr_array_sized_new(64); /* never without memory: there are pointers into it */
  g_autoptr(GHashTable) anchors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  Parser parser = {
      .file = name, .data = data, .end = data + length, .limits = limits, .diagnostics = diagnostics, .errors_before = diagnostics->errors,
      .tree = tree_new(length), .begun = begun, .anchors = anchors,
  };
  if (!yaml_parser_initialize(&parser.yaml))
    g_error("out of memory");
  yaml_parser_set_encoding(&parser.yaml, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser.yaml, (const guchar *)data, length);
  if (!read_documents(&parser, documents))
    g_ptr_array_set_size(documents, 0);
  yaml_parser_delete(&parser.yaml);
  tree_unref(parser.tree);
  return g_steal_pointer(&documents);
}
