/* Reading a saved observation, in the order of state/observe.c: volumes of the pools, then
 * domains, which need them. The text may have been written by anybody: what doesn't fit is an
 * error, and XML goes through the same reading as a host's. */
#include "state/observation.h"

#include <jansson.h>

#include "state/domain_facts.h"
#include "state/host_facts.h"
#include "state/snapshot_xml.h"
#include "state/told_formats.h"

G_DEFINE_QUARK(reconcile-observation-error, observation_error)

static gboolean G_GNUC_PRINTF(2, 3) invalid(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_propagate_error(error, g_error_new_valist(OBSERVATION_ERROR, OBSERVATION_ERROR_INVALID, format, arguments));
  va_end(arguments);
  return FALSE;
}

/* What all objects have. The texts are borrowed from the JSON. */
typedef struct {
  const char *name, *uuid, *error, *xml, *live;
} Common;

static gboolean read_common(json_t *entry, GHashTable *seen, Common *ret_common, GError **error) {
  json_error_t wrong;
  if (json_unpack_ex(entry, &wrong, 0, "{s:s, s?s, s?s, s?s, s?s}", "name", &ret_common->name, "uuid", &ret_common->uuid, "error",
                     &ret_common->error, "xml", &ret_common->xml, "liveXml", &ret_common->live) < 0)
    return invalid(error, "%s", wrong.text);
  if (!*ret_common->name || g_hash_table_contains(seen, ret_common->name))
    return invalid(error, "the name \"%s\" is %s", ret_common->name, *ret_common->name ? "there twice" : "empty");
  if (!ret_common->xml && !ret_common->error)
    return invalid(error, "%s has neither xml nor error", ret_common->name);
  return TRUE;
}

/* An object that couldn't be read on the host can't be read here: its error is the host's. */
static void set_error(char **error, const char *told, const GError *found) {
  g_free(*error);
  *error = g_strdup(told ? told : found ? found->message : NULL);
}

static gboolean load_volume(ActualPool *pool, json_t *entry, GError **error) {
  Common common = {0};
  const char *path = NULL;
  if (!read_common(entry, pool->volumes, &common, error))
    return FALSE;
  if (json_unpack(entry, "{s?s}", "path", &path) < 0)
    return invalid(error, "path of volume %s isn't a string", common.name);
  ActualVolume *volume = g_new0(ActualVolume, 1);
  volume->name = g_strdup(common.name);
  volume->pool = g_strdup(pool->name);
  volume->path = g_strdup(path);
  g_hash_table_replace(pool->volumes, volume->name, volume);
  g_autoptr(GError) trouble = NULL;
  if (common.xml)
    volume_facts_read(volume, common.xml, &trouble);
  set_error(&volume->error, common.error, trouble);
  return TRUE;
}

static gboolean load_pool(Actual *actual, json_t *entry, GError **error) {
  Common common = {0};
  int active, persistent, autostart;
  json_t *volumes, *each;
  json_error_t wrong;
  gsize i;
  if (!read_common(entry, actual->pools, &common, error))
    return FALSE;
  if (json_unpack_ex(entry, &wrong, 0, "{s:b, s:b, s:b, s:o}", "active", &active, "persistent", &persistent, "autostart", &autostart,
                     "volumes", &volumes) < 0 || !json_is_array(volumes))
    return invalid(error, "pool %s: %s", common.name, json_is_array(json_object_get(entry, "volumes")) ? wrong.text : "volumes isn't a list");
  ActualPool *pool = actual_pool_new(common.name, common.uuid);
  pool->active = active;
  pool->persistent = persistent;
  g_hash_table_replace(actual->pools, pool->name, pool);
  g_autoptr(GError) trouble = NULL;
  if (common.xml && pool_facts_read(pool, common.xml, &trouble))
    pool_facts_finish(pool, autostart);
  set_error(&pool->error, common.error, trouble);
  json_array_foreach(volumes, i, each)
    if (!load_volume(pool, each, error)) {
      g_prefix_error(error, "pool %s: volumes[%" G_GSIZE_FORMAT "]: ", pool->name, i);
      return FALSE;
    }
  return TRUE;
}

static gboolean load_network(Actual *actual, json_t *entry, GError **error) {
  Common common = {0};
  int active, persistent, autostart;
  json_error_t wrong;
  if (!read_common(entry, actual->networks, &common, error))
    return FALSE;
  if (json_unpack_ex(entry, &wrong, 0, "{s:b, s:b, s:b}", "active", &active, "persistent", &persistent, "autostart", &autostart) < 0)
    return invalid(error, "network %s: %s", common.name, wrong.text);
  ActualNetwork *network = actual_network_new(common.name, common.uuid);
  network->active = active;
  network->is_persistent = persistent;
  g_hash_table_replace(actual->networks, network->name, network);
  g_autoptr(GError) trouble = NULL;
  if (common.xml && network_facts_read(network, common.xml, common.live, &trouble))
    network_facts_finish(network, autostart);
  set_error(&network->error, common.error, trouble);
  return TRUE;
}

