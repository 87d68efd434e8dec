#include "schema/node_keys.h"

#include <string.h>

#define FEW_KEYS 16 /* up to here looking at all is faster than a hash table */

static const Node *find_key(NodeKeys *keys, const char *text) {
  if (keys->n > FEW_KEYS && !keys->seen) {
    keys->seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < keys->n; i++)
      g_hash_table_insert(keys->seen, keys->pairs[2 * i]->text, keys->pairs[2 * i]);
  }
  if (keys->seen)
    return g_hash_table_lookup(keys->seen, text);
  for (guint i = 0; i < keys->n; i++)
    if (strcmp(keys->pairs[2 * i]->text, text) == 0)
      return keys->pairs[2 * i];
  return NULL;
}

gboolean node_keys_check(NodeKeys *keys, const Node *key, gboolean plain, Diagnostics *diagnostics) {
  if (plain && strcmp(key->text, "<<") == 0) {
    diag_error(diagnostics, key->at, "merge keys (<<) aren't supported: use a Profile, or repeat the keys");
    return FALSE;
  }
  if (key->scalar == SCALAR_NULL) {
    diag_error(diagnostics, key->at, "a key can't be empty or null");
    return FALSE;
  }
  const Node *first = find_key(keys, key->text);
  if (!first) {
    if (keys->seen)
      g_hash_table_insert(keys->seen, key->text, (gpointer)key);
    return TRUE;
  }
  g_autofree char *shown = quoted(key->text);
  diag_error(diagnostics, key->at, "the key %s is given twice", shown);
  diag_note(diagnostics, first->at, "first given here");
  return FALSE;
}
