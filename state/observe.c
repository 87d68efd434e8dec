/* The order of an observation: everything that can be asked at once in one queue, then what
 * follows from all answers together. */
#include "state/fault.h"
#include "state/libvirt/reading.h"
#include "state/life_sign.h"
#include "state/same_files.h"
#include "state/told_formats.h"

/* So many requests of a client libvirt serves at once. Of what comes over a link, more are on their way meanwhile, so that
 * not each five of them cost a round trip. */
enum { LOCAL_THREADS = 5, REMOTE_THREADS = 64 };

static void reading_init(Reading *reading, virConnectPtr conn, const ObserveOptions *options) {
  *reading = (Reading){.conn = conn, .options = options};
  reading->by_files = !options->keep_texts && !connection_is_remote(conn);
  reading->actual = actual_new();
  reading->work = work_new();
  reading->domains = g_ptr_array_new_with_free_func(domain_reading_free);
  reading->pools = g_ptr_array_new_with_free_func(pool_reading_free);
  reading->networks = g_ptr_array_new_with_free_func(network_reading_free);
  reading->volumes = g_ptr_array_new_with_free_func(volume_reading_free);
  reading->not_qcow2 = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_mutex_init(&reading->lock);
}

static void reading_release(Reading *reading) {
  g_ptr_array_unref(reading->domains);
  g_ptr_array_unref(reading->volumes);
  g_ptr_array_unref(reading->pools);
  g_ptr_array_unref(reading->networks);
  g_hash_table_unref(reading->not_qcow2);
  work_free(reading->work);
  actual_free(reading->actual);
  g_clear_error(&reading->error);
  g_mutex_clear(&reading->lock);
}

/* The long work first: it is in the queue while the answers about the host are waited for. */
static void read_everything(Reading *reading) {
  const ObserveOptions *options = reading->options;
  guint usual = connection_is_remote(reading->conn) ? REMOTE_THREADS : LOCAL_THREADS;
  guint threads = options->threads ? options->threads : usual;
  if (options->domains)
    read_domains(reading);
  if (options->storage)
    read_storage(reading);
  if (options->networks)
    read_networks(reading);
  read_host(reading);
  work_run(reading->work, threads);
  read_volumes(reading);
  work_run(reading->work, threads);
  if (reading->error)
    return;
  read_storage_finish(reading);
  read_networks_finish(reading);
  told_formats_apply(reading->actual);
  read_domains_finish(reading);
  work_run(reading->work, threads);
}

Actual *observe(Connection *connection, const ObserveOptions *options, GError **error) {
  virConnectPtr conn = connection_get(connection, error);
  if (!conn)
    return NULL;
  FAULT_IN("observe: connected", connection_uri(connection));
  guint given_up = connections_given_up();
  Reading reading;
  reading_init(&reading, conn, options);
  read_everything(&reading);
  if (connections_given_up() != given_up)
    reading_fail_given_up(&reading);
  /* Objects that couldn't be read because the daemon went away say nothing about them. */
  if (!reading.error && reading.had_trouble)
    reading_check_alive(&reading);
  Actual *actual = reading.error ? NULL : g_steal_pointer(&reading.actual);
  if (actual) {
    actual_set_helpers_aside(actual);
    same_files_find(actual);
  }
  if (reading.error)
    g_propagate_error(error, g_steal_pointer(&reading.error));
  reading_release(&reading);
  return actual;
}

ActualDomain *observe_domain(Connection *connection, const Actual *actual, const char *name, GError **error) {
  virConnectPtr conn = connection_get(connection, error);
  return conn ? read_one_domain(conn, actual, name, error) : NULL;
}

gboolean observe_again(Connection *connection, Actual *actual, GHashTable *names, GError **error) {
  GHashTableIter iter;
  gpointer name;
  g_hash_table_iter_init(&iter, names);
  while (g_hash_table_iter_next(&iter, &name, NULL)) {
    GError *trouble = NULL;
    life_expected(TRUE);
    ActualDomain *domain = observe_domain(connection, actual, name, &trouble);
    life_expected(FALSE);
    if (trouble) {
      g_propagate_error(error, trouble);
      return FALSE;
    }
    if (domain)
      g_hash_table_replace(actual->domains, domain->name, domain);
    else
      g_hash_table_remove(actual->domains, name);
  }
  same_files_find(actual);
  return TRUE;
}
