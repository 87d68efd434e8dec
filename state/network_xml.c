/* Networks: the rows, our record, and how libvirt says an isolated one, a prefix and a family. */
#include "state/object_xml.h"
#include "state/ownership.h"
#include "state/xml_tree.h"

#include <arpa/inet.h>
#include <string.h>

/* The record. */

static Record record_of(const NetworkOwnership *ownership) {
  NetworkOwnership *parts = (NetworkOwnership *)ownership;
  return (Record){"network", &NetworkSpec_table, &parts->source, &parts->revision, &parts->place,
                  &parts->metadata, &parts->spec};
}

void network_ownership_free(NetworkOwnership *ownership) {
  if (!ownership)
    return;
  Record record = record_of(ownership);
  record_clear(&record);
  g_free(ownership);
}

NetworkOwnership *network_ownership_read(xmlNode *network, GError **error) {
  g_autoptr(NetworkOwnership) ownership = g_new0(NetworkOwnership, 1);
  Record record = record_of(ownership);
  return record_read(network, &record, error) ? g_steal_pointer(&ownership) : NULL;
}

/* The prefix may be written as a netmask. */

/* The prefix of the first address' netmask, or -1. */
static int netmask_prefix(xmlNode *network) {
  g_autofree char *text = xml_path_get(xml_path("ip/@netmask"), network);
  struct in_addr mask;
  if (!text || inet_pton(AF_INET, text, &mask) != 1)
    return -1;
  guint32 bits = ntohl(mask.s_addr), inverse = ~bits;
  return (inverse & (inverse + 1)) == 0 ? __builtin_popcount(bits) : -1; /* ones, then zeros */
}

void network_xml_read(xmlNode *network, NetworkSpec *spec) {
  xml_map_read(&NetworkSpec_table, network, spec);
  int prefix = given(spec, NetworkSpec, prefix) ? -1 : netmask_prefix(network);
  if (prefix >= 1) {
    spec->prefix = prefix;
    set_given(spec, NetworkSpec, prefix);
  }
}

/* A shallow copy without a prefix that the netmask says already; another netmask goes. */
static NetworkSpec settle_netmask(const NetworkSpec *spec, xmlNode *network, gboolean *changed) {
  NetworkSpec wanted = *spec;
  if (!given(spec, NetworkSpec, prefix) || !xml_path_exists(xml_path("ip/@netmask"), network))
    return wanted;
  if (netmask_prefix(network) == spec->prefix) {
    wanted.given &= ~FIELD_BIT(NetworkSpec_prefix);
    return wanted;
  }
  xml_remove_attribute(xml_path_node(xml_path("ip/@netmask"), network), "netmask");
  *changed = TRUE;
  return wanted;
}

/* An IPv6 address needs its family said; it is IPv4's otherwise. */
static void settle_family(xmlNode *network) {
  xmlNode *ip = xml_path_node(xml_path("ip/@address"), network);
  const char *address = ip ? xml_attribute(ip, "address") : NULL, *family = ip ? xml_attribute(ip, "family") : NULL;
  if (address && strchr(address, ':'))
    xml_set_attribute(ip, "family", "ipv6");
  else if (address && g_strcmp0(family, "ipv6") == 0)
    xml_remove_attribute(ip, "family");
}

/* <forward> without a mode means NAT, so an isolated network has none; and what it holds
 * (NAT's ports, interfaces of a pool) belongs to the mode it was written for. */
static void settle_forward(xmlNode *network, const char *mode_before) {
  xmlNode *forward = xml_first_child(network, "forward");
  const char *mode = forward ? xml_attribute(forward, "mode") : NULL;
  if (forward && !mode) {
    xml_remove(forward);
    return;
  }
  xmlNode *bridge = forward && strcmp(mode, "bridge") == 0 ? xml_first_child(network, "bridge") : NULL;
  if (bridge) { /* libvirt writes them for a bridge of its own, and refuses them for the host's */
    xml_remove_attribute(bridge, "stp");
    xml_remove_attribute(bridge, "delay");
  }
  xmlNode *nat = forward && g_strcmp0(mode, mode_before) != 0 ? xml_first_child(forward, "nat") : NULL;
  if (nat && strcmp(mode, "nat") != 0)
    xml_remove(nat);
}

gboolean network_xml_patch(xmlNode *network, const NetworkSpec *spec, const NetworkSpec *applied,
                           const NetworkOwnership *record, gboolean *ret_changed, GError **error) {
  if (!given(spec, NetworkSpec, mode)) {
    g_set_error(error, XML_ERROR, XML_ERROR_SHAPE, "the network has no mode");
    return FALSE;
  }
  gboolean changed = FALSE;
  g_autofree char *mode_before = xml_path_get(xml_path("forward/@mode"), network);
  NetworkSpec wanted = settle_netmask(spec, network, &changed);
  changed |= xml_map_patch(&NetworkSpec_table, network, &wanted, applied);
  settle_family(network);
  settle_forward(network, mode_before);
  if (record) {
    Record ours = record_of(record);
    record_write(network, &ours);
  }
  *ret_changed = changed;
  return TRUE;
}

xmlDoc *network_xml_new(const char *name, const NetworkSpec *spec, const char *uuid, const NetworkOwnership *record,
                        GError **error) {
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *network = xmlNewDocNode(doc, NULL, BAD_CAST "network", NULL);
  xmlDocSetRootElement(doc, network);
  xml_path_set(xml_path("name"), network, name);
  if (uuid)
    xml_path_set(xml_path("uuid"), network, uuid);
  gboolean changed = FALSE;
  return network_xml_patch(network, spec, NULL, record, &changed, error) ? g_steal_pointer(&doc) : NULL;
}

/* Elements of DHCP lists. */

static char *element_text(const char *name, const FieldTable *table, gconstpointer item) {
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *element = xmlNewDocNode(doc, NULL, BAD_CAST name, NULL);
  xmlDocSetRootElement(doc, element);
  xml_map_patch(table, element, item, NULL);
  return xml_text(doc);
}

char *dhcp_range_xml(const DhcpRangeSpec *range) {
  return element_text("range", &DhcpRangeSpec_table, range);
}

char *dhcp_host_xml(const DhcpHostSpec *host) {
  return element_text("host", &DhcpHostSpec_table, host);
}
