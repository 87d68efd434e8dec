/* From specs into XML, row by row: what a node holds already, or nobody gave, isn't touched. */
#include "schema/value.h"
#include "state/xml_map.h"
#include "state/xml_tree.h"
#include "state/xml_value.h"

/* One struct of the three-way comparison. */
typedef struct {
  const FieldTable *table;
  xmlNode *base;
  gconstpointer desired, applied; /* each may be NULL */
  XmlCreated created;             /* may be NULL */
} Patch;

static gboolean patch_table(const Patch *patch);

static gconstpointer given_member(const FieldTable *table, const Field *field, gconstpointer spec) {
  return spec && field_given(table, spec, field) ? field_member(field, spec) : NULL;
}

static gboolean holds_already(const Field *field, xmlNode *base, gconstpointer wanted) {
  XmlValue now = {0};
  gboolean same = xml_value_read(field, base, &now) && value_is_met(field, wanted, &now, FALSE);
  value_clear(field, &now);
  return same;
}

static gboolean patch_leaf(const Patch *patch, const Field *field) {
  if (!field->xml)
    return FALSE;
  gconstpointer wanted = given_member(patch->table, field, patch->desired);
  if (wanted)
    return !holds_already(field, patch->base, wanted) && xml_value_write(field, patch->base, wanted);
  return !field->unmanage && given_member(patch->table, field, patch->applied) && xml_value_remove(field, patch->base);
}

/* A group that has its own element. */
static gboolean patch_element(const Patch *inner, const Field *field, const Patch *outer) {
  const XmlPath *path = xml_path(field->xml);
  xmlNode *element = inner->base;
  gboolean made = !element;
  if (made)
    element = xml_path_set(path, outer->base, NULL);
  Patch patch = *inner;
  patch.base = element;
  gboolean changed = patch_table(&patch);
  if (made && field->device) {
    if (patch.created)
      patch.created(field, element, patch.desired);
    return TRUE;
  }
  if ((made || changed) && !field->device && xml_is_empty(element))
    xml_remove_up_to(element, outer->base);
  return changed;
}

static gboolean patch_group(const Patch *patch, const Field *field) {
  Patch inner = {.table = field->sub, .base = patch->base, .created = patch->created,
                 .desired = given_member(patch->table, field, patch->desired),
                 .applied = given_member(patch->table, field, patch->applied)};
  if (!inner.desired && !inner.applied)
    return FALSE;
  if (!field->xml)
    return patch_table(&inner);
  inner.base = xml_path_node(xml_path(field->xml), patch->base);
  if (inner.desired)
    return patch_element(&inner, field, patch);
  if (!inner.base)
    return FALSE;
  if (!field->device)
    return patch_element(&inner, field, patch);
  if (field->unmanage)
    return FALSE;
  xml_remove_up_to(inner.base, patch->base);
  return TRUE;
}

/* A list's elements by the canonical text of what identifies them; the first of equal ones. */
static GHashTable *elements_by_match(const Field *field, xmlNode *base) {
  const Field *match = table_match_field(field->sub);
  g_autoptr(GPtrArray) elements = xml_path_all(xml_path(field->xml), base);
  GHashTable *by_match = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < elements->len; i++) {
    XmlValue value = {0};
    if (!xml_value_read(match, elements->pdata[i], &value))
      continue;
    char *text = value_format(match, &value);
    value_clear(match, &value);
    if (g_hash_table_contains(by_match, text))
      g_free(text);
    else
      g_hash_table_insert(by_match, text, elements->pdata[i]);
  }
  return by_match;
}

static GHashTable *items_by_key(const FieldTable *sub, const GPtrArray *items) {
  GHashTable *by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; items && i < items->len; i++) {
    char *key = item_key(sub, items->pdata[i]);
    if (key)
      g_hash_table_replace(by_key, key, items->pdata[i]);
  }
  return by_key;
}

typedef struct {
  const Patch *patch;
  const Field *field;
  const GPtrArray *desired, *applied; /* items; NULL: none */
  GHashTable *elements;               /* match → element, those that no item has claimed */
  GHashTable *applied_by_key;
} ListPatch;

static xmlNode *claim(ListPatch *list, gconstpointer item) {
  g_autofree char *match = item ? item_match(list->field->sub, item) : NULL;
  xmlNode *element = match ? g_hash_table_lookup(list->elements, match) : NULL;
  if (element)
    g_hash_table_remove(list->elements, match);
  return element;
}

static gpointer applied_item(ListPatch *list, gconstpointer item) {
  g_autofree char *key = item_key(list->field->sub, item);
  return key ? g_hash_table_lookup(list->applied_by_key, key) : NULL;
}

/* Elements of the desired items, by what identifies them now; else by what did when last
 * applied (an interface whose MAC changes). NULL: to be made. */
