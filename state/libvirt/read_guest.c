#include "state/guest_facts.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "state/fault.h"
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

/* What one that doesn't answer holds up is a thread of its own: libvirt waits for an agent, and for a QEMU whose storage hangs,
 * as long as it takes. Who asked takes what has been told so far. */
enum { PATIENCE_SECONDS = 10 };

typedef struct {
  gint refs;
  GMutex lock;
  GCond answered;
  gboolean over;
  char *uri, *name;
  gboolean has_agent;
  GuestFacts *facts; /* nobody's, once somebody has lost patience */
} Question;

static GuestFacts *guest_facts_new(void) {
  GuestFacts *facts = g_new0(GuestFacts, 1);
  facts->addresses = g_ptr_array_new_with_free_func(address_free);
  return facts;
}

static void question_unref(Question *question) {
  if (!g_atomic_int_dec_and_test(&question->refs))
    return;
  guest_facts_free(question->facts);
  g_mutex_clear(&question->lock);
  g_cond_clear(&question->answered);
  g_free(question->uri);
  g_free(question->name);
  g_free(question);
}

static virDomainPtr find(Connection *connection, const char *name, GError **error) {
  virConnectPtr conn = connection_get(connection, error);
  return conn ? virDomainLookupByName(conn, name) : NULL;
}

/* Each is told when it is known. Takes its arguments. */
static void tell(Question *question, json_t *statistics, json_t *agent, char *no_agent, GPtrArray *addresses) {
  g_mutex_lock(&question->lock);
  GuestFacts *facts = question->facts;
  if (statistics)
    facts->statistics = statistics;
  if (agent)
    facts->agent = agent;
  if (no_agent)
    facts->no_agent = no_agent;
  if (addresses) {
    g_ptr_array_unref(facts->addresses);
    facts->addresses = addresses;
  }
  g_mutex_unlock(&question->lock);
}

static gboolean ask_agent(Question *question) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Connection) connection = connection_new(question->uri, FALSE);
  g_autoptr(VirDomain) domain = find(connection, question->name, &error);
  virTypedParameterPtr values = NULL;
  int count = 0;
  if (!domain || virDomainGetGuestInfo(domain, VIR_DOMAIN_GUEST_INFO_OS | VIR_DOMAIN_GUEST_INFO_HOSTNAME, &values, &count, 0) < 0) {
    tell(question, NULL, NULL, g_strdup(error ? error->message : virGetLastErrorMessage()), NULL);
    return FALSE;
  }
  tell(question, NULL, values_json(values, count), NULL, NULL);
  virTypedParamsFree(values, count);
  GPtrArray *addresses = g_ptr_array_new_with_free_func(address_free);
  gboolean found = read_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, "agent", addresses);
  tell(question, NULL, NULL, NULL, addresses);
  return found;
}

static void ask_host(Question *question, virDomainPtr domain) {
  GPtrArray *addresses = g_ptr_array_new_with_free_func(address_free);
  if (!read_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, "lease", addresses))
    read_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, "arp", addresses);
  tell(question, NULL, NULL, NULL, addresses);
}

static gpointer ask(gpointer data) {
  Question *question = data;
  g_autoptr(Connection) connection = connection_new(question->uri, TRUE);
  g_autoptr(VirDomain) domain = find(connection, question->name, NULL);
  if (domain) {
    tell(question, read_statistics(domain), NULL, NULL, NULL);
    if (!question->has_agent || !ask_agent(question))
      ask_host(question, domain);
  }
  g_mutex_lock(&question->lock);
  question->over = TRUE;
  g_cond_signal(&question->answered);
  g_mutex_unlock(&question->lock);
  question_unref(question);
  return NULL;
}

static GuestFacts *wait_for_answer(Question *question) {
  guint patience = fault_patience(PATIENCE_SECONDS);
  gint64 until = g_get_monotonic_time() + patience * G_USEC_PER_SEC;
  g_mutex_lock(&question->lock);
  while (!question->over && g_cond_wait_until(&question->answered, &question->lock, until))
    ;
  GuestFacts *facts = g_steal_pointer(&question->facts);
  facts->silent_seconds = question->over ? 0 : patience;
  question->facts = guest_facts_new();
  g_mutex_unlock(&question->lock);
  return facts;
}

GuestFacts *guest_facts_read(const char *uri, const char *name, gboolean has_agent) {
  Question *question = g_new0(Question, 1);
  *question = (Question){.refs = 2, .uri = g_strdup(uri), .name = g_strdup(name), .has_agent = has_agent, .facts = guest_facts_new()};
  g_mutex_init(&question->lock);
  g_cond_init(&question->answered);
  g_thread_unref(g_thread_new("guest", ask, question));
  GuestFacts *facts = wait_for_answer(question);
  question_unref(question);
  return facts;
}
