/* observe_dump [--again] [--calls] [--names NAME,…] [--threads N] [--quiet] [--lines] [--events] URI
 *
 * Prints an observation as JSON, for tests. --again: observes each domain once more
 * alone, as "again". --calls: takes no short cut through files. --quiet: prints only the
 * time it took, in milliseconds. --lines: one observation for each line on standard input,
 * as one line. --events: with libvirt's event loop in a thread. Exit status 1 and a message
 * when it failed. */
#include <glib.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "state/libvirt/connection.h"
#include "state/observe.h"

static void put_text(json_t *object, const char *key, const char *text) {
  json_object_set_new(object, key, text ? json_string(text) : json_null());
}

static void put_bytes(json_t *object, const char *key, guint64 bytes) {
  json_object_set_new(object, key, json_integer((json_int_t)bytes));
}

static void put_spec(json_t *object, const char *key, const FieldTable *table, gconstpointer spec) {
  g_autofree char *text = spec_to_json(table, spec);
  json_object_set_new(object, key, json_loads(text, 0, NULL));
}

static json_t *volume_json(const ActualVolume *volume) {
  json_t *object = json_object();
  put_text(object, "name", volume->name);
  put_text(object, "path", volume->path);
  put_text(object, "pool", volume->pool);
  put_text(object, "format", volume->format);
  put_bytes(object, "capacity", volume->capacity);
  put_bytes(object, "allocation", volume->allocation);
  put_bytes(object, "physical", volume->physical);
  json_object_set_new(object, "fromFile", json_boolean(volume->from_file));
  put_text(object, "backingPath", volume->backing_path);
  put_text(object, "backingFormat", volume->backing_format);
  put_text(object, "error", volume->error);
  return object;
}

static json_t *disks_json(const GPtrArray *disks) {
  json_t *object = json_object();
  for (guint i = 0; disks && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    json_t *each = json_object(), *chain = json_array();
    put_text(each, "path", disk->path);
    put_text(each, "volume", disk->volume);
    for (guint j = 0; j < disk->chain->len; j++)
      json_array_append_new(chain, volume_json(disk->chain->pdata[j]));
    json_object_set_new(each, "chain", chain);
    json_object_set_new(object, disk->target, each);
  }
  return object;
}

static json_t *domain_json(const ActualDomain *domain) {
  json_t *object = json_object();
  put_text(object, "uuid", domain->uuid);
  put_text(object, "power", power_state_word(domain->state, domain->has_managed_save));
  put_bytes(object, "reason", (guint64)domain->reason);
  json_object_set_new(object, "active", json_boolean(domain->active));
  json_object_set_new(object, "isPersistent", json_boolean(domain->is_persistent));
  json_object_set_new(object, "managedSave", json_boolean(domain->has_managed_save));
  json_object_set_new(object, "autostart", json_boolean(domain->autostart));
  put_bytes(object, "snapshots", domain->snapshots->len);
  put_spec(object, "persistent", &VmSpec_table, &domain->persistent);
  if (domain->active)
    put_spec(object, "live", &VmSpec_table, actual_live(domain));
  put_text(object, "owner", domain->owner ? domain->owner->source : NULL);
  put_text(object, "started", domain->started ? domain->started->source : NULL);
  json_object_set_new(object, "disks", disks_json(domain->disks));
  json_object_set_new(object, "definedDisks", disks_json(domain->defined_disks));
  put_text(object, "fingerprint", domain->fingerprint);
  put_text(object, "error", domain->error);
  return object;
}

static json_t *pool_json(const ActualPool *pool) {
  json_t *object = json_object(), *volumes = json_object();
  put_text(object, "uuid", pool->uuid);
  put_text(object, "target", pool->target);
  json_object_set_new(object, "active", json_boolean(pool->active));
  put_spec(object, "spec", &StoragePoolSpec_table, &pool->spec);
  put_text(object, "error", pool->error);
  put_bytes(object, "capacity", pool->capacity);
  put_bytes(object, "available", pool->available);
  GHashTableIter each;
  const ActualVolume *volume;
  g_hash_table_iter_init(&each, pool->volumes);
  while (g_hash_table_iter_next(&each, NULL, (gpointer *)&volume)) {
    json_t *entry = volume_json(volume);
    put_bytes(entry, "modified", (guint64)volume->mtime_ns); /* not of chains: machines run on them */
    put_bytes(entry, "changed", (guint64)volume->ctime_ns);
    json_object_set_new(volumes, volume->name, entry);
  }
  json_object_set_new(object, "volumes", volumes);
  return object;
}

static json_t *network_json(const ActualNetwork *network) {
  json_t *object = json_object();
  put_text(object, "uuid", network->uuid);
  json_object_set_new(object, "active", json_boolean(network->active));
  put_spec(object, "persistent", &NetworkSpec_table, &network->persistent);
  if (network->active)
    put_spec(object, "live", &NetworkSpec_table, &network->live);
  put_text(object, "owner", network->owner ? network->owner->source : NULL);
  put_text(object, "fingerprint", network->fingerprint);
  put_text(object, "error", network->error);
  return object;
}

