#include "reconciler/fleet.h"

#include <gio/gio.h>

static void host_free(gpointer data) {
  FleetHost *host = data;
  g_free(host->name);
  if (!host->borrowed)
    connection_free(host->connection);
  actual_free(host->actual);
  g_clear_error(&host->error);
  g_free(host);
}

static Fleet *fleet_new(void) {
  Fleet *fleet = g_new0(Fleet, 1);
  fleet->hosts = g_ptr_array_new_with_free_func(host_free);
  return fleet;
}

void fleet_free(Fleet *fleet) {
  if (fleet == NULL)
    return;
  g_ptr_array_unref(fleet->hosts);
  g_free(fleet);
}

Fleet *fleet_new_single(Connection *connection) {
  Fleet *fleet = fleet_new();
  FleetHost *host = g_new0(FleetHost, 1);
  host->connection = connection;
  host->borrowed = TRUE;
  g_ptr_array_add(fleet->hosts, host);
  return fleet;
}

gboolean fleet_host_is_fenced(const FleetHost *host) {
  return host->spec != NULL && given(host->spec, HostSpec, fenced) && host->spec->fenced;
}

gboolean fleet_host_shares(const FleetHost *host, const char *pool, const char *other) {
  const SharedPoolSpec *shared = given(host->spec, HostSpec, sharedPools)
                                     ? list_find(&SharedPoolSpec_table, host->spec->sharedPools, table_key_field(&SharedPoolSpec_table), pool) : NULL;
  return shared != NULL && g_strv_contains((const char *const *)shared->with, other);
}

gboolean fleet_has_fenced(const Fleet *fleet) {
  for (guint i = 0; i < fleet->hosts->len; i++)
    if (fleet_host_is_fenced(fleet->hosts->pdata[i]))
      return TRUE;
  return FALSE;
}

static FleetHost *host_new(const Object *object, gboolean read_only) {
  FleetHost *host = g_new0(FleetHost, 1);
  host->name = g_strdup(object->metadata.name);
  host->spec = object->spec;
  host->labels = given(&object->metadata, MetadataSpec, labels) ? object->metadata.labels : NULL;
  host->connection = connection_new(host->spec->uri, read_only);
  return host;
}

Fleet *fleet_new_declared(const Desired *desired, gboolean read_only) {
  Fleet *fleet = fleet_new();
  for (guint i = 0; i < desired->objects->len; i++) { /* by kind, then name */
    const Object *object = desired->objects->pdata[i];
    if (object->kind == KIND_HOST)
      g_ptr_array_add(fleet->hosts, host_new(object, read_only));
  }
  return fleet;
}

Fleet *fleet_new_planned(const Plan *plan, gboolean read_only) {
  Fleet *fleet = fleet_new();
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *each = plan->hosts->pdata[i];
    FleetHost *host = g_new0(FleetHost, 1);
    host->name = g_strdup(each->name);
    host->connection = connection_new(each->connection, read_only);
    g_ptr_array_add(fleet->hosts, host);
  }
  return fleet;
}

gboolean desired_has_hosts(const Desired *desired) {
  return desired->objects->len > 0 && ((const Object *)desired->objects->pdata[0])->kind == KIND_HOST;
}

typedef struct {
  FleetHost *host;
  const ObserveOptions *options;
} Look;

static gpointer look(gpointer data) {
  Look *each = data;
  each->host->actual = observe(each->host->connection, each->options, &each->host->error);
  return NULL;
}

/* A thread for each: most of the time they wait for their hosts. */
void fleet_observe(Fleet *fleet, const ObserveOptions *options) {
  guint n = fleet->hosts->len;
  g_autofree Look *looks = g_new0(Look, n + 1);
  g_autofree GThread **threads = g_new0(GThread *, n + 1);
  for (guint i = 0; i < n; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    g_clear_pointer(&host->actual, actual_free);
    g_clear_error(&host->error);
    looks[i] = (Look){host, options};
    if (fleet_host_is_fenced(host))
      g_set_error(&host->error, G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE, "it is declared to be fenced");
    else if (i + 1 < n)
      threads[i] = g_thread_new("observe", look, &looks[i]);
    else
      look(&looks[i]);
  }
  for (guint i = 0; i < n; i++)
    if (threads[i] != NULL)
      g_thread_join(threads[i]);
}

FleetHost *fleet_host(const Fleet *fleet, const char *name) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (g_strcmp0(host->name, name) == 0)
      return host;
  }
  return NULL;
}
