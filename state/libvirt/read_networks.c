/* Networks: definition and what runs. */
#include <libvirt/virterror.h>

#include "state/host_facts.h"
#include "state/libvirt/reading.h"

typedef struct {
  virNetworkPtr handle;
  ActualNetwork *network;
} NetworkReading;

static void drop_network(Reading *reading, ActualNetwork *network) {
  g_mutex_lock(&reading->lock);
  g_hash_table_remove(reading->actual->networks, network->name);
  g_mutex_unlock(&reading->lock);
}

static void read_network(gpointer data, gpointer item) {
  Reading *reading = data;
  g_autofree NetworkReading *each = item;
  g_autoptr(VirNetwork) handle = each->handle;
  ActualNetwork *network = each->network;
  int autostart = 0;
  g_autofree char *persistent = virNetworkGetXMLDesc(handle, VIR_NETWORK_XML_INACTIVE);
  g_autofree char *live = persistent && network->active ? virNetworkGetXMLDesc(handle, 0) : NULL;
  g_autoptr(GError) error = NULL;
  if (!persistent && virGetLastErrorCode() == VIR_ERR_NO_NETWORK)
    drop_network(reading, network);
  else if (!persistent || (network->active && !live) ||
           (network->is_persistent && virNetworkGetAutostart(handle, &autostart) < 0))
    network->error = reading_trouble(reading, "network %s", network->name);
  else if (!network_facts_read(network, persistent, live, &error))
    network->error = g_strdup_printf("network %s: %s", network->name, error->message);
  else
    network_facts_finish(network, autostart);
}

static ActualNetwork *add_network(Reading *reading, virNetworkPtr handle) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virNetworkGetUUIDString(handle, uuid);
  ActualNetwork *network = actual_network_new(virNetworkGetName(handle), uuid);
  network->active = virNetworkIsActive(handle) == 1;
  network->is_persistent = virNetworkIsPersistent(handle) == 1;
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
    *each = (NetworkReading){networks[i], add_network(reading, networks[i])};
    work_push(reading->work, read_network, reading, each);
  }
  free(networks);
}

void read_networks(Reading *reading) { work_push(reading->work, list_networks, reading, NULL); }