typedef json_t *(*ToJson)(gconstpointer value);

static json_t *table_json(GHashTable *table, ToJson to_json) {
  json_t *object = json_object();
  GHashTableIter each;
  gpointer name, value;
  g_hash_table_iter_init(&each, table);
  while (g_hash_table_iter_next(&each, &name, &value))
    json_object_set_new(object, name, to_json(value));
  return object;
}

static json_t *any_domain(gconstpointer value) { return domain_json(value); }
static json_t *any_pool(gconstpointer value) { return pool_json(value); }
static json_t *any_network(gconstpointer value) { return network_json(value); }

static json_t *actual_json(const Actual *actual) {
  json_t *object = json_object();
  put_text(object, "uri", actual->uri);
  put_text(object, "hostname", actual->hostname);
  put_text(object, "arch", actual->arch);
  put_text(object, "storageError", actual->storage_error);
  put_text(object, "networksError", actual->networks_error);
  json_object_set_new(object, "hasKvm", json_boolean(actual->has_kvm));
  json_object_set_new(object, "privileged", json_boolean(actual->privileged));
  json_object_set_new(object, "domains", table_json(actual->domains, any_domain));
  json_object_set_new(object, "pools", table_json(actual->pools, any_pool));
  json_object_set_new(object, "networks", table_json(actual->networks, any_network));
  put_bytes(object, "volumesByPath", g_hash_table_size(actual->volumes_by_path));
  return object;
}

static json_t *each_alone(Connection *connection, const Actual *actual) {
  json_t *all = json_object();
  GHashTableIter each;
  gpointer name;
  g_hash_table_iter_init(&each, actual->domains);
  while (g_hash_table_iter_next(&each, &name, NULL)) {
    g_autoptr(GError) error = NULL;
    g_autoptr(ActualDomain) domain = observe_domain(connection, actual, name, &error);
    json_object_set_new(all, name, domain ? domain_json(domain) : error ? json_string(error->message) : json_null());
  }
  return all;
}

static gboolean again, calls, quiet, lines, events;
static int threads;
static char *names;

static const GOptionEntry entries[] = {
  {"calls", 0, 0, G_OPTION_ARG_NONE, &calls, NULL, NULL},
  {"again", 0, 0, G_OPTION_ARG_NONE, &again, NULL, NULL},       {"quiet", 0, 0, G_OPTION_ARG_NONE, &quiet, NULL, NULL},
  {"lines", 0, 0, G_OPTION_ARG_NONE, &lines, NULL, NULL},       {"events", 0, 0, G_OPTION_ARG_NONE, &events, NULL, NULL},
  {"threads", 0, 0, G_OPTION_ARG_INT, &threads, NULL, NULL},    {"names", 0, 0, G_OPTION_ARG_STRING, &names, NULL, NULL},
  G_OPTION_ENTRY_NULL};

static gboolean dump(Connection *connection, GError **error) {
  g_auto(GStrv) wanted = names ? g_strsplit(names, ",", 0) : NULL;
  ObserveOptions options = {.domains = TRUE, .storage = TRUE, .networks = TRUE, .names = (const char *const *)wanted,
                            .threads = (guint)threads, .keep_texts = calls /* texts come by calls */};
  if (quiet && !connection_get(connection, error))
    return FALSE;
  gint64 start = g_get_monotonic_time();
  g_autoptr(Actual) actual = observe(connection, &options, error);
  if (actual && quiet) {
    printf("%.1f\n", (double)(g_get_monotonic_time() - start) / 1000);
  } else if (actual) {
    json_t *object = actual_json(actual);
    if (again)
      json_object_set_new(object, "again", each_alone(connection, actual));
    json_dumpf(object, stdout, lines ? JSON_COMPACT : JSON_INDENT(1) | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(object);
  }
  fflush(stdout);
  return actual != NULL;
}

int main(int argc, char **argv) {
  g_autoptr(GOptionContext) context = g_option_context_new("URI");
  g_option_context_add_main_entries(context, entries, NULL);
  g_autoptr(GError) error = NULL;
  if (!g_option_context_parse(context, &argc, &argv, &error) || argc != 2) {
    fprintf(stderr, "observe_dump: %s\n", error ? error->message : "URI missing");
    return 1;
  }
  if (events)
    connection_start_events();
  g_autoptr(Connection) connection = connection_new(argv[1], TRUE);
  char line[16];
  gboolean done = TRUE;
  if (!lines)
    done = dump(connection, &error);
  while (done && lines && fgets(line, sizeof line, stdin))
    done = dump(connection, &error);
  if (!done)
    fprintf(stderr, "observe_dump: %s\n", error->message);
  g_free(names);
  return done ? 0 : 1;
}
