/* Virtual networks: defined, redefined, started, stopped, removed. */
#include "reconciler/act/network.h"
#include "state/fault.h"

/* Ours: our record in its metadata, or a UUID that we gave it. */
static gboolean network_check_ours(const ActionContext *context, virNetworkPtr network, GError **error) {
  if (act_adopts(context))
    return TRUE;
  char uuid[VIR_UUID_STRING_BUFLEN];
  if (virNetworkGetUUIDString(network, uuid) < 0)
    return libvirt_fail(error, "cannot read the UUID of network %s", context->object->name);
  g_autofree char *derived = derive_uuid("network", context->object->name);
  if (g_str_equal(uuid, derived))
    return TRUE;
  g_autoptr(xmlDoc) doc = network_doc(network, VIR_NETWORK_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  g_autoptr(GError) unreadable = NULL;
  g_autoptr(NetworkOwnership) record = network_ownership_read(xmlDocGetRootElement(doc), &unreadable);
  if (record)
    return TRUE;
  if (unreadable)
    return act_refuse(error, "cannot tell whether network %s is ours: %s", context->object->name, unreadable->message);
  return act_refuse(error, "network %s isn't ours: it wasn't made by reconcile; "
                    "to take it over, declare it with metadata.adopt: true", context->object->name);
}

virNetworkPtr own_network(const ActionContext *context, GError **error) {
  g_autoptr(VirNetwork) network = act_network(context, error);
  if (!network || !network_check_ours(context, network, error))
    return NULL;
  return g_steal_pointer(&network);
}

xmlDoc *network_doc(virNetworkPtr network, guint flags, GError **error) {
  const char *name = virNetworkGetName(network); /* asking for it forgets the last error */
  g_autofree char *text = virNetworkGetXMLDesc(network, flags);
  if (!text) {
    libvirt_fail(error, "cannot read the definition of network %s", name);
    return NULL;
  }
  return xml_parse(text, name, error);
}

gboolean network_active(virNetworkPtr network, gboolean *ret_active, GError **error) {
  const char *name = virNetworkGetName(network);
  int active = virNetworkIsActive(network);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether network %s is active", name);
  *ret_active = active;
  return TRUE;
}

static NetworkOwnership network_record(const ActionContext *context) {
  const Object *declared = context->object->declared;
  return (NetworkOwnership){
    .source = context->plan->source, .revision = context->plan->revision, .place = context->object->place,
    .metadata = declared->metadata, .spec = *(const NetworkSpec *)declared->spec,
  };
}

static gboolean network_write(const ActionContext *context, xmlDoc *doc, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  if (!connect)
    return FALSE;
  g_autofree char *text = xml_text(doc);
  g_autoptr(VirNetwork) network = virNetworkDefineXML(connect, text);
  return network || libvirt_fail(error, "cannot define network %s", context->object->name);
}

static gboolean network_redefine(const ActionContext *context, virNetworkPtr network, GError **error) {
  if (!network_check_ours(context, network, error))
    return FALSE;
  g_autoptr(xmlDoc) doc = network_doc(network, VIR_NETWORK_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  xmlNode *root = xmlDocGetRootElement(doc);
  g_autofree char *before = xml_text(doc);
  g_autoptr(GError) unreadable = NULL;
  g_autoptr(NetworkOwnership) last = network_ownership_read(root, &unreadable);
  if (unreadable) {
    g_propagate_error(error, g_steal_pointer(&unreadable));
    return FALSE;
  }
  NetworkOwnership record = network_record(context);
  gboolean changed;
  if (!network_xml_patch(root, context->object->desired->spec, last ? &last->spec : NULL, &record, &changed, error))
    return FALSE;
  g_autofree char *after = xml_text(doc);
  return g_str_equal(before, after) || network_write(context, doc, error);
}

gboolean act_network_define(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirNetwork) network = NULL;
  if (!act_find_network(context, &network, error))
    return FALSE;
  if (network)
    return network_redefine(context, network, error);
  const char *name = context->object->name;
  NetworkOwnership record = network_record(context);
  g_autofree char *derived = derive_uuid("network", name);
  const NetworkSpec *spec = context->object->desired->spec;
  const char *uuid = given(spec, NetworkSpec, uuid) ? spec->uuid : derived;
  g_autoptr(xmlDoc) doc = network_xml_new(name, spec, uuid, &record, error);
  return doc && network_write(context, doc, error);
}

gboolean act_network_start(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirNetwork) network = own_network(context, error);
  gboolean active = FALSE;
  if (!network || !network_active(network, &active, error))
    return FALSE;
  if (active)
    return TRUE;
  if (virNetworkCreate(network) < 0)
    return libvirt_fail(error, "cannot start network %s", context->object->name);
  if (!network_active(network, &active, error))
    return FALSE;
  return active || act_fail(error, "network %s was started but isn't active", context->object->name);
}

/* libvirt takes an active network from under running guests without a word. */
static gboolean network_check_unused(virNetworkPtr network, GError **error) {
  g_autoptr(xmlDoc) doc = network_doc(network, 0, error);
  if (!doc)
    return FALSE;
  g_autofree char *users = xml_path_get(xml_path("@connections"), xmlDocGetRootElement(doc));
  if (!users || g_str_equal(users, "0"))
    return TRUE;
  return act_refuse(error, "network %s has %s interfaces of running machines connected to it",
                    virNetworkGetName(network), users);
}

static gboolean network_stop(virNetworkPtr network, GError **error) {
  const char *name = virNetworkGetName(network);
  gboolean active = FALSE;
  if (!network_active(network, &active, error))
    return FALSE;
  if (!active)
    return TRUE;
  if (!network_check_unused(network, error))
    return FALSE;
  return virNetworkDestroy(network) == 0 ||
         libvirt_fail(error, "cannot stop network %s", name);
}

gboolean act_network_stop(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirNetwork) network = own_network(context, error);
  return network && network_stop(network, error);
}

gboolean act_network_autostart(const ActionContext *context, const Action *action, GError **error) {
  const char *value = act_need(action, "value", error);
  g_autoptr(VirNetwork) network = value ? own_network(context, error) : NULL;
  if (!network)
    return FALSE;
  int wanted = g_str_equal(value, "true"), now;
  if (virNetworkGetAutostart(network, &now) < 0)
    return libvirt_fail(error, "cannot read autostart of network %s", context->object->name);
  if (!!now == wanted || virNetworkSetAutostart(network, wanted) == 0)
    return TRUE;
  return libvirt_fail(error, "cannot set autostart of network %s", context->object->name);
}

gboolean act_network_undefine(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirNetwork) network = NULL;
  if (!act_find_network(context, &network, error))
    return FALSE;
  if (!network)
    return TRUE;
  if (!network_check_ours(context, network, error) || !network_stop(network, error))
    return FALSE;
  FAULT("network: stopped to be undefined");
  return virNetworkUndefine(network) == 0 ||
         libvirt_fail(error, "cannot undefine network %s", context->object->name);
}
