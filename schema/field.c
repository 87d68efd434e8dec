/* Life, copy, merge and equality of spec structs, by their tables. */
#include "schema/field.h"
#include "schema/value.h"
#include <string.h>

StringMap *string_map_new(void) {
  StringMap *map = g_new(StringMap, 1);
  *map = (StringMap){g_ptr_array_new_with_free_func(g_free), g_ptr_array_new_with_free_func(g_free)};
  return map;
}

void string_map_free(StringMap *map) {
  if (!map)
    return;
  g_ptr_array_unref(map->keys);
  g_ptr_array_unref(map->values);
  g_free(map);
}

/* Where the key is, or would be. */
static guint map_index(const StringMap *map, const char *key, gboolean *ret_found) {
  guint low = 0, high = map->keys->len;
  while (low < high) {
    guint middle = (low + high) / 2;
    int order = strcmp(map->keys->pdata[middle], key);
    if (order == 0) {
      *ret_found = TRUE;
      return middle;
    }
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  *ret_found = FALSE;
  return low;
}

void string_map_set(StringMap *map, const char *key, const char *value) {
  gboolean found;
  guint i = map_index(map, key, &found);
  if (found) {
    char *old = map->values->pdata[i];
    map->values->pdata[i] = g_strdup(value);
    g_free(old);
    return;
  }
  g_ptr_array_insert(map->keys, (int)i, g_strdup(key));
  g_ptr_array_insert(map->values, (int)i, g_strdup(value));
}

const char *string_map_get(const StringMap *map, const char *key) {
  gboolean found;
  guint i = map_index(map, key, &found);
  return found ? map->values->pdata[i] : NULL;
}

gpointer spec_new(const FieldTable *table) { return g_malloc0(table->size); }

void spec_free(const FieldTable *table, gpointer spec) {
  if (!spec)
    return;
  spec_clear(table, spec);
  g_free(spec);
}

static void clear_member(const Field *field, gpointer member) {
  if (field->type == VALUE_GROUP) {
    spec_clear(field->sub, member);
  } else if (field->type == VALUE_LIST) {
    GPtrArray **items = member;
    for (guint i = 0; *items && i < (*items)->len; i++)
      spec_free(field->sub, (*items)->pdata[i]);
    g_clear_pointer(items, g_ptr_array_unref);
  } else {
    value_clear(field, member);
  }
}

void spec_clear(const FieldTable *table, gpointer spec) {
  for (guint i = 0; i < table->n_fields; i++)
    clear_member(&table->fields[i], field_member(&table->fields[i], spec));
  *field_set(spec) = 0;
}

void spec_unset(const FieldTable *table, gpointer spec, const Field *field) {
  clear_member(field, field_member(field, spec));
  *field_set(spec) &= ~FIELD_BIT(field - table->fields);
}

static GPtrArray *list_copy(const FieldTable *sub, const GPtrArray *items) {
  GPtrArray *copy = spec_list_new(sub);
  for (guint i = 0; items && i < items->len; i++)
    g_ptr_array_add(copy, spec_copy(sub, items->pdata[i]));
  return copy;
}

/* Of a given field, to one that is zeroed. */
static void copy_given(const FieldTable *table, const Field *field, gconstpointer from, gpointer to) {
  gpointer source = field_member(field, from), member = field_member(field, to);
  if (field->type == VALUE_GROUP)
    spec_copy_into(field->sub, source, member);
  else if (field->type == VALUE_LIST)
    *(GPtrArray **)member = list_copy(field->sub, *(GPtrArray **)source);
  else
    value_copy(field, source, member);
  field_set_given(table, to, field);
}

void spec_copy_field(const FieldTable *table, const Field *field, gconstpointer from, gpointer to) {
  spec_unset(table, to, field);
  if (field_given(table, from, field))
    copy_given(table, field, from, to);
}

void spec_copy_into(const FieldTable *table, gconstpointer from, gpointer to) {
  for (guint i = 0; i < table->n_fields; i++)
    if (field_given(table, from, &table->fields[i]))
      copy_given(table, &table->fields[i], from, to);
}

gpointer spec_copy(const FieldTable *table, gconstpointer spec) {
  if (!spec)
    return NULL;
  gpointer copy = spec_new(table);
  spec_copy_into(table, spec, copy);
  return copy;
}

static void list_merge(const FieldTable *sub, const GPtrArray *from, GPtrArray *to) {
  guint own = to->len; /* items of `from` alone follow these */
  for (guint i = 0; from && i < from->len; i++) {
    g_autofree char *key = item_key(sub, from->pdata[i]);
    gpointer mine = NULL;
    for (guint j = 0; j < own && !mine; j++) {
      g_autofree char *other = item_key(sub, to->pdata[j]);
      if (g_strcmp0(key, other) == 0)
        mine = to->pdata[j];
    }
    if (mine)
      spec_merge(sub, from->pdata[i], mine);
    else
      g_ptr_array_add(to, spec_copy(sub, from->pdata[i]));
  }
}

static void map_merge(const StringMap *from, StringMap *to) {
  for (guint i = 0; i < from->keys->len; i++)
    if (!string_map_get(to, from->keys->pdata[i]))
      string_map_set(to, from->keys->pdata[i], from->values->pdata[i]);
}

void spec_merge(const FieldTable *table, gconstpointer from, gpointer to) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, from, field))
      continue;
    gpointer source = field_member(field, from), member = field_member(field, to);
    if (!field_given(table, to, field))
      spec_copy_field(table, field, from, to);
    else if (field->type == VALUE_GROUP)
      spec_merge(field->sub, source, member);
    else if (field->type == VALUE_LIST)
      list_merge(field->sub, *(GPtrArray **)source, *(GPtrArray **)member);
    else if (field->type == VALUE_MAP)
      map_merge(*(StringMap **)source, *(StringMap **)member);
  }
}

