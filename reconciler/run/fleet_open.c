#include "reconciler/run/fleet_open.h"

#include <gio/gio.h>

static void host_free(gpointer data) {
  FleetHost *host = data;
  g_free(host->name);
  if (host->known == NULL)
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

static gpointer free_in_thread(gpointer host) {
  host_free(host);
  return NULL;
}

/* Closing a connection is a call that waits for its host. */
void fleet_free(Fleet *fleet) {
  if (fleet == NULL)
    return;
  g_autoptr(GPtrArray) threads = g_ptr_array_new();
  g_ptr_array_set_free_func(fleet->hosts, NULL);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (host->known == NULL && fleet->hosts->len > 1)
      g_ptr_array_add(threads, g_thread_new("close", free_in_thread, host));
    else
      host_free(host);
  }
  for (guint i = 0; i < threads->len; i++)
    g_thread_join(threads->pdata[i]);
  g_ptr_array_unref(fleet->hosts);
  g_clear_pointer(&fleet->put, g_hash_table_unref);
  g_free(fleet);
}

static void connect_host(FleetHost *host, KnownHost *known, const char *uri, gboolean read_only) {
  host->known = known;
  host->connection = known != NULL ? known->connection : connection_new(uri, read_only);
  host->uri = connection_uri(host->connection);
}

Fleet *fleet_new_single(KnownHost *known, const char *uri, gboolean read_only) {
  Fleet *fleet = fleet_new();
  FleetHost *host = g_new0(FleetHost, 1);
  connect_host(host, known, uri, read_only);
  g_ptr_array_add(fleet->hosts, host);
  return fleet;
}

static KnownHost *find_known(const GPtrArray *known, const char *name) {
  for (guint i = 0; known != NULL && i < known->len; i++) {
    KnownHost *each = known->pdata[i];
    if (g_strcmp0(each->name, name) == 0)
      return each;
  }
  return NULL;
}

static FleetHost *host_new(const Object *object, const GPtrArray *known, gboolean read_only) {
  FleetHost *host = g_new0(FleetHost, 1);
  host->name = g_strdup(object->metadata.name);
  host->spec = object->spec;
  host->labels = given(&object->metadata, MetadataSpec, labels) ? object->metadata.labels : NULL;
  connect_host(host, find_known(known, host->name), host->spec->uri, read_only);
  return host;
}

Fleet *fleet_new_declared(const Desired *desired, const GPtrArray *known, gboolean read_only) {
  Fleet *fleet = fleet_new();
  for (guint i = 0; i < desired->objects->len; i++) { /* by kind, then name */
    const Object *object = desired->objects->pdata[i];
    if (object->kind == KIND_HOST)
      g_ptr_array_add(fleet->hosts, host_new(object, known, read_only));
  }
  return fleet;
}

static GError *unreachable(char *why /* taken */) {
  GError *error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE, why);
  g_free(why);
  return error;
}

/* Also of hosts that were given up when it was made: they may be back, with newer copies. */
Fleet *fleet_new_planned(const Plan *plan, gboolean read_only) {
  Fleet *fleet = fleet_new();
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *each = plan->hosts->pdata[i];
    FleetHost *host = g_new0(FleetHost, 1);
    host->name = g_strdup(each->name);
    host->spec = each->spec;
    host->given_up = each->fenced;
    connect_host(host, NULL, each->connection, read_only);
    g_ptr_array_add(fleet->hosts, host);
  }
  return fleet;
}

typedef struct {
  FleetHost *host;
  const ObserveOptions *options;
} Look;

/* What is known is brought up to date; where that fails, and without it, all is looked at. */
static gpointer look(gpointer data) {
  const Look *each = data;
  FleetHost *host = each->host;
  KnownHost *known = host->known;
  g_autoptr(Actual) before = known != NULL ? g_steal_pointer(&known->actual) : NULL;
  if (known != NULL && known->error != NULL)
    host->error = g_error_copy(known->error);
  else if (before != NULL && observe_again(host->connection, before, known->stale, NULL))
    host->actual = g_steal_pointer(&before);
  else
    host->actual = observe(host->connection, each->options, &host->error);
  return NULL;
}

static GError *is_fenced(void) { return unreachable(g_strdup("it is declared to be fenced")); }

static void take_observed(FleetHost *host, ObservedHost *seen, const char *what) {
  if (fleet_host_is_fenced(host))
    host->error = is_fenced();
  else if (seen == NULL)
    host->error = unreachable(g_strdup_printf("%s has nothing of it", what));
  else if (seen->actual == NULL)
    host->error = unreachable(g_strdup_printf("%s says: %s", what, seen->error));
  else
    host->actual = g_steal_pointer(&seen->actual);
}

void fleet_take_observation(Fleet *fleet, Observation *observation, const char *what) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    take_observed(host, g_hash_table_lookup(observation->hosts, host->name), what);
  }
}

/* A thread for each: most of the time they wait for their hosts. */
void fleet_observe(Fleet *fleet, const ObserveOptions *options) {
  guint n = fleet->hosts->len;
  g_autofree Look *looks = g_new0(Look, n + 1);
  g_autofree GThread **threads = g_new0(GThread *, n + 1);
  for (guint i = 0; i < n; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (host->lost)
      continue;
    g_clear_pointer(&host->actual, actual_free);
    g_clear_error(&host->error);
    looks[i] = (Look){host, options};
    if (fleet_host_is_fenced(host))
      host->error = is_fenced();
    else if (i + 1 < n)
      threads[i] = g_thread_new("observe", look, &looks[i]);
    else
      look(&looks[i]);
  }
  for (guint i = 0; i < n; i++)
    if (threads[i] != NULL)
      g_thread_join(threads[i]);
}

void fleet_give_back(Fleet *fleet) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    KnownHost *known = host->known;
    if (known == NULL)
      continue;
    known->actual = g_steal_pointer(&host->actual);
    if (known->error == NULL && host->error != NULL)
      known->error = g_error_copy(host->error);
  }
}
