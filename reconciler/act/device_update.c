/* Changing a device of a running machine in place: its live XML, with the fields that can be
 * changed so, is handed to virDomainUpdateDeviceFlags. All else of the device stays as it runs,
 * pending until the next start. */
#include "reconciler/act/device.h"
#include "reconciler/act/secret.h"

static void keep_updatable(const FieldTable *table, gpointer spec) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field_given(table, spec, field) && field->effect != EFFECT_LIVE_UPDATE)
      spec_unset(table, spec, field);
  }
}

/* What the live device has and its persistent definition doesn't: a field that was given up. */
static void keep_given_up(const FieldTable *table, gpointer live, xmlNode *persistent) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field_given(table, live, field) && (field->effect != EFFECT_LIVE_UPDATE || !field->xml ||
                                            xml_path_exists(xml_path(field->xml), persistent)))
      spec_unset(table, live, field);
  }
}

/* What a connection got from its network isn't to be carried to another one. */
static void forget_connection(xmlNode *node) {
  xmlNode *source = xml_path_node(xml_path("source"), node);
  static const char *const runtime[] = { "portid", "bridge", "index" };
  for (guint i = 0; source && xmlHasProp(source, BAD_CAST "network") && i < G_N_ELEMENTS(runtime); i++)
    xmlUnsetProp(source, BAD_CAST runtime[i]);
}

static gboolean patch_node(const Device *device, xmlNode *node, xmlNode *persistent) {
  const FieldTable *table = device->row->sub;
  gpointer wanted = spec_copy(table, device->item), given_up = spec_new(table);
  keep_updatable(table, wanted);
  xml_map_read(table, node, given_up);
  keep_given_up(table, given_up, persistent);
  gboolean changed = xml_map_patch(table, node, wanted, given_up);
  spec_free(table, wanted);
  spec_free(table, given_up);
  return changed;
}

static gboolean patch(const ActionContext *context, virDomainPtr domain, const Device *device, xmlNode *node,
                      gboolean *ret_changed, GError **error) {
  g_autoptr(xmlDoc) definition = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);
  xmlNode *persistent = definition ? device_node(device, definition) : NULL;
  if (!definition)
    return FALSE;
  g_autofree char *name = device_name(device);
  if (!persistent)
    return act_stale(error, "the definition of domain %s has no %s", context->object->name, name);
  *ret_changed = patch_node(device, node, persistent);
  if (device->row->sub == &GraphicsSpec_table)
    return graphics_password(context, node, device->item, NULL, ret_changed, error);
  return TRUE;
}

gboolean act_update_device(const ActionContext *context, const Action *action, GError **error) {
  Device device;
  g_autoptr(VirDomain) domain = device_find(context, action, &device, error) ? act_live_domain(context, error) : NULL;
  g_autoptr(xmlDoc) live = domain ? act_domain_doc(domain, VIR_DOMAIN_XML_SECURE, error) : NULL;
  if (!live)
    return FALSE;
  g_autofree char *name = device_name(&device);
  xmlNode *node = device_node(&device, live);
  if (!node || !device.item)
    return act_stale(error, "domain %s has no %s", context->object->name, name);
  gboolean changed;
  if (!patch(context, domain, &device, node, &changed, error))
    return FALSE;
  if (!changed)
    return TRUE;
  forget_connection(node);
  g_autofree char *text = xml_node_text(node);
  gboolean fine = virDomainUpdateDeviceFlags(domain, text, VIR_DOMAIN_AFFECT_LIVE) == 0;
  explicit_bzero(text, strlen(text)); /* it may hold a password */
  return fine || libvirt_fail(error, "cannot update %s of domain %s", name, context->object->name);
}
