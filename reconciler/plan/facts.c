#include "reconciler/plan/facts.h"

static const Field *field_of(guint list) { return &FactsSpec_table.fields[list]; }

static GPtrArray **items_of(const FactsSpec *facts, guint list) { return field_member(field_of(list), facts); }

gpointer facts_find(const FactsSpec *facts, guint list, const char *key) {
  const FieldTable *table = field_of(list)->sub;
  return field_given(&FactsSpec_table, facts, field_of(list)) ? list_find(table, *items_of(facts, list), table_key_field(table), key) : NULL;
}

gpointer facts_need(FactsSpec *facts, guint list, const char *key) {
  const FieldTable *table = field_of(list)->sub;
  gpointer item = facts_find(facts, list, key);
  if (item)
    return item;
  if (!field_given(&FactsSpec_table, facts, field_of(list))) {
    *items_of(facts, list) = spec_list_new(table);
    field_set_given(&FactsSpec_table, facts, field_of(list));
  }
  item = spec_new(table);
  *(char **)field_member(table_key_field(table), item) = g_strdup(key);
  field_set_given(table, item, table_key_field(table));
  g_ptr_array_add(*items_of(facts, list), item);
  return item;
}

void facts_drop(FactsSpec *facts, guint list, gpointer item) {
  GPtrArray *items = *items_of(facts, list);
  g_ptr_array_remove(items, item);
  spec_free(field_of(list)->sub, item);
  if (items->len == 0)
    spec_unset(&FactsSpec_table, facts, field_of(list));
}
