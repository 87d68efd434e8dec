#include "reconciler/command/observe_names.h"

#include <string.h>

#include "reconciler/run/pipeline.h"
#include "reconciler/source/source.h"
#include "state/libvirt/connection.h"
#include "state/observe.h"

static int compare_domains(gconstpointer a, gconstpointer b) {
  const ActualDomain *first = *(ActualDomain *const *)a, *second = *(ActualDomain *const *)b;
  return strcmp(first->name, second->name);
}

static gboolean find_all(const Actual *actual, char *const *names, GError **error) {
  for (; *names; names++)
    if (!g_hash_table_contains(actual->domains, *names)) {
      g_set_error(error, CLI_ERROR, CLI_ERROR_NOT_FOUND, "there is no domain \"%s\" on %s", *names,
                  actual->uri ? actual->uri : "this host");
      return FALSE;
    }
  return TRUE;
}

GPtrArray *domains_by_name(const Actual *actual) {
  GPtrArray *domains = g_ptr_array_new();
  GHashTableIter iter;
  gpointer domain;
  g_hash_table_iter_init(&iter, actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, &domain))
    g_ptr_array_add(domains, domain);
  g_ptr_array_sort(domains, compare_domains);
  return domains;
}

GPtrArray *domains_named(const Cli *cli, const Actual *actual) {
  GPtrArray *domains = domains_by_name(actual);
  for (guint i = domains->len; cli->args[0] && i > 0; i--)
    if (!g_strv_contains((const char *const *)cli->args, ((const ActualDomain *)domains->pdata[i - 1])->name))
      g_ptr_array_remove_index(domains, i - 1);
  return domains;
}

Fleet *fleet_of_source(const Cli *cli, const ObserveOptions *options, Desired **ret_desired, Diagnostics *diagnostics, GError **error) {
  const char *only = cli->options.host;
  g_autofree char *identity = NULL, *revision = NULL;
  SourceRequest request = {.source = cli->options.source};
  *ret_desired = source_read(&request, &identity, &revision, diagnostics, error);
  if (!*ret_desired || diagnostics->errors > 0)
    return NULL;
  connection_watch();
  g_autoptr(Fleet) fleet = fleet_new_declared(*ret_desired, NULL, TRUE);
  for (guint i = fleet->hosts->len; only && i > 0; i--)
    if (!g_str_equal(((const FleetHost *)fleet->hosts->pdata[i - 1])->name, only))
      g_ptr_array_remove_index(fleet->hosts, i - 1);
  if (fleet->hosts->len == 0) {
    g_set_error(error, CLI_ERROR, CLI_ERROR_NOT_FOUND, only ? "%s: the source declares no host %s" : "%s: the source declares no hosts",
                cli->options.source, only);
    return NULL;
  }
  fleet_observe(fleet, options);
  return g_steal_pointer(&fleet);
}

GPtrArray *observe_named(const Cli *cli, gboolean whole, Actual **ret_actual, GError **error) {
  g_autoptr(Connection) connection = connection_new(cli->options.connect, TRUE);
  const char *const *names = cli->args[0] ? (const char *const *)cli->args : NULL;
  ObserveOptions options = {.domains = TRUE, .storage = TRUE, .jobs = TRUE, .names = whole ? NULL : names};
  g_autoptr(Actual) actual = observe(connection, &options, error);
  if (!actual || !find_all(actual, cli->args, error))
    return NULL;
  GPtrArray *domains = domains_named(cli, actual);
  *ret_actual = g_steal_pointer(&actual);
  return domains;
}
