#include "state/leaving.h"

#include "state/xml_tree.h"

static xmlNode *find_note(xmlNode *domain) {
  xmlNode *metadata = xml_first_child(domain, "metadata");
  for (xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next)
    if (node->type == XML_ELEMENT_NODE && node->ns && g_str_equal(node->ns->href, LEAVING_NAMESPACE))
      return node;
  return NULL;
}

VmSpec *leaving_read(xmlNode *machine) {
  xmlNode *note = find_note(machine);
  g_autofree char *owned = NULL;
  const char *text = note ? xml_content(note, &owned) : NULL;
  return text ? spec_from_json(&VmSpec_table, text, "a note of devices that leave", NULL) : NULL;
}

char *leaving_text(const VmSpec *leaving) {
  if (!leaving->given)
    return NULL;
  g_autofree char *json = spec_to_json(&VmSpec_table, leaving);
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *element = xmlNewDocNode(doc, NULL, BAD_CAST "vm", NULL);
  xmlDocSetRootElement(doc, element);
  xml_set_content(element, json);
  return xml_text(doc);
}

/* Only these come and go while a machine runs. */
static gboolean can_leave(const Field *field) {
  return field->type == VALUE_LIST && field->device && field->call == CALL_ATTACH_DEVICE;
}

static gconstpointer member_of(const FieldTable *table, gconstpointer spec, const Field *field) {
  return spec && field_given(table, spec, field) ? field_member(field, spec) : NULL;
}

static gboolean has_item(const Field *field, gconstpointer member, const char *match) {
  return member && list_find(field->sub, *(GPtrArray *const *)member, table_match_field(field->sub), match);
}

static void collect(const FieldTable *table, gconstpointer from, gconstpointer wanted, gconstpointer live, gpointer to);

static void collect_items(const Field *field, gconstpointer from, gconstpointer wanted, gconstpointer live, GPtrArray **to) {
  const GPtrArray *items = *(GPtrArray *const *)from;
  for (guint i = 0; items && i < items->len; i++) {
    g_autofree char *match = item_match(field->sub, items->pdata[i]);
    if (!match || has_item(field, wanted, match) || !has_item(field, live, match) || has_item(field, to, match))
      continue;
    if (!*to)
      *to = spec_list_new(field->sub);
    g_ptr_array_add(*to, spec_copy(field->sub, items->pdata[i]));
  }
}

static void collect_field(const FieldTable *table, const Field *field, gconstpointer from, gconstpointer wanted, gconstpointer live,
                          gpointer to) {
  gconstpointer mine = member_of(table, from, field), theirs = member_of(table, wanted, field), now = member_of(table, live, field);
  gpointer member = field_member(field, to);
  if (!mine || !now)
    return;
  if (field->type == VALUE_GROUP)
    collect(field->sub, mine, theirs, now, member);
  else
    collect_items(field, mine, theirs, now, member);
  if (field->type == VALUE_GROUP ? *field_set(member) != 0 : *(GPtrArray **)member != NULL)
    field_set_given(table, to, field);
}

static void collect(const FieldTable *table, gconstpointer from, gconstpointer wanted, gconstpointer live, gpointer to) {
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].type == VALUE_GROUP || can_leave(&table->fields[i]))
      collect_field(table, &table->fields[i], from, wanted, live, to);
}

void leaving_collect(const VmSpec *from, const VmSpec *wanted, const VmSpec *live, VmSpec *leaving) {
  collect(&VmSpec_table, from, wanted, live, leaving);
}

gboolean leaving_is_over(const VmSpec *leaving, const VmSpec *live) {
  if (!leaving) /* as mostly */
    return FALSE;
  VmSpec still = {0};
  leaving_collect(leaving, NULL, live, &still);
  gboolean same = spec_equal(&VmSpec_table, leaving, &still);
  spec_clear(&VmSpec_table, &still);
  return !same;
}