/* As domain_complete does with a host, from the answers that it got. */
static void complete_domain(ActualDomain *domain, const Actual *actual, json_t *sizes, json_t *lost) {
  domain_facts_resolve(domain, actual);
  for (guint i = 0; i < domain->disks->len; i++) {
    ActualDisk *disk = domain->disks->pdata[i];
    json_t *bytes = json_object_get(sizes, disk->target);
    if (json_integer_value(bytes) > 0 && domain_facts_lack_size(domain, disk))
      domain_facts_set_size(domain, disk, (guint64)json_integer_value(bytes));
    disk->lost = g_strdup(json_string_value(json_object_get(lost, disk->target)));
  }
}

static gboolean load_snapshots(ActualDomain *domain, json_t *list, GError **error) {
  json_t *entry;
  gsize i;
  json_array_foreach(list, i, entry) {
    const char *xml;
    int current;
    if (json_unpack(entry, "{s:s, s:b}", "xml", &xml, "current", &current) < 0)
      return invalid(error, "domain %s: snapshots[%" G_GSIZE_FORMAT "] lacks xml or current", domain->name, i);
    ActualSnapshot *snapshot = snapshot_xml_read(xml, error);
    if (!snapshot) {
      g_prefix_error(error, "domain %s: ", domain->name);
      return FALSE;
    }
    snapshot->current = current;
    g_ptr_array_add(domain->snapshots, snapshot);
  }
  return TRUE;
}

static gboolean load_domain(Actual *actual, json_t *entry, GError **error) {
  Common common = {0};
  int state, reason, persistent, saved, autostart, has_snapshots;
  const char *saved_xml = NULL;
  json_error_t wrong;
  if (!read_common(entry, actual->domains, &common, error))
    return FALSE;
  if (json_unpack_ex(entry, &wrong, 0, "{s:i, s:i, s:b, s:b, s:b, s:b, s?s}", "state", &state, "reason", &reason, "persistent",
                     &persistent, "managedSave", &saved, "autostart", &autostart, "hasSnapshots", &has_snapshots, "savedXml", &saved_xml) < 0)
    return invalid(error, "domain %s: %s", common.name, wrong.text);
  ActualDomain *domain = actual_domain_new(common.name, common.uuid);
  g_hash_table_replace(actual->domains, domain->name, domain);
  domain->state = state;
  domain->reason = reason;
  domain->is_persistent = persistent;
  domain->has_managed_save = saved;
  domain->autostart = autostart;
  domain->has_snapshots = has_snapshots;
  if (!load_snapshots(domain, json_object_get(entry, "snapshots"), error))
    return FALSE;
  g_autoptr(GError) trouble = NULL;
  if (common.xml && domain_facts_read(domain, common.xml, common.live, &trouble) && saved_xml)
    domain_facts_read_saved(domain, saved_xml, &trouble);
  set_error(&domain->error, common.error, trouble);
  return TRUE;
}

static void complete_domains(Actual *actual, json_t *list) {
  json_t *entry;
  gsize i;
  told_formats_apply(actual);
  json_array_foreach(list, i, entry) {
    ActualDomain *domain = g_hash_table_lookup(actual->domains, json_string_value(json_object_get(entry, "name")));
    if (!domain->disks) /* it couldn't be read */
      continue;
    complete_domain(domain, actual, json_object_get(entry, "diskBytes"), json_object_get(entry, "lostFiles"));
    domain_facts_finish(domain, TRUE);
  }
}

static gboolean load_host(Actual *actual, json_t *root, GError **error) {
  const char *uri, *hostname, *capabilities, *storage_error = NULL, *networks_error = NULL;
  int privileged;
  json_error_t wrong;
  if (json_unpack_ex(root, &wrong, 0, "{s:{s:s, s:s, s:b, s:s, s?s, s?s}}", "host", "uri", &uri, "hostname", &hostname, "privileged",
                     &privileged, "capabilities", &capabilities, "storageError", &storage_error, "networksError", &networks_error) < 0)
    return invalid(error, "host: %s", wrong.text);
  actual->uri = g_strdup(uri);
  actual->hostname = g_strdup(hostname);
  actual->privileged = privileged;
  actual->storage_error = g_strdup(storage_error);
  actual->networks_error = g_strdup(networks_error);
  return capabilities_read(actual, capabilities, error);
}

typedef gboolean (*LoadFunction)(Actual *actual, json_t *entry, GError **error);

