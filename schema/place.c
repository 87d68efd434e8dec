/* From a path such as "disks[vda].size" back to the line that says so. Looked up in the
 * document's tree when there is something to say, so that decoding pays nothing for it. */
#include "schema/validate.h"
#include <string.h>

/* The item whose key field has this text, in any case of letters: the text is canonical. */
static const Node *find_item(const Node *list, const char *key_name, const char *key) {
  for (guint i = 0; i < list->n; i++) {
    const Node *value = node_get(list->items[i], key_name);
    if (value && value->kind == NODE_SCALAR && g_ascii_strcasecmp(value->text, key) == 0)
      return list->items[i];
  }
  return NULL;
}

typedef struct {
  char *key, *item; /* item NULL: no [..] */
} Step;

/* Takes one step off the path; FALSE at its end. */
static gboolean next_step(const char **path, Step *step) {
  if (!**path)
    return FALSE;
  gsize key = strcspn(*path, ".[");
  *step = (Step){g_strndup(*path, key), NULL};
  *path += key;
  if (**path == '[') {
    const char *end = strchr(*path, ']'); /* names have no brackets */
    step->item = g_strndup(*path + 1, (gsize)(end - *path - 1));
    *path = end + 1;
  }
  if (**path == '.')
    (*path)++;
  return TRUE;
}

Place object_place(const Object *object, const char *path, gboolean *ret_exact) {
  gboolean metadata = g_str_has_prefix(path, "metadata.");
  const FieldTable *table = metadata ? &MetadataSpec_table : kinds[object->kind].spec;
  const Node *node = object->node ? node_get(object->node, metadata ? "metadata" : "spec") : NULL;
  Place at = node ? node->at : object->at;
  Step step;
  path += metadata ? strlen("metadata.") : 0;
  while (next_step(&path, &step)) {
    const Field *field = table ? table_find(table, step.key) : NULL;
    node = field ? node_get(node, step.key) : NULL;
    if (node)
      at = node->at;
    table = field ? field->sub : NULL;
    if (node && step.item && table && node->kind == NODE_SEQUENCE) {
      node = find_item(node, table_key_field(table)->key, step.item);
      at = node ? node->at : at;
    }
    g_free(step.key);
    g_free(step.item);
    if (!node)
      break;
  }
  if (ret_exact)
    *ret_exact = node != NULL;
  return at;
}
