/* Our record in <metadata>: what makes an object ours, and what was last applied to it. */
#include "state/ownership.h"
#include "schema/canonical.h"
#include "state/xml_tree.h"

#include <string.h>

typedef json_t Json;
static void json_release(json_t *json) {
  json_decref(json);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_release)

void record_clear(const Record *record) {
  g_clear_pointer(record->source, g_free);
  g_clear_pointer(record->revision, g_free);
  g_clear_pointer(record->place, g_free);
  spec_clear(&MetadataSpec_table, record->metadata);
  spec_clear(record->table, record->spec);
  if (record->facts)
    spec_clear(&FactsSpec_table, record->facts);
}

/* Writing. */

static char *content(const Record *record) {
  g_autoptr(Json) json = json_object();
  json_object_set_new(json, "metadata", spec_to_json_value(&MetadataSpec_table, record->metadata));
  json_object_set_new(json, "spec", spec_to_json_value(record->table, record->spec));
  if (record->facts && record->facts->given)
    json_object_set_new(json, "facts", spec_to_json_value(&FactsSpec_table, record->facts));
  char *text = json_dumps(json, JSON_COMPACT);
  char *copy = g_strdup(text);
  free(text);
  return copy;
}

static xmlNode *plain_element(const Record *record, xmlDoc *doc) {
  xmlNode *element = xmlNewDocNode(doc, NULL, BAD_CAST record->element, NULL);
  const char *const attributes[][2] = {
      {"source", *record->source}, {"revision", *record->revision}, {"place", *record->place}};
  for (guint i = 0; i < G_N_ELEMENTS(attributes); i++)
    if (attributes[i][1])
      xml_set_attribute(element, attributes[i][0], attributes[i][1]);
  g_autofree char *text = content(record);
  xml_set_content(element, text);
  return element;
}

static xmlNode *record_element(const Record *record, xmlDoc *doc) {
  xmlNode *element = plain_element(record, doc);
  xmlSetNs(element, xmlNewNs(element, BAD_CAST METADATA_NAMESPACE, BAD_CAST METADATA_PREFIX));
  return element;
}

/* virDomainSetMetadata puts it into the namespace itself, and fails when it is there already. */
char *record_text(const Record *record) {
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlDocSetRootElement(doc, plain_element(record, doc));
  return xml_text(doc);
}

static gboolean is_ours(const xmlNode *node) {
  return node->type == XML_ELEMENT_NODE && node->ns && g_strcmp0((const char *)node->ns->href, METADATA_NAMESPACE) == 0;
}

static xmlNode *find_record(xmlNode *object) {
  for (xmlNode *metadata = xml_first_child(object, "metadata"); metadata;
       metadata = xml_next_sibling(metadata, "metadata"))
    for (xmlNode *node = metadata->children; node; node = node->next)
      if (is_ours(node))
        return node;
  return NULL;
}

void record_write(xmlNode *object, const Record *record) {
  xmlNode *old = find_record(object);
  if (old)
    xml_remove(old);
  xmlNode *metadata = xml_first_child(object, "metadata");
  if (!metadata)
    metadata = xml_add_child(object, NULL, "metadata");
  xml_insert(metadata, NULL, record_element(record, object->doc));
}

/* Reading. */

#define UNREADABLE "the record that reconcile keeps in the metadata can't be read"

gboolean record_read(xmlNode *object, const Record *record, GError **error) {
  xmlNode *element = find_record(object);
  if (!element)
    return FALSE;
  if (strcmp((const char *)element->name, record->element) != 0) {
    g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, UNREADABLE ": it is of another kind of object");
    return FALSE;
  }
  g_autofree char *owned = NULL;
  const JsonPart parts[] = {{"metadata", &MetadataSpec_table, record->metadata}, {"spec", record->table, record->spec},
                            {"facts", &FactsSpec_table, record->facts, TRUE}};
  if (!specs_from_json(parts, record->facts ? 3 : 2, xml_content(element, &owned), UNREADABLE, error)) {
    record_clear(record);
    return FALSE;
  }
  *record->source = g_strdup(xml_attribute(element, "source"));
  *record->revision = g_strdup(xml_attribute(element, "revision"));
  *record->place = g_strdup(xml_attribute(element, "place"));
  return TRUE;
}

/* Domains. */

static Record record_of(const Ownership *ownership) {
  Ownership *parts = (Ownership *)ownership;
  return (Record){"vm", &VmSpec_table, &parts->source, &parts->revision, &parts->place, &parts->metadata, &parts->spec,
                  &parts->facts};
}

void ownership_free(Ownership *ownership) {
  if (!ownership)
    return;
  Record record = record_of(ownership);
  record_clear(&record);
  g_free(ownership);
}

Ownership *ownership_copy(const Ownership *ownership) {
  if (!ownership)
    return NULL;
  Ownership *copy = g_new0(Ownership, 1);
  copy->source = g_strdup(ownership->source);
  copy->revision = g_strdup(ownership->revision);
  copy->place = g_strdup(ownership->place);
  spec_copy_into(&MetadataSpec_table, &ownership->metadata, &copy->metadata);
  spec_copy_into(&VmSpec_table, &ownership->spec, &copy->spec);
  spec_copy_into(&FactsSpec_table, &ownership->facts, &copy->facts);
  return copy;
}

Ownership *ownership_read(xmlNode *domain, GError **error) {
  g_autoptr(Ownership) ownership = g_new0(Ownership, 1);
  Record record = record_of(ownership);
  return record_read(domain, &record, error) ? g_steal_pointer(&ownership) : NULL;
}

/* Notes of a running machine (leaving.h, pulled.h, balloon_note.h, asked.h) have namespaces within ours. A definition that was made
 * from one's has them, and they mean nothing there. */
static void remove_live_notes(xmlNode *definition) {
  xmlNode *metadata = xml_first_child(definition, "metadata");
  for (xmlNode *node = metadata ? metadata->children : NULL, *next; node; node = next) {
    next = node->next;
    if (node->type == XML_ELEMENT_NODE && node->ns && g_str_has_prefix((const char *)node->ns->href, METADATA_NAMESPACE "/"))
      xml_remove(node);
  }
}

void ownership_write(xmlNode *domain, const Ownership *ownership) {
  Record record = record_of(ownership);
  remove_live_notes(domain);
  record_write(domain, &record);
}

char *ownership_text(const Ownership *ownership) {
  Record record = record_of(ownership);
  return record_text(&record);
}
