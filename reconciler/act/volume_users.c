/* Who uses a file: a base image or a disk may only be changed or removed when nobody does. */
#include "reconciler/act/volume.h"

typedef struct {
  virConnectPtr connect;
  const char *path;
  char *what;          /* the first user found */
  char *unknown;       /* a disk whose chain can't be told */
  GHashTable *volumes; /* paths of all volumes of active pools */
  const VolumeOwner *owner; /* whose use doesn't count; NULL: everybody's does */
} Search;

static void search_clear(Search *search) {
  g_free(search->what);
  g_free(search->unknown);
  g_clear_pointer(&search->volumes, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Search, search_clear)

/* Of a volume's file, to the nanosecond; NULL: it is no volume of an active pool, or has none. */
static char *file_times(virConnectPtr connect, const char *path) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  g_autofree char *text = volume ? virStorageVolGetXMLDesc(volume, 0) : NULL;
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, path, NULL) : NULL;
  xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
  g_autofree char *modified = root ? xml_path_get(xml_path("target/timestamps/mtime"), root) : NULL;
  g_autofree char *changed = root ? xml_path_get(xml_path("target/timestamps/ctime"), root) : NULL;
  return modified && changed ? g_strconcat(modified, " ", changed, NULL) : NULL;
}

/* Two files of one name, in different directories. The directories may be one by a link, which only the
 * times of volumes tell: of what is in no pool, it can't be told. */
static gboolean is_alias(Search *search, const char *other) {
  g_autofree char *name = g_path_get_basename(search->path), *theirs = g_path_get_basename(other);
  if (!g_str_equal(name, theirs))
    return FALSE;
  g_autofree char *ours_now = file_times(search->connect, search->path), *theirs_now = file_times(search->connect, other);
  return !ours_now || !theirs_now || g_str_equal(ours_now, theirs_now);
}

static gboolean is_same(Search *search, const char *other) {
  return other && (g_str_equal(other, search->path) || is_alias(search, other));
}

static gboolean names_path(xmlNode *node, Search *search) {
  for (xmlAttr *attribute = node->properties; attribute; attribute = attribute->next) {
    if (!g_str_equal(attribute->name, "file") && !g_str_equal(attribute->name, "dev"))
      continue;
    xmlChar *value = xmlNodeListGetString(node->doc, attribute->children, 1);
    gboolean same = value && is_same(search, (const char *)value);
    xmlFree(value);
    if (same)
      return TRUE;
  }
  return FALSE;
}

/* Below a disk: <source>, <backingStore><source>, <mirror><source>, at any depth. */
static gboolean refers_to(xmlNode *node, Search *search) {
  for (xmlNode *child = node->children; child; child = child->next) {
    if (child->type != XML_ELEMENT_NODE)
      continue;
    if ((g_str_equal(child->name, "source") || g_str_equal(child->name, "mirror")) && names_path(child, search))
      return TRUE;
    if (refers_to(child, search))
      return TRUE;
  }
  return FALSE;
}

/* A disk of a stopped machine that isn't in a pool, with a format that can have a backing file. */
static char *unknown_chain(const Search *search, xmlNode *disk) {
  g_autofree char *file = xml_path_get(xml_path("source/@file"), disk);
  g_autofree char *format = xml_path_get(xml_path("driver/@type"), disk);
  if (!file || g_hash_table_contains(search->volumes, file) || g_strcmp0(format, "raw") == 0 ||
      xml_path_exists(xml_path("backingStore"), disk))
    return NULL;
  return g_steal_pointer(&file);
}

/* What a machine boots directly, or its firmware. */
static gboolean boots(xmlNode *root, const char *path) {
  static const char *const places[] = {"os/kernel", "os/initrd", "os/dtb", "os/loader"};
  for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
    xmlNode *node = xml_path_node(xml_path(places[i]), root);
    xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    gboolean same = text && g_str_equal(text, path);
    xmlFree(text);
    if (same)
      return TRUE;
  }
  return FALSE;
}

static gboolean search_document(Search *search, virDomainPtr domain, gboolean live, GError **error) {
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, live ? 0 : VIR_DOMAIN_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  if (boots(xmlDocGetRootElement(doc), search->path))
    search->what = g_strdup_printf("%s domain %s, which boots it", live ? "running" : "the definition of", virDomainGetName(domain));
  g_autoptr(GPtrArray) disks = xml_path_all(xml_path("devices/disk"), xmlDocGetRootElement(doc));
  for (guint i = 0; i < disks->len && !search->what; i++) {
    g_autofree char *target = xml_path_get(xml_path("target/@dev"), disks->pdata[i]);
    if (search->owner && g_strcmp0(target, search->owner->target) == 0 && g_str_equal(virDomainGetName(domain), search->owner->domain))
      continue;
    if (refers_to(disks->pdata[i], search)) {
      search->what = g_strdup_printf("disk %s of %s domain %s", target ? target : "?",
                                     live ? "running" : "the definition of", virDomainGetName(domain));
    } else if (!live && !search->unknown && search->volumes) {
      g_autofree char *file = unknown_chain(search, disks->pdata[i]);
      if (file)
        search->unknown = g_strdup_printf("%s (disk %s of domain %s)", file, target ? target : "?", virDomainGetName(domain));
    }
  }
  return TRUE;
}

