/* Rules for networks: addresses that fit together. */
#include "schema/validate.h"
#include <arpa/inet.h>
#include <string.h>

typedef struct {
  guchar bytes[16];
  guint length; /* 4 or 16 */
} Address;

typedef struct {
  Address address;
  guint prefix;
  const char *text; /* for messages */
} Subnet;

/* The text was checked when it was decoded. */
static Address read_address(const char *text) {
  Address address = {.length = strchr(text, ':') ? 16 : 4};
  inet_pton(address.length == 16 ? AF_INET6 : AF_INET, text, address.bytes);
  return address;
}

/* The same address with the bits after the prefix all 0 or all 1. */
static Address edge(Address address, guint prefix, gboolean ones) {
  for (guint bit = prefix; bit < address.length * 8; bit++) {
    guchar mask = (guchar)(0x80 >> bit % 8);
    address.bytes[bit / 8] = (guchar)(ones ? address.bytes[bit / 8] | mask : address.bytes[bit / 8] & ~mask);
  }
  return address;
}

static gboolean same(Address a, Address b) { return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0; }

static gboolean contains(const Subnet *subnet, Address address) {
  return address.length == subnet->address.length && same(edge(address, subnet->prefix, FALSE), edge(subnet->address, subnet->prefix, FALSE));
}

/* Network address and broadcast address are nobody's. */
static gboolean is_edge(const Subnet *subnet, Address address) {
  return subnet->address.length == 4 && subnet->prefix < 31 &&
         (same(address, edge(address, subnet->prefix, FALSE)) || same(address, edge(address, subnet->prefix, TRUE)));
}

static gboolean check_inside(const Check *check, const char *path, const Subnet *subnet, const char *text) {
  Address address = read_address(text);
  if (!contains(subnet, address))
    check_error(check, path, "%s isn't in the network %s", text, subnet->text);
  else if (is_edge(subnet, address))
    check_error(check, path, "%s is the first or last address of the network %s, which nobody can have", text, subnet->text);
  else
    return TRUE;
  return FALSE;
}

#define RANGE_MAX 65535 /* libvirt's bound of one DHCP range */

static gboolean too_many(Address start, Address end) {
  guint64 count = 0; /* of what differs; the start isn't after the end */
  for (guint i = 0; i < start.length; i++) {
    count = count * 256 + end.bytes[i] - start.bytes[i];
    if (count > 2 * RANGE_MAX + 512)
      return TRUE;
  }
  return count + 1 > RANGE_MAX;
}

static void check_range(const Check *outer, const Subnet *subnet, const DhcpRangeSpec *range) {
  const Check check = check_item(outer, "dhcp.ranges", range->start);
  gboolean inside = check_inside(&check, "start", subnet, range->start);
  if (!check_inside(&check, "end", subnet, range->end) || !inside)
    return;
  Address start = read_address(range->start), end = read_address(range->end);
  if (memcmp(start.bytes, end.bytes, start.length) > 0)
    check_error(&check, "end", "the range ends before it starts");
  else if (too_many(start, end))
    check_error(&check, "end", "the range has more than %d addresses", RANGE_MAX);
}

/* A second host with the address or the name. */
static void check_unique(const Check *check, GHashTable *seen, const char *key, const char *value) {
  if (value && !g_hash_table_add(seen, g_strdup(value)))
    check_error(check, key, "two hosts have the %s %s", key, value);
}

static void check_hosts(const Check *outer, const Subnet *subnet, const GPtrArray *hosts) {
  g_autoptr(GHashTable) ips = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; hosts && i < hosts->len; i++) {
    const DhcpHostSpec *host = hosts->pdata[i];
    const Check check = check_item(outer, "dhcp.hosts", host->mac);
    check_inside(&check, "ip", subnet, host->ip);
    check_unique(&check, ips, "ip", host->ip);
    check_unique(&check, names, "name", host->name);
    if (subnet->address.length == 16)
      check_error(&check, "mac", "libvirt can't give fixed IPv6 addresses by MAC");
  }
}

void validate_network(const Check *check) {
  const NetworkSpec *network = check->object->spec;
  if (network->mode == NetworkMode_bridge || !given(network, NetworkSpec, address) || !given(network, NetworkSpec, prefix))
    return;
  g_autofree char *text = g_strdup_printf("%s/%" G_GINT64_FORMAT, network->address, network->prefix);
  const Subnet subnet = {read_address(network->address), (guint)network->prefix, text};
  if (subnet.prefix > subnet.address.length * 8)
    return; /* said already */
  for (guint i = 0; network->dhcp.ranges && i < network->dhcp.ranges->len; i++)
    check_range(check, &subnet, network->dhcp.ranges->pdata[i]);
  check_hosts(check, &subnet, network->dhcp.hosts);
}
