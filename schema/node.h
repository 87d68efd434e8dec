/* YAML text as a tree with places. The one place that includes <yaml.h>. Every
 * byte sequence ends in documents or errors; limits bound size, depth, nodes and
 * what aliases may expand to, so that a bomb ends in milliseconds. */
#pragma once
#include "schema/diag.h"

typedef enum { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING } NodeKind;
typedef enum { SCALAR_STRING, SCALAR_INT, SCALAR_FLOAT, SCALAR_BOOL, SCALAR_NULL } ScalarType; /* YAML 1.2 core schema */

typedef struct Node Node;
typedef struct NodeTree NodeTree;
struct Node {
  NodeKind kind;
  Place at;
  ScalarType scalar; /* NODE_SCALAR: quoted ones and blocks are always strings */
  char *text;        /* NODE_SCALAR: without NUL bytes, valid UTF-8 */
  Node **keys;       /* NODE_MAPPING: n scalars; duplicate keys are diagnosed */
  Node **items;      /* NODE_MAPPING: n values; NODE_SEQUENCE: n items; aliases share the anchor's node */
  guint n;
  guint size;        /* nodes below and itself, aliases expanded */
  guint height;      /* levels below and itself */
  NodeTree *tree;    /* that it is a part of: all nodes of a file stay as long as one is referenced */
};

typedef struct {
  gsize max_bytes;  /* of one file */
  guint max_depth, max_nodes; /* of one file, aliases expanded */
} NodeLimits;
extern const NodeLimits node_limits_default; /* 4 MiB, 64, 500,000 */

/* The documents of a file: Node *, possibly none. What is wrong goes to
 * diagnostics; a file with a syntax error yields no documents at all. */
GPtrArray *node_parse(const char *file, const char *data, gsize length, const NodeLimits *limits, Diagnostics *diagnostics);
Node *node_ref(Node *node);
void node_free(Node *node); /* drops a reference; accepts NULL */
/* The value of a mapping's key; NULL when there is none, or the node isn't a mapping. */
const Node *node_get(const Node *node, const char *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Node, node_free)
const char *scalar_type_name(ScalarType type); /* "an integer" */
ScalarType scalar_resolve(const char *text); /* of a word without quotes */
