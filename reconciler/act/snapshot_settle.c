#include "reconciler/act/snapshot_settle.h"

#include "reconciler/act/guest_agent.h"
#include "reconciler/act/image_lock.h"
#include "reconciler/act/left_layer.h"
#include "reconciler/act/machine_idle.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/snapshot_rules.h"
#include "state/disk_chain.h"
#include "state/fault.h"
#include "state/snapshot_xml.h"
#include "state/xml_tree.h"

typedef struct {
  const ActionContext *context;
  virDomainPtr domain;
  gboolean active;
  const ActualSnapshot *wanted;
  const SnapshotFactSpec *fact; /* that it was begun */
  const GPtrArray *disks;       /* ActualDisk *, as they are */
} Settling;

/* --- what was to be made --- */

static char *layer_of(const ActionContext *context, const ActualDisk *disk, const char *snapshot) {
  return disk->path ? snapshot_layer_path(context->object->name, disk->target, snapshot, disk->path) : NULL;
}

/* What our record doesn't tell of is somebody's. */
static char *const *noted(const SnapshotFactSpec *fact) {
  static char *const none[] = { NULL };
  return given(fact, SnapshotFactSpec, making) ? fact->making : none;
}

static gboolean is_noted(const SnapshotFactSpec *fact, const char *path) { return g_strv_contains((const char *const *)noted(fact), path); }

static gboolean is_wanted(const Settling *settling, const char *path) {
  for (guint i = 0; i < settling->wanted->disks->len; i++)
    if (g_strcmp0(((const ActualSnapshotDisk *)settling->wanted->disks->pdata[i])->path, path) == 0)
      return TRUE;
  return FALSE;
}

/* NULL: the machine has none any more that it would be of. */
static const ActualDisk *disk_of(const Settling *settling, const char *path) {
  for (guint i = 0; i < settling->disks->len; i++) {
    const ActualDisk *disk = settling->disks->pdata[i];
    g_autofree char *layer = layer_of(settling->context, disk, settling->wanted->name);
    if (g_strcmp0(disk->path, path) == 0 || g_strcmp0(layer, path) == 0)
      return disk;
  }
  return NULL;
}

typedef struct {
  guint layers, switched;
  const ActualDisk *unwanted; /* it is on its layer, but the snapshot isn't wanted of it any more */
} Count;

/* All that are wanted, and all that were when it was begun. */
static Count count_layers(const Settling *settling) {
  Count count = { 0 };
  for (guint i = 0; i < settling->wanted->disks->len; i++) {
    const ActualSnapshotDisk *disk = settling->wanted->disks->pdata[i];
    const ActualDisk *now = actual_disk(settling->disks, disk->target);
    count.layers += disk->path != NULL;
    count.switched += disk->path && now && g_strcmp0(now->path, disk->path) == 0;
  }
  for (char *const *path = noted(settling->fact); *path; path++) {
    const ActualDisk *disk = is_wanted(settling, *path) ? NULL : disk_of(settling, *path);
    count.layers += disk != NULL;
    if (disk && g_strcmp0(disk->path, *path) == 0)
      count.unwanted = disk;
  }
  return count;
}

/* --- the machine is on the layers: the snapshot was taken --- */

static xmlNode *find_disk(xmlDoc *doc, const char *target) {
  return xml_map_find_device(table_find(&VmSpec_table, "disks"), xmlDocGetRootElement(doc), target);
}

/* What a layer is based on, as its file says. */
static gboolean read_base(const Settling *settling, const char *layer, VolumeFacts *ret_facts, GError **error) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(settling->domain), layer);
  if (!volume)
    return libvirt_fail(error, "cannot look up layer %s", layer);
  return volume_facts(volume, ret_facts, error);
}

/* The copy of the definition that a snapshot has: with the disks as they were. */
static gboolean point_back(const Settling *settling, xmlDoc *doc, GError **error) {
  for (guint i = 0; i < settling->wanted->disks->len; i++) {
    const ActualSnapshotDisk *disk = settling->wanted->disks->pdata[i];
    g_auto(VolumeFacts) facts = { 0 };
    xmlNode *element = disk->path ? find_disk(doc, disk->target) : NULL;
    if (!element)
      continue;
    if (!read_base(settling, disk->path, &facts, error))
      return FALSE;
    xml_path_set(xml_path("source/@file"), element, facts.backing_path);
    if (facts.backing_format)
      xml_path_set(xml_path("driver/@type"), element, facts.backing_format);
    for (xmlNode *below; (below = xml_first_child(element, "backingStore"));)
      xml_remove(below);
  }
  return TRUE;
}

