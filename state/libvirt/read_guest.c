#include "state/guest_facts.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "state/libvirt/connection.h"

static void address_free(gpointer data) {
  GuestAddress *address = data;
  g_free(address->interface);
  g_free(address->mac);
  g_free(address->address);
  g_free(address);
}

void guest_facts_free(GuestFacts *facts) {
  if (!facts)
    return;
  g_ptr_array_unref(facts->addresses);
  json_decref(facts->statistics);
  json_decref(facts->agent);
  g_free(facts->no_agent);
  g_free(facts);
}

static json_t *value_json(const virTypedParameter *value) {
  switch (value->type) {
  case VIR_TYPED_PARAM_INT: return json_integer(value->value.i);
  case VIR_TYPED_PARAM_UINT: return json_integer(value->value.ui);
  case VIR_TYPED_PARAM_LLONG: return json_integer(value->value.l);
  case VIR_TYPED_PARAM_ULLONG: return json_integer((json_int_t)MIN(value->value.ul, (unsigned long long)G_MAXINT64));
  case VIR_TYPED_PARAM_DOUBLE: return json_real(value->value.d);
  case VIR_TYPED_PARAM_BOOLEAN: return json_boolean(value->value.b);
  case VIR_TYPED_PARAM_STRING: {
    g_autofree char *valid = g_utf8_make_valid(value->value.s, -1);
    return json_string(valid);
  }
  default: return json_null();
  }
}

static json_t *values_json(const virTypedParameter *values, int count) {
  json_t *object = json_object();
  for (int i = 0; i < count; i++)
    json_object_set_new(object, values[i].field, value_json(&values[i]));
  return object;
}

static json_t *read_statistics(virDomainPtr domain) {
  virDomainPtr domains[] = {domain, NULL};
  virDomainStatsRecordPtr *records = NULL;
  unsigned int wanted = VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK;
  int count = virDomainListGetStats(domains, wanted, &records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
  json_t *statistics = count > 0 ? values_json(records[0]->params, records[0]->nparams) : NULL;
  if (records)
    virDomainStatsRecordListFree(records);
  return statistics;
}

static void take_interface(GPtrArray *addresses, const virDomainInterface *interface, const char *source) {
  for (unsigned int i = 0; i < interface->naddrs; i++) {
    GuestAddress *address = g_new(GuestAddress, 1);
    *address = (GuestAddress){.interface = g_strdup(interface->name), .mac = g_strdup(interface->hwaddr), .source = source,
                              .address = g_strdup_printf("%s/%u", interface->addrs[i].addr, interface->addrs[i].prefix)};
    g_ptr_array_add(addresses, address);
  }
}

/* Its own loopback is no news. */
static gboolean is_loopback(const virDomainInterface *interface) { return g_strcmp0(interface->name, "lo") == 0; }

static gboolean read_addresses(virDomainPtr domain, unsigned int kind, const char *source, GPtrArray *addresses) {
  virDomainInterfacePtr *interfaces = NULL;
  int count = virDomainInterfaceAddresses(domain, &interfaces, kind, 0);
  for (int i = 0; i < count; i++) {
    if (!is_loopback(interfaces[i]))
      take_interface(addresses, interfaces[i], source);
    virDomainInterfaceFree(interfaces[i]);
  }
  free(interfaces);
  return addresses->len > 0;
}

static void ask_agent(GuestFacts *facts, Connection *connection, const char *name) {
  g_autoptr(GError) error = NULL;
  virConnectPtr conn = connection_get(connection, &error);
  g_autoptr(VirDomain) domain = conn ? virDomainLookupByName(conn, name) : NULL;
  virTypedParameterPtr values = NULL;
  int count = 0;
  if (domain && virDomainGetGuestInfo(domain, VIR_DOMAIN_GUEST_INFO_OS | VIR_DOMAIN_GUEST_INFO_HOSTNAME, &values, &count, 0) == 0) {
    facts->agent = values_json(values, count);
    read_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, "agent", facts->addresses);
  } else {
    facts->no_agent = g_strdup(error ? error->message : virGetLastErrorMessage());
  }
  virTypedParamsFree(values, count);
}

GuestFacts *guest_facts_read(Connection *reading, Connection *writing, const char *name, gboolean has_agent) {
  virConnectPtr conn = connection_get(reading, NULL);
  g_autoptr(VirDomain) domain = conn ? virDomainLookupByName(conn, name) : NULL;
  if (!domain)
    return NULL;
  GuestFacts *facts = g_new0(GuestFacts, 1);
  facts->addresses = g_ptr_array_new_with_free_func(address_free);
  facts->statistics = read_statistics(domain);
  if (has_agent)
    ask_agent(facts, writing, name);
  if (facts->addresses->len == 0 && !read_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, "lease", facts->addresses))
    read_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, "arp", facts->addresses);
  return facts;
}