static gboolean load_list(Actual *actual, json_t *root, const char *key, LoadFunction load, GError **error) {
  json_t *list = json_object_get(root, key), *entry;
  gsize i;
  if (!json_is_array(list))
    return invalid(error, "%s is missing, or isn't a list", key);
  json_array_foreach(list, i, entry)
    if (!load(actual, entry, error)) {
      g_prefix_error(error, "%s[%" G_GSIZE_FORMAT "]: ", key, i);
      return FALSE;
    }
  return TRUE;
}

static gboolean check_version(json_t *root, GError **error) {
  json_t *version = json_object_get(root, "formatVersion");
  const char *program = json_string_value(json_object_get(root, "program"));
  if (!json_is_integer(version) || !(json_is_array(json_object_get(root, "domains")) || json_is_object(json_object_get(root, "hosts"))))
    return invalid(error, "this isn't an observation: write one with reconcile observe");
  if (json_integer_value(version) == OBSERVATION_VERSION)
    return TRUE;
  g_set_error(error, OBSERVATION_ERROR, OBSERVATION_ERROR_VERSION,
              "its formatVersion is %" JSON_INTEGER_FORMAT ", and this is reconcile " RECONCILE_VERSION ", which reads %d: "
              "it was written by %s; observe again with this version", json_integer_value(version), OBSERVATION_VERSION,
              program ? program : "another version");
  return FALSE;
}

static gboolean load_same_files(Actual *actual, json_t *part, GError **error) {
  json_t *pairs = json_object_get(part, "sameFiles"), *value;
  const char *path;
  if (pairs && !json_is_object(pairs))
    return invalid(error, "sameFiles isn't an object");
  json_object_foreach(pairs, path, value) {
    if (!json_is_string(value))
      return invalid(error, "sameFiles: %s isn't a string", path);
    g_hash_table_replace(actual->same_files, g_strdup(path), g_strdup(json_string_value(value)));
  }
  return TRUE;
}

/* One host's part. */
static Actual *load_actual(json_t *part, GError **error) {
  g_autoptr(Actual) actual = actual_new();
  if (!load_host(actual, part, error) || !load_list(actual, part, "pools", load_pool, error) ||
      !load_list(actual, part, "networks", load_network, error))
    return NULL;
  actual_index_volumes(actual);
  if (!load_list(actual, part, "domains", load_domain, error))
    return NULL;
  complete_domains(actual, json_object_get(part, "domains"));
  actual_set_helpers_aside(actual);
  return load_same_files(actual, part, error) ? g_steal_pointer(&actual) : NULL;
}

void observed_host_free(gpointer observed_host) {
  ObservedHost *host = observed_host;
  actual_free(host->actual);
  g_free(host->error);
  g_free(host);
}

void observation_free(Observation *observation) {
  if (!observation)
    return;
  actual_free(observation->actual);
  g_clear_pointer(&observation->hosts, g_hash_table_unref);
  g_free(observation->taken);
  g_free(observation);
}

static gboolean load_hosts(Observation *observation, json_t *parts, GError **error) {
  const char *name;
  json_t *part;
  observation->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, observed_host_free);
  json_object_foreach(parts, name, part) {
    const char *told = json_string_value(json_object_get(part, "error"));
    Actual *actual = told ? NULL : load_actual(part, error);
    if (!told && !actual) {
      g_prefix_error(error, "hosts.%s: ", name);
      return FALSE;
    }
    ObservedHost *host = g_new0(ObservedHost, 1);
    *host = (ObservedHost){.actual = actual, .error = g_strdup(told)};
    g_hash_table_replace(observation->hosts, g_strdup(name), host);
  }
  return TRUE;
}

static gboolean load(Observation *observation, json_t *root, GError **error) {
  json_t *parts = json_object_get(root, "hosts");
  if (!check_version(root, error))
    return FALSE;
  observation->taken = g_strdup(json_string_value(json_object_get(root, "taken")));
  if (parts)
    return json_is_object(parts) ? load_hosts(observation, parts, error) : invalid(error, "hosts isn't an object");
  observation->actual = load_actual(root, error);
  return observation->actual != NULL;
}

Observation *observation_load(const char *json, const char *what, GError **error) {
  json_error_t syntax;
  json_auto_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &syntax);
  if (!root) {
    g_set_error(error, OBSERVATION_ERROR, OBSERVATION_ERROR_SYNTAX, "%s:%d:%d: not JSON: %s", what, syntax.line, syntax.column,
                syntax.text);
    return NULL;
  }
  g_autoptr(Observation) observation = g_new0(Observation, 1);
  if (!load(observation, root, error)) {
    g_prefix_error(error, "%s: ", what);
    return NULL;
  }
  return g_steal_pointer(&observation);
}