static void set_child(xmlNode *root, const char *name, const char *text) { xml_set_content(xml_add_child(root, NULL, name), text); }

static gboolean tell_again(const Settling *settling, GError **error) {
  g_autoptr(VirDomainSnapshot) parent = virDomainSnapshotCurrent(settling->domain, 0);
  g_autofree char *text = snapshot_xml_new(settling->wanted), *time = g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC);
  g_autoptr(xmlDoc) doc = xml_parse(text, settling->wanted->name, error);
  g_autoptr(xmlDoc) domain = doc ? act_domain_doc(settling->domain, VIR_DOMAIN_XML_SECURE | (settling->active ? 0 : VIR_DOMAIN_XML_INACTIVE), error) : NULL;
  if (!domain || !point_back(settling, domain, error))
    return FALSE;
  xmlNode *root = xmlDocGetRootElement(doc);
  set_child(root, "state", !settling->active ? "shutoff" : settling->wanted->memory ? "running" : "disk-snapshot");
  set_child(root, "creationTime", time);
  if (parent)
    set_child(xml_add_child(root, NULL, "parent"), "name", virDomainSnapshotGetName(parent));
  xml_insert(root, NULL, xmlDocCopyNode(xmlDocGetRootElement(domain), doc, 1));
  g_autofree char *whole = xml_text(doc);
  g_autoptr(VirDomainSnapshot) snapshot = virDomainSnapshotCreateXML(settling->domain, whole,
                                            VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT);
  explicit_bzero(whole, strlen(whole)); /* it may hold a password */
  return snapshot || libvirt_fail(error, "snapshot %s of domain %s was taken, but libvirt can't be told again of it", settling->wanted->name,
                                  settling->context->object->name);
}

/* --- it is on none of them: what was made is put away --- */

/* The machine runs, on what the layer is based on: so libvirt says. */
static gboolean check_not_switched(const Settling *settling, const LeftLayer *layer, GError **error) {
  if (!left_layer_check_not_switched(layer, error))
    return FALSE;
  ImageUse use = image_use(layer->volume);
  /* QEMU's migration, which that is, fails then, or leaves the machine paused for good. */
  return !settling->wanted->memory || use == IMAGE_CLOSED || use == IMAGE_UNKNOWN ||
         act_refuse(error, "QEMU of domain %s has %s open, which libvirt has forgotten since it died at that moment, and can't save its memory as long as "
                    "it has: restart the machine, or take the snapshot without its memory", layer->machine, layer->facts->path);
}

/* No guest's data is lost with it. An empty file is one that libvirtd died making. */
static gboolean check_unused(const Settling *settling, virStorageVolPtr volume, const VolumeFacts *facts, GError **error) {
  const LeftLayer layer = { .machine = settling->context->object->name, .volume = volume, .facts = facts };
  return !facts->physical || ((settling->active ? check_not_switched(settling, &layer, error) : left_layer_check_closed(&layer, error)) &&
                              left_layer_check_empty(&layer, error));
}

