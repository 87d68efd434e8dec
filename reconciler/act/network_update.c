/* DHCP ranges and fixed addresses of an active network, brought in line by virNetworkUpdate.
 *
 * To be run before the definition is written anew: what is to be removed are the entries that
 * our record names (that of the definition, or that which the network was started with) and
 * the declaration no longer does. Entries that people added are in neither, and stay. */
#include "reconciler/act/network.h"
#include "state/fault.h"

typedef struct {
  virNetworkPtr network;
  const FieldTable *table;
  virNetworkUpdateSection section;
  char *(*xml)(gconstpointer item);
  gboolean modifies; /* libvirt can change an entry in place */
  const GPtrArray *live, *wanted, *applied, *started; /* any may be NULL */
} DhcpList;

static char *range_xml(gconstpointer item) { return dhcp_range_xml(item); }
static char *host_xml(gconstpointer item) { return dhcp_host_xml(item); }

static gboolean update(const DhcpList *list, virNetworkUpdateCommand command, gconstpointer item, GError **error) {
  const char *name = virNetworkGetName(list->network);
  g_autofree char *text = list->xml(item);
  if (virNetworkUpdate(list->network, command, list->section, -1, text, VIR_NETWORK_UPDATE_AFFECT_LIVE) < 0)
    return libvirt_fail(error, "cannot update network %s by %s", name, text);
  FAULT("network: one entry updated");
  return TRUE;
}

static gpointer same_key(const DhcpList *list, const GPtrArray *items, gconstpointer item) {
  g_autofree char *key = item_key(list->table, item);
  return items ? list_find(list->table, items, table_key_field(list->table), key) : NULL;
}

static gboolean remove_others(const DhcpList *list, GError **error) {
  for (guint i = 0; list->live && i < list->live->len; i++) {
    gpointer item = list->live->pdata[i], wanted = same_key(list, list->wanted, item);
    gboolean goes = wanted ? !list->modifies && !spec_equal(list->table, wanted, item)
                           : same_key(list, list->applied, item) || same_key(list, list->started, item);
    if (goes && !update(list, VIR_NETWORK_UPDATE_COMMAND_DELETE, item, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean add_missing(const DhcpList *list, GError **error) {
  for (guint i = 0; list->wanted && i < list->wanted->len; i++) {
    gpointer item = list->wanted->pdata[i], there = same_key(list, list->live, item);
    if (there && spec_equal(list->table, there, item))
      continue;
    virNetworkUpdateCommand command = there && list->modifies ? VIR_NETWORK_UPDATE_COMMAND_MODIFY
                                                              : VIR_NETWORK_UPDATE_COMMAND_ADD_LAST;
    if (!update(list, command, item, error))
      return FALSE;
  }
  return TRUE;
}

/* Removals come first, so that an address can move from one host to another. */
static gboolean bring_in_line(virNetworkPtr network, const DhcpSpec *live, const DhcpSpec *wanted,
                              const DhcpSpec *applied, const DhcpSpec *started, GError **error) {
  DhcpList ranges = { network, &DhcpRangeSpec_table, VIR_NETWORK_SECTION_IP_DHCP_RANGE, range_xml, FALSE,
                      live->ranges, wanted->ranges, applied->ranges, started->ranges };
  DhcpList hosts = { network, &DhcpHostSpec_table, VIR_NETWORK_SECTION_IP_DHCP_HOST, host_xml, TRUE,
                     live->hosts, wanted->hosts, applied->hosts, started->hosts };
  return remove_others(&hosts, error) && remove_others(&ranges, error) &&
         add_missing(&ranges, error) && add_missing(&hosts, error);
}

/* The record in a network's document; NULL without error when there is none. */
static gboolean read_record(virNetworkPtr network, guint flags, NetworkOwnership **ret_record, NetworkSpec *ret_spec, GError **error) {
  g_autoptr(xmlDoc) doc = network_doc(network, flags, error);
  if (!doc)
    return FALSE;
  g_autoptr(GError) unreadable = NULL;
  *ret_record = network_ownership_read(xmlDocGetRootElement(doc), &unreadable);
  if (unreadable) {
    g_propagate_error(error, g_steal_pointer(&unreadable));
    return FALSE;
  }
  if (ret_spec)
    network_xml_read(xmlDocGetRootElement(doc), ret_spec);
  return TRUE;
}

gboolean act_network_update(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirNetwork) network = own_network(context, error);
  gboolean active = FALSE;
  if (!network || !network_active(network, &active, error))
    return FALSE;
  if (!active)
    return TRUE; /* nothing live to update: its definition counts when it starts */
  static const DhcpSpec none = { 0 };
  g_autoptr(NetworkOwnership) applied = NULL, started = NULL;
  NetworkSpec live = { 0 };
  const NetworkSpec *wanted = context->object->desired->spec;
  gboolean done = read_record(network, VIR_NETWORK_XML_INACTIVE, &applied, NULL, error) &&
                  read_record(network, 0, &started, &live, error) &&
                  bring_in_line(network, &live.dhcp, &wanted->dhcp, applied ? &applied->spec.dhcp : &none,
                                started ? &started->spec.dhcp : &none, error);
  spec_clear(&NetworkSpec_table, &live);
  return done;
}
