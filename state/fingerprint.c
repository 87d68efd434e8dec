#include "state/fingerprint.h"

#include <string.h>

#include "schema/digest.h"
#include "state/base_volume.h"

/* Control characters that XML text can't contain keep the parts apart. */
enum { MARK_ELEMENT = 1, MARK_ATTRIBUTE, MARK_VALUE, MARK_TEXT, MARK_END, MARK_PART };

typedef struct {
  const char *parent, *name, *attribute; /* attribute NULL: the whole element */
  gboolean only_live;
} Volatile;

static const Volatile volatiles[] = {
  {"domain", "currentMemory", NULL, TRUE},  /* the balloon */
  {"target", "current", NULL, TRUE},        /* virtio-mem: what the guest took */
  {"disk", "target", "tray", FALSE},
  {"domain", "clock", "adjustment", FALSE}, /* the guest set its clock */
  {"channel", "target", "state", FALSE},    /* an agent connected */
  {NULL, "network", "connections", FALSE},
  {"forward", "interface", "connections", FALSE},
};

static gboolean is_named(const xmlNode *node, const char *name) {
  return node && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static gboolean is_volatile(const xmlNode *element, const char *attribute, gboolean live) {
  for (guint i = 0; i < G_N_ELEMENTS(volatiles); i++) {
    const Volatile *each = &volatiles[i];
    if ((live || !each->only_live) && g_strcmp0(each->attribute, attribute) == 0 && is_named(element, each->name) &&
        (!each->parent || is_named(element->parent, each->parent)))
      return TRUE;
  }
  return FALSE;
}

static void put(GString *out, int mark, const char *text) {
  g_string_append_c(out, (char)mark);
  if (text)
    g_string_append(out, text);
}

static gboolean is_blank(const char *text) { return text[strspn(text, " \t\r\n")] == '\0'; }

static void put_attributes(GString *out, const xmlNode *element, gboolean live) {
  for (const xmlAttr *attribute = element->properties; attribute; attribute = attribute->next) {
    const char *name = (const char *)attribute->name;
    if (is_volatile(element, name, live))
      continue;
    put(out, MARK_ATTRIBUTE, attribute->ns ? (const char *)attribute->ns->href : NULL);
    put(out, MARK_ATTRIBUTE, name);
    put(out, MARK_VALUE, NULL);
    for (const xmlNode *part = attribute->children; part; part = part->next)
      g_string_append(out, part->content ? (const char *)part->content : "");
  }
}

/* The depth is bounded by xml_parse. */
static void put_node(GString *out, const xmlNode *node, gboolean live) {
  if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
    if (node->content && !is_blank((const char *)node->content))
      put(out, MARK_TEXT, (const char *)node->content);
    return;
  }
  if (node->type != XML_ELEMENT_NODE || is_volatile(node, NULL, live))
    return;
  put(out, MARK_ELEMENT, node->ns ? (const char *)node->ns->href : NULL);
  put(out, MARK_ELEMENT, (const char *)node->name);
  put_attributes(out, node, live);
  for (const xmlNode *child = node->children; child; child = child->next)
    put_node(out, child, live);
  put(out, MARK_END, NULL);
}

static char *digest(const GString *text) {
  return digest_of_data(text->str, text->len);
}

char *fingerprint_xml(xmlNode *persistent, xmlNode *live) {
  g_autoptr(GString) text = g_string_sized_new(8192);
  put_node(text, persistent, FALSE);
  put(text, MARK_PART, NULL);
  if (live)
    put_node(text, live, TRUE);
  return digest(text);
}

char *fingerprint_text(const char *persistent) {
  return digest_of_data(persistent, strlen(persistent));
}

/* A base image's name says its content, which is checked before it is used: whether its file is there just now, as when
 * it is being brought back, isn't a change of the machine. */
static void put_layer(GString *out, const ActualVolume *layer) {
  g_autofree char *base = base_volume_digest(layer->path);
  if (base)
    return;
  put(out, MARK_TEXT, layer->path);
  put(out, MARK_VALUE, layer->format);
  put(out, MARK_VALUE, layer->backing_path);
  put(out, MARK_VALUE, layer->backing_format);
  g_string_append_printf(out, "%c%" G_GUINT64_FORMAT, MARK_VALUE, layer->capacity);
}

char *fingerprint_domain(const char *xml_part, const ActualDomain *domain) {
  g_autoptr(GString) text = g_string_sized_new(512);
  put(text, MARK_PART, xml_part);
  put(text, MARK_PART, domain->has_managed_save ? "saved" : NULL);
  put(text, MARK_PART, power_state_word(domain->state, domain->has_managed_save));
  put(text, MARK_PART, domain->autostart ? "autostart" : NULL);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    put(text, snapshot->current ? MARK_VALUE : MARK_TEXT, snapshot->name);
  }
  for (guint i = 0; domain->disks && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    put(text, MARK_ELEMENT, disk->target);
    for (guint j = 0; disk->chain && j < disk->chain->len; j++)
      put_layer(text, disk->chain->pdata[j]);
  }
  return digest(text);
}

char *fingerprint_pool(const ActualPool *pool) {
  return g_strdup_printf("%s %s%s %s", pool->uuid, pool->active ? "active" : "inactive", pool->spec.autostart ? " autostart" : "",
                         pool->target ? pool->target : "");
}

char *fingerprint_network(const ActualNetwork *network) {
  return g_strconcat(network->fingerprint ? network->fingerprint : "", network->persistent.autostart ? " autostart" : NULL, NULL);
}

char *fingerprint_volume(const ActualVolume *volume) {
  return g_strdup_printf("%s %" G_GUINT64_FORMAT, volume->path, volume->capacity);
}