/* The field that names items on both sides: the key, or the match field where a side lacks the key. */
static const Field *common_name(const FieldTable *sub, gconstpointer a, gconstpointer b) {
  const Field *key = table_key_field(sub), *match = table_match_field(sub);
  if (key && field_given(sub, a, key) && field_given(sub, b, key))
    return key;
  return match && field_given(sub, a, match) && field_given(sub, b, match) ? match : NULL;
}

static gboolean item_in(const FieldTable *sub, gconstpointer item, const GPtrArray *items) {
  for (guint i = 0; i < items->len; i++) {
    const Field *name = common_name(sub, item, items->pdata[i]);
    if (name && !field_equal(sub, name, item, items->pdata[i]))
      continue;
    if (spec_equal(sub, item, items->pdata[i]))
      return TRUE;
  }
  return FALSE;
}

static gboolean list_equal(const FieldTable *sub, const GPtrArray *a, const GPtrArray *b) {
  if ((a ? a->len : 0) != (b ? b->len : 0))
    return FALSE;
  for (guint i = 0; a && i < a->len; i++)
    if (!item_in(sub, a->pdata[i], b))
      return FALSE;
  return TRUE;
}

gboolean field_equal(const FieldTable *table, const Field *field, gconstpointer a, gconstpointer b) {
  gboolean in_a = field_given(table, a, field), in_b = field_given(table, b, field);
  if (!in_a || !in_b)
    return in_a == in_b;
  gpointer x = field_member(field, a), y = field_member(field, b);
  if (field->type == VALUE_GROUP)
    return spec_equal(field->sub, x, y);
  if (field->type == VALUE_LIST)
    return list_equal(field->sub, *(GPtrArray **)x, *(GPtrArray **)y);
  return value_equal(field, x, y);
}

gboolean spec_equal(const FieldTable *table, gconstpointer a, gconstpointer b) {
  if (!a || !b)
    return a == b;
  for (guint i = 0; i < table->n_fields; i++)
    if (!field_equal(table, &table->fields[i], a, b))
      return FALSE;
  return TRUE;
}

const Field *table_find(const FieldTable *table, const char *key) {
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].key[0] == key[0] && strcmp(table->fields[i].key, key) == 0) /* mostly told by the first letter */
      return &table->fields[i];
  return NULL;
}

const Field *table_key_field(const FieldTable *table) {
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].key_field)
      return &table->fields[i];
  return NULL;
}

const Field *table_match_field(const FieldTable *table) {
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].match_field)
      return &table->fields[i];
  return table_key_field(table);
}

static char *item_text(const FieldTable *table, gconstpointer item, const Field *field) {
  return field && field_given(table, item, field) ? value_format(field, field_member(field, item)) : NULL;
}

gpointer list_find(const FieldTable *table, const GPtrArray *items, const Field *by, const char *value) {
  for (guint i = 0; items && i < items->len; i++) {
    gpointer item = items->pdata[i];
    if (value_is_string(by->type)) {
      if (field_given(table, item, by) && strcmp(*(char **)field_member(by, item), value) == 0)
        return item;
      continue;
    }
    g_autofree char *text = item_text(table, item, by);
    if (g_strcmp0(text, value) == 0)
      return item;
  }
  return NULL;
}

char *item_key(const FieldTable *table, gconstpointer item) { return item_text(table, item, table_key_field(table)); }
char *item_match(const FieldTable *table, gconstpointer item) { return item_text(table, item, table_match_field(table)); }

GPtrArray *spec_list_new(const FieldTable *sub) {
  (void)sub; /* items are freed by whoever clears the list's owner, which knows the table */
  return g_ptr_array_new();
}