static GPtrArray *claim_elements(ListPatch *list) {
  GPtrArray *claimed = g_ptr_array_new();
  for (guint i = 0; list->desired && i < list->desired->len; i++)
    g_ptr_array_add(claimed, claim(list, list->desired->pdata[i]));
  for (guint i = 0; i < claimed->len; i++)
    if (!claimed->pdata[i])
      claimed->pdata[i] = claim(list, applied_item(list, list->desired->pdata[i]));
  return claimed;
}

static gboolean remove_dropped(ListPatch *list) {
  g_autoptr(GHashTable) wanted = items_by_key(list->field->sub, list->desired);
  gboolean changed = FALSE;
  for (guint i = 0; list->applied && i < list->applied->len; i++) {
    g_autofree char *key = item_key(list->field->sub, list->applied->pdata[i]);
    xmlNode *element = key && !g_hash_table_contains(wanted, key) ? claim(list, list->applied->pdata[i]) : NULL;
    if (element)
      xml_remove_up_to(element, list->patch->base);
    changed |= element != NULL;
  }
  return changed;
}

static gboolean patch_item(ListPatch *list, gconstpointer item, xmlNode *element) {
  Patch inner = {.table = list->field->sub, .base = element, .desired = item, .applied = applied_item(list, item),
                 .created = list->patch->created};
  if (element)
    return patch_table(&inner);
  inner.base = xml_path_append(xml_path(list->field->xml), list->patch->base);
  patch_table(&inner);
  if (inner.created)
    inner.created(list->field, inner.base, item);
  return TRUE;
}

static gboolean patch_list(const Patch *patch, const Field *field) {
  GPtrArray *const *desired = given_member(patch->table, field, patch->desired);
  GPtrArray *const *applied = given_member(patch->table, field, patch->applied);
  if (!field->xml || (!desired && (!applied || field->unmanage)))
    return FALSE;
  g_autoptr(GHashTable) elements = elements_by_match(field, patch->base);
  g_autoptr(GHashTable) applied_by_key = items_by_key(field->sub, applied ? *applied : NULL);
  ListPatch list = {.patch = patch, .field = field, .desired = desired ? *desired : NULL,
                    .applied = applied ? *applied : NULL, .elements = elements, .applied_by_key = applied_by_key};
  g_autoptr(GPtrArray) claimed = claim_elements(&list);
  gboolean changed = remove_dropped(&list);
  for (guint i = 0; i < claimed->len; i++)
    changed |= patch_item(&list, list.desired->pdata[i], claimed->pdata[i]);
  return changed;
}

/* "A ?? B": B is the most of A (vcpu, memory) and another row's. A change of B must not
 * change an A that nobody gave, other than to keep it within B. */
typedef struct {
  const Field *field;
  gboolean known;
  guint64 before;
} Kept;

static const XmlPath *fallback_of(const Field *field) {
  return field->xml && field->type != VALUE_GROUP && field->type != VALUE_LIST
             ? xml_path_fallback(xml_path(field->xml)) : NULL;
}

static Kept keep(const Patch *patch, const Field *field) {
  Kept kept = {.field = field};
  if (!given_member(patch->table, field, patch->desired))
    kept.known = xml_value_read(field, patch->base, &kept.before);
  return kept;
}

static gboolean restore(const Patch *patch, const Kept *kept) {
  Field most = *kept->field;
  most.xml = xml_path_name(xml_path_fallback(xml_path(kept->field->xml)));
  guint64 limit, wanted = kept->before;
  if (xml_value_read(&most, patch->base, &limit) && wanted > limit)
    wanted = limit;
  return !holds_already(kept->field, patch->base, &wanted) && xml_value_write(kept->field, patch->base, &wanted);
}

static gboolean patch_field(const Patch *patch, const Field *field) {
  if (field->type == VALUE_GROUP)
    return patch_group(patch, field);
  if (field->type == VALUE_LIST)
    return patch_list(patch, field);
  return patch_leaf(patch, field);
}

static gboolean patch_table(const Patch *patch) {
  gboolean changed = FALSE;
  Kept kept[4];
  guint n_kept = 0;
  for (guint i = 0; i < patch->table->n_fields; i++) {
    const Field *field = &patch->table->fields[i];
    if (fallback_of(field) && n_kept < G_N_ELEMENTS(kept))
      kept[n_kept++] = keep(patch, field);
  }
  for (guint i = 0; i < patch->table->n_fields; i++)
    if (!fallback_of(&patch->table->fields[i]))
      changed |= patch_field(patch, &patch->table->fields[i]);
  for (guint i = 0; i < n_kept; i++)
    changed |= kept[i].known ? restore(patch, &kept[i]) : patch_field(patch, kept[i].field);
  return changed;
}

gboolean xml_map_patch_with(const FieldTable *table, xmlNode *root, gconstpointer desired, gconstpointer applied,
                            XmlCreated created) {
  Patch patch = {.table = table, .base = root, .desired = desired, .applied = applied, .created = created};
  return patch_table(&patch);
}

gboolean xml_map_patch(const FieldTable *table, xmlNode *root, gconstpointer desired, gconstpointer applied) {
  return xml_map_patch_with(table, root, desired, applied, NULL);
}
