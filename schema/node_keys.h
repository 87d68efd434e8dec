/* The keys of a mapping that is being read: words, each of them once. */
#pragma once
#include "schema/node.h"

typedef struct {
  Node *const *pairs; /* the mapping's so far: key and value in turn */
  guint n;            /* pairs */
  GHashTable *seen;   /* text → key; NULL: as long as it doesn't pay */
} NodeKeys;
/* Whether the key may be kept; else it is diagnosed. `plain`: it stands there without quotes. */
gboolean node_keys_check(NodeKeys *keys, const Node *key, gboolean plain, Diagnostics *diagnostics);
