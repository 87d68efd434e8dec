#include "state/host_facts.h"

#include "state/fingerprint.h"
#include "state/xml_lean.h"
#include "state/xml_tree.h"

static xmlNode *descend(xmlNode *from, const char *first, const char *second) {
  xmlNode *child = from ? xml_first_child(from, first) : NULL;
  return child && second ? xml_first_child(child, second) : child;
}

static char *text_of(xmlNode *element) {
  if (!element)
    return NULL;
  g_autofree char *owned = NULL;
  return g_strdup(xml_content(element, &owned));
}

static char *attribute_of(xmlNode *element, const char *name) {
  return element ? g_strdup(xml_attribute(element, name)) : NULL;
}

/* libvirt's output has these in bytes always. */
static guint64 bytes_of(xmlNode *element) {
  g_autofree char *text = text_of(element);
  return text ? g_ascii_strtoull(text, NULL, 10) : 0;
}

gboolean capabilities_read(Actual *actual, const char *xml, GError **error) {
  texts_set(actual->texts, xml, NULL);
  g_autoptr(XmlLean) doc = xml_parse_lean(xml, "capabilities", error);
  if (!doc)
    return FALSE;
  xmlNode *root = xml_lean_root(doc), *host = xml_first_child(root, "host");
  actual->arch = text_of(descend(host, "cpu", "arch"));
  for (xmlNode *guest = xml_first_child(root, "guest"); guest; guest = xml_next_sibling(guest, "guest")) {
    xmlNode *arch = xml_first_child(guest, "arch");
    if (!arch || g_strcmp0(xml_attribute(arch, "name"), actual->arch) != 0)
      continue;
    for (xmlNode *domain = xml_first_child(arch, "domain"); domain; domain = xml_next_sibling(domain, "domain"))
      actual->has_kvm |= g_strcmp0(xml_attribute(domain, "type"), "kvm") == 0;
  }
  return TRUE;
}

gboolean pool_facts_read(ActualPool *pool, const char *xml, GError **error) {
  texts_set(pool->texts, xml, NULL);
  g_autoptr(XmlLean) doc = xml_parse_lean(xml, "definition of the pool", error);
  if (!doc)
    return FALSE;
  xmlNode *root = xml_lean_root(doc);
  pool_xml_read(root, &pool->spec);
  pool->target = text_of(descend(root, "target", "path"));
  pool->capacity = bytes_of(descend(root, "capacity", NULL));
  pool->available = bytes_of(descend(root, "available", NULL));
  return TRUE;
}

/* libvirt writes SECONDS.NANOSECONDS. */
static gint64 time_of(xmlNode *timestamps, const char *name) {
  g_autofree char *text = text_of(descend(timestamps, name, NULL));
  char *end = text;
  gint64 seconds = text ? g_ascii_strtoll(text, &end, 10) : 0;
  gint64 rest = end && *end == '.' ? g_ascii_strtoll(end + 1, NULL, 10) : 0;
  return seconds * G_GINT64_CONSTANT(1000000000) + rest;
}

void pool_facts_finish(ActualPool *pool, gboolean autostart) {
  pool->spec.state = pool->active ? PoolState_active : PoolState_inactive;
  set_given(&pool->spec, StoragePoolSpec, state);
  pool->spec.autostart = autostart;
  set_given(&pool->spec, StoragePoolSpec, autostart);
}

gboolean volume_facts_read(ActualVolume *volume, const char *xml, GError **error) {
  texts_set(volume->texts, xml, NULL);
  g_autoptr(XmlLean) doc = xml_parse_lean(xml, "description of the volume", error);
  if (!doc)
    return FALSE;
  xmlNode *root = xml_lean_root(doc), *backing = descend(root, "backingStore", NULL);
  g_autofree char *path = text_of(descend(root, "target", "path"));
  if (path) {
    g_free(volume->path);
    volume->path = g_steal_pointer(&path);
  }
  volume->format = attribute_of(descend(root, "target", "format"), "type");
  volume->capacity = bytes_of(descend(root, "capacity", NULL));
  volume->allocation = bytes_of(descend(root, "allocation", NULL));
  volume->physical = bytes_of(descend(root, "physical", NULL));
  volume->mtime_ns = time_of(descend(root, "target", "timestamps"), "mtime");
  volume->ctime_ns = time_of(descend(root, "target", "timestamps"), "ctime");
  volume->backing_path = text_of(descend(backing, "path", NULL));
  volume->backing_format = attribute_of(descend(backing, "format", NULL), "type");
  return TRUE;
}

gboolean network_facts_read(ActualNetwork *network, const char *persistent, const char *live, GError **error) {
  texts_set(network->texts, persistent, live);
  g_autoptr(XmlLean) defined = xml_parse_lean(persistent, "definition of the network", error);
  g_autoptr(XmlLean) running = defined && live ? xml_parse_lean(live, "state of the network", error) : NULL;
  if (!defined || (live && !running))
    return FALSE;
  xmlNode *definition = xml_lean_root(defined), *active = xml_lean_root(running);
  GError *trouble = NULL;
  network->owner = network_ownership_read(definition, &trouble);
  if (trouble) {
    g_propagate_error(error, trouble);
    return FALSE;
  }
  network_xml_read(definition, &network->persistent);
  if (active)
    network_xml_read(active, &network->live);
  network->fingerprint = fingerprint_xml(definition, active);
  return TRUE;
}

void network_facts_finish(ActualNetwork *network, gboolean autostart) {
  NetworkSpec *specs[] = {&network->persistent, network->active ? &network->live : NULL};
  for (guint i = 0; i < G_N_ELEMENTS(specs) && specs[i]; i++) {
    specs[i]->state = network->active ? PoolState_active : PoolState_inactive;
    set_given(specs[i], NetworkSpec, state);
    specs[i]->autostart = autostart;
    set_given(specs[i], NetworkSpec, autostart);
  }
}