/* base NULL: of memory, or of a disk that the machine has no more. */
static gboolean delete_left(const Settling *settling, const char *path, const char *base, GError **error) {
  virConnectPtr connect = virDomainGetConnect(settling->domain);
  gboolean layer = !snapshot_is_memory_path(path);
  g_auto(VolumeFacts) facts = { 0 };
  g_autofree char *user = NULL, *doubt = NULL;
  if (!volume_refresh_around(settling->context, path, NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  if (!volume)
    return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL || libvirt_fail(error, "cannot look up volume %s", path);
  if (!volume_facts(volume, &facts, error) || !volume_find_user(settling->context, path, FALSE, &user, &doubt, error))
    return FALSE;
  if (user)
    return act_refuse(error, "%s is in the way of snapshot %s, and is used by %s", path, settling->wanted->name, user);
  if (doubt)
    return act_refuse(error, "%s is in the way of snapshot %s, and it can't be told whether something else uses it: %s", path,
                      settling->wanted->name, doubt);
  if (base && facts.backing_path && g_strcmp0(facts.backing_path, base) != 0)
    return act_refuse(error, "%s is in the way of snapshot %s, and isn't based on %s: move it away, or choose another name", path,
                      settling->wanted->name, base);
  if (layer && facts.physical && g_strcmp0(facts.format, "qcow2") != 0)
    return act_refuse(error, "%s is in the way of snapshot %s, and isn't a layer: move it away", path, settling->wanted->name);
  return (!layer || check_unused(settling, volume, &facts, error)) && volume_delete(volume, error);
}

/* All that was begun, of whatever disks it is wanted now: who begins anew notes only that. */
static gboolean put_away(const Settling *settling, GError **error) {
  for (char *const *path = noted(settling->fact); *path; path++) {
    const ActualDisk *disk = disk_of(settling, *path);
    if (!delete_left(settling, *path, disk ? disk->path : NULL, error))
      return FALSE;
  }
  return TRUE;
}

/* Frozen file systems are thawed: libvirtd, or the agent, may have died in between. They certainly were frozen
 * only where the snapshot was taken. */
static gboolean thaw(const Settling *settling, gboolean taken, GError **error) {
  g_autoptr(GError) ignored = NULL;
  if (!settling->active)
    return TRUE;
  agent_limit(settling->domain);
  gboolean thawed = agent_thaw(settling->domain, taken, taken ? error : &ignored);
  agent_unlimit(settling->domain);
  return thawed || !taken;
}

gboolean snapshot_settle(const ActionContext *context, virDomainPtr domain, gboolean active, const ActualSnapshot *wanted,
                         gboolean *ret_taken, GError **error) {
  g_autoptr(Ownership) record = machine_check_idle(context, domain, error) ? act_record(domain, error) : NULL;
  Settling settling = { .context = context, .domain = domain, .active = active, .wanted = wanted,
                        .fact = record ? snapshot_fact(&record->facts, wanted->name) : NULL };
  if (!settling.fact)
    return record && act_stale(error, "snapshot %s of domain %s isn't ours any more", wanted->name, context->object->name);
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, active ? 0 : VIR_DOMAIN_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(doc), FALSE, NULL);
  settling.disks = disks;
  const Count count = count_layers(&settling);
  *ret_taken = count.layers > 0 && count.switched == count.layers;
  if (count.unwanted)
    return act_refuse(error, "disk %s of domain %s is on %s, since snapshot %s was begun with that disk too: ask for the snapshot of all disks that "
                      "it was begun with", count.unwanted->target, context->object->name, count.unwanted->path, wanted->name);
  if (count.switched > 0 && !*ret_taken)
    return act_refuse(error, "domain %s is on some of the layers of snapshot %s, and not on others: mend that by hand", context->object->name,
                      wanted->name);
  if (!thaw(&settling, *ret_taken, error))
    return FALSE;
  if (!*ret_taken)
    return put_away(&settling, error);
  for (guint i = 0; i < wanted->disks->len; i++) {
    const ActualSnapshotDisk *disk = wanted->disks->pdata[i];
    if (disk->path && !volume_refresh_around(context, disk->path, NULL, error))
      return FALSE;
  }
  FAULT("snapshot: settled");
  return tell_again(&settling, error);
}

/* --- nobody wants it any more --- */

static gboolean find_memory(const ActionContext *context, virDomainPtr domain, const SnapshotFactSpec *fact, ActualSnapshot *begun, const char *path,
                            GError **error) {
  if (begun->memory_path || !is_noted(fact, path))
    return TRUE;
  if (!volume_refresh_around(context, path, NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(domain), path);
  begun->memory = volume != NULL;
  begun->memory_path = volume ? g_strdup(path) : NULL;
  return volume || virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL || libvirt_fail(error, "cannot look up volume %s", path);
}

/* All disks that are on a layer of it, or were to get one. */
static gboolean find_begun(const ActionContext *context, virDomainPtr domain, const SnapshotFactSpec *fact, const GPtrArray *disks, ActualSnapshot *begun,
                           GError **error) {
  for (guint i = 0; i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    g_autofree char *layer = layer_of(context, disk, begun->name);
    if (!layer || (!g_str_equal(disk->path, layer) && !is_noted(fact, layer)))
      continue;
    g_autofree char *memory = snapshot_memory_path(context->object->name, begun->name, disk->path);
    snapshot_add_disk(begun, disk->target, FALSE, layer);
    if (!find_memory(context, domain, fact, begun, memory, error))
      return FALSE;
  }
  return TRUE;
}

gboolean snapshot_settle_unwanted(const ActionContext *context, virDomainPtr domain, const SnapshotFactSpec *fact, gboolean *ret_taken, GError **error) {
  int active = virDomainIsActive(domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", context->object->name);
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, active ? 0 : VIR_DOMAIN_XML_INACTIVE, error);
  if (!doc)
    return FALSE;
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(doc), FALSE, NULL);
  ActualSnapshot *begun = snapshot_new(fact->name, NULL);
  gboolean fine = find_begun(context, domain, fact, disks, begun, error) && snapshot_settle(context, domain, active, begun, ret_taken, error);
  actual_snapshot_free(begun);
  return fine;
}
