#include "state/observation.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Messages may hold any bytes; names and XML come from libvirt as UTF-8. */
static void set_text(json_t *object, const char *key, const char *text) {
  if (!text)
    return;
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  json_object_set_new(object, key, json_string(valid));
}

static void set_flag(json_t *object, const char *key, gboolean flag) { json_object_set_new(object, key, json_boolean(flag)); }
static void set_number(json_t *object, const char *key, guint64 number) {
  json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void set_texts(json_t *object, const Texts *texts) {
  set_text(object, "xml", texts ? texts->persistent : NULL);
  set_text(object, "liveXml", texts ? texts->live : NULL);
}

typedef json_t *(*SaveFunction)(gconstpointer object);

static int by_name(gconstpointer a, gconstpointer b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static json_t *save_table(GHashTable *table, SaveFunction save) {
  guint n;
  g_autofree gpointer *names = g_hash_table_get_keys_as_array(table, &n);
  qsort(names, n, sizeof *names, by_name);
  json_t *list = json_array();
  for (guint i = 0; i < n; i++)
    json_array_append_new(list, save(g_hash_table_lookup(table, names[i])));
  return list;
}

static json_t *save_pairs(GHashTable *table) {
  g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(table), (GCompareFunc)strcmp);
  json_t *pairs = json_object();
  for (const GList *each = keys; each; each = each->next)
    if (g_utf8_validate(each->data, -1, NULL))
      set_text(pairs, each->data, g_hash_table_lookup(table, each->data));
  return pairs;
}

static json_t *save_volume(gconstpointer object) {
  const ActualVolume *volume = object;
  json_t *entry = json_object();
  set_text(entry, "name", volume->name);
  set_text(entry, "path", volume->path);
  set_text(entry, "error", volume->error);
  set_texts(entry, volume->texts);
  return entry;
}

static json_t *save_pool(gconstpointer object) {
  const ActualPool *pool = object;
  json_t *entry = json_object();
  set_text(entry, "name", pool->name);
  set_text(entry, "uuid", pool->uuid);
  set_flag(entry, "active", pool->active);
  set_flag(entry, "persistent", pool->persistent);
  set_flag(entry, "autostart", pool->spec.autostart);
  set_text(entry, "error", pool->error);
  set_texts(entry, pool->texts);
  json_object_set_new(entry, "volumes", save_table(pool->volumes, save_volume));
  return entry;
}

static json_t *save_network(gconstpointer object) {
  const ActualNetwork *network = object;
  json_t *entry = json_object();
  set_text(entry, "name", network->name);
  set_text(entry, "uuid", network->uuid);
  set_flag(entry, "active", network->active);
  set_flag(entry, "persistent", network->is_persistent);
  set_flag(entry, "autostart", network->persistent.autostart);
  set_text(entry, "error", network->error);
  set_texts(entry, network->texts);
  return entry;
}

static json_t *save_sizes(const ActualDomain *domain) {
  json_t *sizes = json_object();
  for (guint i = 0; domain->disks && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    if (disk->told_bytes)
      set_number(sizes, disk->target, disk->told_bytes);
  }
  return sizes;
}

static json_t *save_lost(const ActualDomain *domain) {
  json_t *lost = json_object();
  for (guint i = 0; domain->disks && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    set_text(lost, disk->target, disk->lost);
  }
  return lost;
}

static json_t *save_snapshots(const ActualDomain *domain) {
  json_t *list = json_array();
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    json_t *entry = json_object();
    set_flag(entry, "current", snapshot->current);
    set_texts(entry, snapshot->texts);
    json_array_append_new(list, entry);
  }
  return list;
}

static json_t *save_domain(gconstpointer object) {
  const ActualDomain *domain = object;
  json_t *entry = json_object();
  set_text(entry, "name", domain->name);
  set_text(entry, "uuid", domain->uuid);
  set_number(entry, "state", (guint64)domain->state);
  set_number(entry, "reason", (guint64)domain->reason);
  set_flag(entry, "persistent", domain->is_persistent);
  set_flag(entry, "managedSave", domain->has_managed_save);
  set_flag(entry, "autostart", domain->autostart);
  set_flag(entry, "hasSnapshots", domain->has_snapshots);
  json_object_set_new(entry, "snapshots", save_snapshots(domain));
  json_object_set_new(entry, "diskBytes", save_sizes(domain));
  json_object_set_new(entry, "lostFiles", save_lost(domain));
  set_text(entry, "error", domain->error);
  set_texts(entry, domain->texts);
  set_text(entry, "savedXml", domain->texts ? domain->texts->saved : NULL);
  return entry;
}

static json_t *save_host(const Actual *actual) {
  json_t *host = json_object();
  set_text(host, "uri", actual->uri);
  set_text(host, "hostname", actual->hostname);
  set_flag(host, "privileged", actual->privileged);
  set_text(host, "capabilities", actual->texts ? actual->texts->persistent : NULL);
  set_text(host, "storageError", actual->storage_error);
  set_text(host, "networksError", actual->networks_error);
  return host;
}

static void save_actual(json_t *object, const Actual *actual) {
  json_object_set_new(object, "host", save_host(actual));
  json_object_set_new(object, "pools", save_table(actual->pools, save_pool));
  json_object_set_new(object, "networks", save_table(actual->networks, save_network));
  json_object_set_new(object, "domains", save_table(actual->domains, save_domain));
  json_object_set_new(object, "sameFiles", save_pairs(actual->same_files));
}

static json_t *root_new(gint64 taken) {
  g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(taken / G_USEC_PER_SEC);
  g_autofree char *when = g_date_time_format_iso8601(utc);
  json_t *root = json_object();
  json_object_set_new(root, "formatVersion", json_integer(OBSERVATION_VERSION));
  set_text(root, "program", "reconcile " RECONCILE_VERSION);
  set_text(root, "taken", when);
  return root;
}

static char *root_text(const json_t *root) {
  char *text = json_dumps(root, JSON_INDENT(1));
  char *copy = g_strconcat(text, "\n", NULL);
  free(text);
  return copy;
}

char *observation_save(const Actual *actual, gint64 taken) {
  json_auto_t *root = root_new(taken);
  save_actual(root, actual);
  return root_text(root);
}

char *observation_save_hosts(GHashTable *hosts, gint64 taken) {
  json_auto_t *root = root_new(taken);
  json_t *parts = json_object();
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(hosts), (GCompareFunc)strcmp);
  for (const GList *each = names; each; each = each->next) {
    const ObservedHost *host = g_hash_table_lookup(hosts, each->data);
    json_t *part = json_object();
    if (host->actual)
      save_actual(part, host->actual);
    else
      set_text(part, "error", host->error);
    json_object_set_new(parts, each->data, part);
  }
  json_object_set_new(root, "hosts", parts);
  return root_text(root);
}
