#include "state/balloon_note.h"

#include "state/xml_tree.h"

static guint64 number_of(xmlNode *note, const char *name) {
  const char *text = xml_attribute(note, name);
  guint64 number = 0;
  return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &number, NULL) ? number : 0;
}

BalloonNote balloon_note_read(xmlNode *machine) {
  xmlNode *metadata = xml_first_child(machine, "metadata");
  for (xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next)
    if (node->type == XML_ELEMENT_NODE && node->ns && g_str_equal(node->ns->href, BALLOON_NAMESPACE))
      return (BalloonNote){.told = number_of(node, "told"), .rested = number_of(node, "rested")};
  return (BalloonNote){0};
}

char *balloon_note_text(const BalloonNote *note) {
  g_autofree char *told = g_strdup_printf("%" G_GUINT64_FORMAT, note->told), *rested = g_strdup_printf("%" G_GUINT64_FORMAT, note->rested);
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *element = xmlNewDocNode(doc, NULL, BAD_CAST "balloon", NULL);
  xmlDocSetRootElement(doc, element);
  xml_set_attribute(element, "told", told);
  xml_set_attribute(element, "rested", rested);
  return xml_text(doc);
}