/* A domain that goes away while we look is no user. */
static gboolean gone(virDomainPtr domain, GError **error) {
  if (!g_error_matches(*error, LIBVIRT_ERROR, VIR_ERR_NO_DOMAIN) &&
      !(g_error_matches(*error, LIBVIRT_ERROR, VIR_ERR_OPERATION_INVALID) && virDomainIsActive(domain) == 0))
    return FALSE;
  g_clear_error(error);
  return TRUE;
}

static gboolean search_domains(Search *search, gboolean only_live, GError **error) {
  virDomainPtr *domains = NULL;
  int count = virConnectListAllDomains(search->connect, &domains, only_live ? VIR_CONNECT_LIST_DOMAINS_ACTIVE : 0);
  if (count < 0)
    return libvirt_fail(error, "cannot list domains");
  g_autoptr(GError) failure = NULL;
  for (int i = 0; i < count; i++) {
    gboolean active = virDomainIsActive(domains[i]) == 1, persistent = virDomainIsPersistent(domains[i]) == 1;
    if (!failure && !search->what && active && !search_document(search, domains[i], TRUE, &failure))
      gone(domains[i], &failure);
    if (!failure && !search->what && !only_live && persistent && !search_document(search, domains[i], FALSE, &failure))
      gone(domains[i], &failure);
    virDomainFree(domains[i]);
  }
  free(domains);
  if (failure)
    g_propagate_error(error, g_steal_pointer(&failure));
  return failure == NULL;
}

/* A volume that vanishes or is being made at this moment isn't based on anything that we know of;
 * any other failure to read is one. */
static gboolean search_volume(Search *search, virStoragePoolPtr pool, virStorageVolPtr volume, GError **error) {
  g_auto(VolumeFacts) facts = { 0 };
  if (!volume_facts(volume, &facts, error)) {
    g_autoptr(VirStorageVol) again = virStorageVolLookupByName(pool, virStorageVolGetName(volume));
    if (again && virStoragePoolIsActive(pool) == 1)
      return FALSE;
    g_clear_error(error);
    return TRUE;
  }
  if (search->volumes && facts.path)
    g_hash_table_add(search->volumes, g_strdup(facts.path));
  if (is_same(search, facts.backing_path) && !(search->owner && g_strcmp0(facts.path, search->owner->overlay) == 0))
    search->what = g_strdup_printf("volume %s of storage pool %s", virStorageVolGetName(volume), virStoragePoolGetName(pool));
  return TRUE;
}

static gboolean search_pool(Search *search, virStoragePoolPtr pool, GError **error) {
  const char *name = virStoragePoolGetName(pool);
  virStorageVolPtr *volumes = NULL;
  int count = virStoragePoolListAllVolumes(pool, &volumes, 0);
  if (count < 0) {
    libvirt_fail(error, "cannot list the volumes of storage pool %s", name);
    if (virStoragePoolIsActive(pool) == 1)
      return FALSE;
    g_clear_error(error); /* it was stopped meanwhile */
    return TRUE;
  }
  gboolean fine = TRUE;
  for (int i = 0; i < count; i++) {
    fine = fine && (search->what || search_volume(search, pool, volumes[i], error));
    virStorageVolFree(volumes[i]);
  }
  free(volumes);
  return fine;
}

static gboolean search_pools(Search *search, GError **error) {
  virStoragePoolPtr *pools = NULL;
  int count = virConnectListAllStoragePools(search->connect, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);
  if (count < 0)
    return libvirt_fail(error, "cannot list storage pools");
  gboolean fine = TRUE;
  for (int i = 0; i < count; i++) {
    fine = fine && (search->what || search_pool(search, pools[i], error));
    virStoragePoolFree(pools[i]);
  }
  free(pools);
  return fine;
}

gboolean volume_find_overlay(virConnectPtr connect, const char *path, char **ret_what, GError **error) {
  g_auto(Search) search = { .connect = connect, .path = path };
  if (!search_pools(&search, error))
    return FALSE;
  *ret_what = g_steal_pointer(&search.what);
  return TRUE;
}

static gboolean find_user(virConnectPtr connect, const char *path, gboolean only_live, const VolumeOwner *owner, char **ret_what,
                          char **ret_unknown, GError **error) {
  g_auto(Search) search = { .connect = connect, .path = path, .owner = owner };
  search.volumes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  if (!search_pools(&search, error) || !(search.what || search_domains(&search, only_live, error)))
    return FALSE;
  *ret_what = g_steal_pointer(&search.what);
  if (ret_unknown)
    *ret_unknown = g_steal_pointer(&search.unknown);
  return TRUE;
}

gboolean volume_find_user(virConnectPtr connect, const char *path, gboolean only_live, char **ret_what,
                          char **ret_unknown, GError **error) {
  return find_user(connect, path, only_live, NULL, ret_what, ret_unknown, error);
}

gboolean volume_find_other_user(virConnectPtr connect, const char *path, const VolumeOwner *owner, char **ret_what,
                                char **ret_unknown, GError **error) {
  return find_user(connect, path, FALSE, owner, ret_what, ret_unknown, error);
}
