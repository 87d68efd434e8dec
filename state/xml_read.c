/* From XML to specs, row by row. */
#include "state/xml_map.h"
#include "schema/value.h"
#include "state/xml_value.h"

#include <string.h>

static void read_table(const FieldTable *table, xmlNode *base, gpointer spec);

static void read_leaf(const FieldTable *table, const Field *field, xmlNode *base, gpointer spec) {
  if (field->xml && xml_value_read(field, base, field_member(field, spec)))
    field_set_given(table, spec, field);
}

/* A device that isn't there has no fields; of another group that isn't, absence has a meaning. */
static void read_group(const FieldTable *table, const Field *field, xmlNode *base, gpointer spec) {
  if (base && field->xml)
    base = xml_path_node(xml_path(field->xml), base);
  if (field->device && !base)
    return;
  gpointer member = field_member(field, spec);
  read_table(field->sub, base, member);
  if (field->device || *field_set(member))
    field_set_given(table, spec, field);
}

/* An item that can't be named, or has the name of one before it, can't be managed. */
static void read_list(const FieldTable *table, const Field *field, xmlNode *base, gpointer spec) {
  if (!base || !field->xml)
    return;
  const XmlPath *path = xml_path(field->xml);
  xmlNode *element = xml_path_next(path, base, NULL);
  if (!element)
    return;
  const Field *match = table_match_field(field->sub);
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *items = spec_list_new(field->sub);
  for (; element; element = xml_path_next(path, base, element)) {
    gpointer item = spec_new(field->sub);
    read_table(field->sub, element, item);
    if (field_given(field->sub, item, match) && g_hash_table_add(seen, item_match(field->sub, item)))
      g_ptr_array_add(items, item);
    else
      spec_free(field->sub, item);
  }
  *(GPtrArray **)field_member(field, spec) = items;
  if (items->len > 0)
    field_set_given(table, spec, field);
}

static void read_table(const FieldTable *table, xmlNode *base, gpointer spec) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field->type == VALUE_GROUP)
      read_group(table, field, base, spec);
    else if (field->type == VALUE_LIST)
      read_list(table, field, base, spec);
    else
      read_leaf(table, field, base, spec);
  }
}

void xml_map_read(const FieldTable *table, xmlNode *root, gpointer spec) {
  read_table(table, root, spec);
}

static gboolean has_match(const Field *row, xmlNode *element, const char *match) {
  const Field *field = table_match_field(row->sub);
  XmlValue value = {0};
  if (!xml_value_read(field, element, &value))
    return FALSE;
  g_autofree char *text = value_format(field, &value);
  value_clear(field, &value);
  return strcmp(text, match) == 0;
}

xmlNode *xml_map_find_device(const Field *row, xmlNode *root, const char *match) {
  const XmlPath *path = xml_path(row->xml);
  if (row->type != VALUE_LIST)
    return xml_path_node(path, root);
  for (xmlNode *element = NULL; (element = xml_path_next(path, root, element));)
    if (has_match(row, element, match))
      return element;
  return NULL;
}
