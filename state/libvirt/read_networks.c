/* Networks: definition and what runs. What is asked of one is asked at once, as of pools (read_storage.c). */
#include <libvirt/virterror.h>

#include "state/host_facts.h"
#include "state/libvirt/reading.h"

typedef struct {
  virNetworkPtr handle;
  ActualNetwork *network; /* owned by the Actual */
  char *persistent, *live;
  gboolean autostart, vanished; /* between list and read */
} NetworkReading;

void network_reading_free(gpointer network_reading) {
  NetworkReading *each = network_reading;
  vir_network_release(each->handle);
  g_free(each->persistent);
  g_free(each->live);
  g_free(each);
}

/* After a call that has failed. */
static void fail_network(Reading *reading, NetworkReading *each) {
  gboolean vanished = virGetLastErrorCode() == VIR_ERR_NO_NETWORK;
  char *trouble = vanished ? NULL : reading_trouble(reading, "network %s", each->network->name);
  g_mutex_lock(&reading->lock);
  each->vanished |= vanished;
  if (each->network->error)
    g_free(trouble);
  else
    each->network->error = trouble;
  g_mutex_unlock(&reading->lock);
}

static void read_definition(gpointer data, gpointer item) {
  NetworkReading *each = item;
  each->persistent = virNetworkGetXMLDesc(each->handle, VIR_NETWORK_XML_INACTIVE);
  if (!each->persistent)
    fail_network(data, each);
}

static void read_live(gpointer data, gpointer item) {
  NetworkReading *each = item;
  each->network->active = virNetworkIsActive(each->handle) == 1;
  each->live = each->network->active ? virNetworkGetXMLDesc(each->handle, 0) : NULL;
  if (each->network->active && !each->live)
    fail_network(data, each);
}

static void read_flags(gpointer data, gpointer item) {
  NetworkReading *each = item;
  int autostart = 0;
  each->network->is_persistent = virNetworkIsPersistent(each->handle) == 1;
  if (each->network->is_persistent && virNetworkGetAutostart(each->handle, &autostart) < 0)
    fail_network(data, each);
  each->autostart = autostart;
}

static void finish(Reading *reading, const NetworkReading *each) {
  ActualNetwork *network = each->network;
  g_autoptr(GError) error = NULL;
  if (each->vanished)
    g_hash_table_remove(reading->actual->networks, network->name);
  else if (network->error)
    return;
  else if (!network_facts_read(network, each->persistent, each->live, &error))
    network->error = g_strdup_printf("network %s: %s", network->name, error->message);
  else
    network_facts_finish(network, each->autostart);
}

void read_networks_finish(Reading *reading) {
  for (guint i = 0; i < reading->networks->len; i++)
    finish(reading, reading->networks->pdata[i]);
}

static ActualNetwork *add_network(Reading *reading, virNetworkPtr handle) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virNetworkGetUUIDString(handle, uuid);
  ActualNetwork *network = actual_network_new(virNetworkGetName(handle), uuid);
  network->texts = texts_new(reading->options->keep_texts);
  g_mutex_lock(&reading->lock);
  g_hash_table_replace(reading->actual->networks, network->name, network);
  g_mutex_unlock(&reading->lock);
  return network;
}

static void list_networks(gpointer data, gpointer item G_GNUC_UNUSED) {
  Reading *reading = data;
  virNetworkPtr *networks = NULL;
  int n = virConnectListAllNetworks(reading->conn, &networks, 0);
  if (n < 0 && reading_lacks_driver())
    reading->actual->networks_error = reading_trouble(reading, "networks");
  else if (n < 0)
    reading_fail_libvirt(reading, "cannot list the networks");
  for (int i = 0; i < n; i++) {
    NetworkReading *each = g_new(NetworkReading, 1);
    *each = (NetworkReading){.handle = networks[i], .network = add_network(reading, networks[i])};
    g_ptr_array_add(reading->networks, each);
    work_push(reading->work, read_definition, reading, each);
    work_push(reading->work, read_live, reading, each);
    work_push(reading->work, read_flags, reading, each);
  }
  free(networks);
}

void read_networks(Reading *reading) { work_push(reading->work, list_networks, reading, NULL); }
