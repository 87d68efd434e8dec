/* What stands in the way on the host that a machine moves to, looked at right before anything is touched: since it was planned,
 * others have worked there, and what libvirt knew then of files and room may be old. */
#include "reconciler/act/aside.h"
#include "reconciler/act/move.h"
#include "reconciler/plan/space.h"
#include "schema/value.h"
#include "state/xml_path.h"
#include "state/xml_tree.h"

typedef struct {
  const ActionContext *there;
  virConnectPtr peer;
  const Action *action;
  const char *to;
  virDomainPtr domain;
  xmlDoc *doc; /* its definition, as it runs if it does */
} Way;

static gboolean check_identity(const Way *way, GError **error) {
  g_autoptr(VirDomain) named = NULL, other = NULL;
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  if (!move_find_there(way->peer, virDomainGetName(way->domain), &named, error))
    return FALSE;
  if (named)
    return act_stale(error, "there is a machine of this name on %s", way->to);
  virDomainGetUUIDString(way->domain, uuid);
  other = virDomainLookupByUUIDString(way->peer, uuid);
  if (other)
    return act_refuse(error, "%s has a machine %s with its UUID", way->to, virDomainGetName(other));
  return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || libvirt_fail(error, "cannot look up its UUID on %s", way->to);
}

static gboolean check_network(const Way *way, const char *name, GError **error) {
  g_autoptr(VirNetwork) network = virNetworkLookupByName(way->peer, name);
  if (!network && virGetLastErrorCode() != VIR_ERR_NO_NETWORK)
    return libvirt_fail(error, "cannot look for network %s on %s", name, way->to);
  int active = network ? virNetworkIsActive(network) : 0;
  if (active < 0)
    return libvirt_fail(error, "cannot see whether network %s is started on %s", name, way->to);
  return active || act_refuse(error, "its network %s %s on %s: declare and start it there first", name, network ? "isn't started" : "isn't", way->to);
}

static gboolean check_networks(const Way *way, GError **error) {
  g_autoptr(GPtrArray) interfaces = xml_path_all(xml_path("devices/interface"), xmlDocGetRootElement(way->doc));
  for (guint i = 0; i < interfaces->len; i++) {
    g_autofree char *name = xml_path_get(xml_path("source/@network"), interfaces->pdata[i]);
    if (name && !check_network(way, name, error))
      return FALSE;
  }
  return TRUE;
}

/* What the pool has now, and with it which files. */
static gboolean check_pool(const Way *way, const char *name, guint64 needed, GError **error) {
  g_autoptr(VirStoragePool) pool = volume_pool(way->there, name, error);
  guint64 available;
  if (!pool || !volume_refresh(way->there, pool, error)) {
    g_prefix_error(error, "on %s: ", way->to);
    return FALSE;
  }
  if (!pool_available(pool, &available, error))
    return FALSE;
  if (needed <= available)
    return TRUE;
  g_autofree char *need = bytes_format_short(needed), *have = bytes_format_short(available);
  return act_refuse(error, "it needs %s in pool %s on %s, which has %s: make room there, or place it elsewhere", need, name, way->to, have);
}

static gboolean check_pools(const Way *way, GError **error) {
  const StringMap *args = way->action->args;
  for (guint i = 0; i < args->keys->len; i++) {
    const char *key = args->keys->pdata[i];
    if (g_str_has_prefix(key, SPACE_BRINGS) &&
        !check_pool(way, key + strlen(SPACE_BRINGS), g_ascii_strtoull(args->values->pdata[i], NULL, 10), error))
      return FALSE;
  }
  return TRUE;
}

/* One with a marker is what an interrupted copy left. */
static gboolean check_file(const Way *way, const char *path, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean half_made = FALSE;
  if (!aside_find(way->there, path, &aside, &volume, error))
    return FALSE;
  g_autoptr(VirStoragePool) pool = volume ? virStoragePoolLookupByVolume(volume) : NULL;
  if (volume && !pool)
    return libvirt_fail(error, "cannot look at %s on %s", path, way->to);
  if (pool && !marker_find(way->there, pool, virStorageVolGetName(volume), &half_made, error))
    return FALSE;
  return !volume || half_made || act_refuse(error, "there is a file %s on %s already: look what it is, and remove it", path, way->to);
}

static gboolean check_files(const Way *way, GError **error) {
  const char *files = act_arg(way->action, "files");
  g_auto(GStrv) paths = g_strsplit(files ? files : "", "\n", -1);
  for (char **path = paths; *path; path++)
    if (!check_file(way, *path, error))
      return FALSE;
  return TRUE;
}

gboolean move_check_way(const ActionContext *there, const Action *action, virDomainPtr domain, xmlDoc *doc, GError **error) {
  static gboolean (*const checks[])(const Way *, GError **) = {check_identity, check_networks, check_pools, check_files};
  const Way way = {
      .there = there, .peer = connection_get(there->connection, error), .action = action, .to = act_arg(action, "to"), .domain = domain, .doc = doc};
  gboolean free = way.peer != NULL;
  for (guint i = 0; free && i < G_N_ELEMENTS(checks); i++)
    free = checks[i](&way, error);
  return free;
}
