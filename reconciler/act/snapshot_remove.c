/* Removing a snapshot of ours: its layers are merged into what they are based on, where the machine uses
 * them, or deleted, where they lie at the end of a branch that was left; then files of memory and libvirt's
 * metadata go, and our note of it. Each step is passed over when it was done before. */
#include "reconciler/act/layer_merge.h"
#include "reconciler/act/layer_remove.h"
#include "reconciler/act/machine_idle.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/act/snapshot_settle.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/snapshot_rules.h"
#include "state/disk_chain.h"
#include "state/fault.h"
#include "state/life_sign.h"
#include "state/snapshot_xml.h"
#include "state/xml_tree.h"

typedef struct {
  const ActionContext *context;
  const Action *action;
  virDomainPtr domain;
  virDomainSnapshotPtr handle;
  ActualSnapshot *snapshot;
} Removing;

/* --- layers --- */

static gboolean has_layer(xmlDoc *doc, gboolean live, const ActualSnapshotDisk *disk) {
  g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(doc), live, layers);
  const ActualDisk *found = actual_disk(disks, disk->target);
  gboolean has = found && g_strcmp0(found->path, disk->path) == 0;
  for (guint i = 0; i < layers->len; i++)
    has |= g_strcmp0(((const ActualVolume *)layers->pdata[i])->path, disk->path) == 0;
  return has;
}

/* Of a stopped machine, libvirt tells only the top layer: the volumes tell the rest. */
static gboolean lies_below(virConnectPtr connect, const char *top, const char *path, gboolean *ret_below, GError **error) {
  g_autofree char *now = g_strdup(top);
  for (guint depth = 0; now && depth < 200; depth++) {
    *ret_below = g_str_equal(now, path);
    if (*ret_below)
      return TRUE;
    g_auto(VolumeFacts) facts = { 0 };
    g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, now);
    if (!volume)
      return libvirt_fail(error, "cannot tell whether %s is still in use, since what %s is based on isn't known: define and start a pool "
                          "over its directory", path, now);
    if (!volume_facts(volume, &facts, error))
      return FALSE;
    g_free(now);
    now = g_strdup(facts.backing_path);
  }
  return TRUE;
}

/* Whether the machine uses the layer: as it runs, or as it is defined. */
static gboolean is_used(const Removing *removing, const ActualSnapshotDisk *disk, gboolean *ret_used, GError **error) {
  int active = virDomainIsActive(removing->domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", removing->context->object->name);
  if (!volume_refresh_around(removing->context, disk->path, NULL, error))
    return FALSE;
  g_autoptr(xmlDoc) live = active ? act_domain_doc(removing->domain, 0, error) : NULL;
  g_autoptr(xmlDoc) defined = active && !live ? NULL : act_domain_doc(removing->domain, VIR_DOMAIN_XML_INACTIVE, error);
  if (!defined)
    return FALSE;
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(defined), FALSE, NULL);
  const ActualDisk *found = actual_disk(disks, disk->target);
  *ret_used = live && has_layer(live, TRUE, disk);
  return *ret_used || !found || !found->path ||
         lies_below(virDomainGetConnect(removing->domain), found->path, disk->path, ret_used, error);
}

/* The file of a layer that the machine doesn't use, or of its memory. One that isn't there is gone already. */
static gboolean delete_file(const Removing *removing, const char *path, GError **error) {
  virConnectPtr connect = virDomainGetConnect(removing->domain);
  g_autofree char *user = NULL, *doubt = NULL;
  gboolean covered = FALSE;
  if (!volume_refresh_around(removing->context, path, &covered, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", path);
  if (!volume && !covered)
    act_remark(removing->context, "%s is needed no more; it stays, since it is in no active storage pool", path);
  if (!volume)
    return TRUE;
  if (!volume_find_user(removing->context, path, FALSE, &user, &doubt, error))
    return FALSE;
  if (user)
    return act_refuse(error, "snapshot %s isn't removed: its %s is used by %s", removing->snapshot->name, path, user);
  if (doubt)
    return act_refuse(error, "snapshot %s isn't removed: it can't be told whether something else uses its %s: %s", removing->snapshot->name, path,
                      doubt);
  return volume_delete(volume, error);
}

/* On a branch that was left. What the snapshot held there is noted before, so that it is known when the layer has gone. */
static gboolean remove_left(const Removing *removing, const ActualSnapshotDisk *disk, GError **error) {
  g_auto(GStrv) beneath = volume_left_beneath(removing->context, removing->snapshot->name, disk->target, disk->path, disk->base, error);
  DiskFact leaving = { disk->target, DiskFactSpec_leaving, (const char *const *)beneath };
  if (!beneath)
    return FALSE;
  if (!*beneath)
    return delete_file(removing, disk->path, error);
  if (!act_change_facts(removing->domain, disk_facts_leave, &leaving, error))
    return FALSE;
  FAULT("snapshot: branch noted");
  return delete_file(removing, disk->path, error) && layers_remove(removing->context, disk->target, error);
}

static gboolean remove_layer(const Removing *removing, const ActualSnapshotDisk *disk, GError **error) {
  gboolean used = FALSE;
  if (!is_used(removing, disk, &used, error))
    return FALSE;
  g_autoptr(Ownership) record = act_record(removing->domain, error);
  if (!record)
    return FALSE;
  if (!used && !disk_facts_leaving(&record->facts, disk->target, disk->path))
    return remove_left(removing, disk, error);
  if (!disk->base)
    return act_refuse(error, "snapshot %s isn't removed: its copy of the definition doesn't say what disk %s was", removing->snapshot->name,
                      disk->target);
  const VmSpec *vm = act_vm(removing->context, error);
  if (!vm)
    return FALSE;
  gboolean limited = given(vm, VmSpec, chain) && given(&vm->chain, ChainSpec, bandwidth);
  LayerMerge merge = { .target = disk->target, .top = disk->path, .base = disk->base, .snapshot = removing->snapshot->name,
                       .bandwidth = limited ? vm->chain.bandwidth : 0 };
  return layer_merge(removing->context, removing->action, &merge, error);
}

/* --- metadata --- */

/* In copies of the definition: the disk was the layer that has been merged, and is its base now. */
static gboolean retarget_disks(xmlNode *domain, const ActualSnapshotDisk *merged) {
  gboolean changed = FALSE;
  if (!domain)
    return FALSE;
  g_autoptr(GPtrArray) disks = xml_path_all(xml_path("devices/disk"), domain);
  for (guint i = 0; i < disks->len; i++) {
    xmlNode *source = xml_first_child(disks->pdata[i], "source"), *driver = xml_first_child(disks->pdata[i], "driver");
    if (!source || g_strcmp0(xml_attribute(source, "file"), merged->path) != 0)
      continue;
    xml_set_attribute(source, "file", merged->base);
    if (driver && merged->base_format)
      xml_set_attribute(driver, "type", merged->base_format);
    for (xmlNode *below = xml_first_child(disks->pdata[i], "backingStore"); below; below = xml_first_child(disks->pdata[i], "backingStore"))
      xml_remove(below);
    changed = TRUE;
  }
  return changed;
}

/* In a snapshot's copy of the definition. */
static gboolean retarget(const Removing *removing, virDomainSnapshotPtr snapshot, const GPtrArray *merged, GError **error) {
  const char *name = virDomainSnapshotGetName(snapshot);
  int current = virDomainSnapshotIsCurrent(snapshot, 0);
  g_autofree char *xml = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
  g_autoptr(xmlDoc) doc = xml ? xml_parse(xml, name, error) : NULL;
  if (!doc)
    return xml ? FALSE : libvirt_fail(error, "cannot read snapshot %s", name);
  gboolean changed = FALSE;
  for (guint i = 0; i < merged->len; i++) {
    const ActualSnapshotDisk *disk = merged->pdata[i];
    if (!disk->path || !disk->base)
      continue;
    changed |= retarget_disks(xml_first_child(xmlDocGetRootElement(doc), "domain"), disk);
    changed |= retarget_disks(xml_first_child(xmlDocGetRootElement(doc), "inactiveDomain"), disk);
  }
  if (!changed)
    return TRUE;
  g_autofree char *text = xml_text(doc);
  guint flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (current == 1 ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0);
  g_autoptr(VirDomainSnapshot) again = virDomainSnapshotCreateXML(removing->domain, text, flags);
  explicit_bzero(text, strlen(text)); /* it may hold a password */
  return again || libvirt_fail(error, "cannot write into snapshot %s that what it is of has been merged", name);
}

static gboolean retarget_others(const Removing *removing, GError **error) {
  virDomainSnapshotPtr *others = NULL;
  int count = virDomainListAllSnapshots(removing->domain, &others, 0);
  if (count < 0)
    return libvirt_fail(error, "cannot list the snapshots of domain %s", removing->context->object->name);
  gboolean fine = TRUE;
  for (int i = 0; i < count; i++) {
    gboolean same = g_strcmp0(virDomainSnapshotGetName(others[i]), removing->snapshot->name) == 0;
    fine = fine && (same || retarget(removing, others[i], removing->snapshot->disks, error));
    virDomainSnapshotFree(others[i]);
  }
  free(others);
  return fine;
}

/* What the disk was then may have been merged since, into what the layer is based on now. */
static gboolean settle_base(const Removing *removing, const ActualSnapshotDisk *disk, ActualSnapshot *renamed, GError **error) {
  g_auto(VolumeFacts) facts = { 0 };
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(removing->domain), disk->path);
  if (!volume)
    return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL || libvirt_fail(error, "cannot look up volume %s", disk->path);
  if (!volume_facts(volume, &facts, error))
    return FALSE;
  if (!facts.backing_path || g_str_equal(facts.backing_path, disk->base))
    return TRUE;
  snapshot_add_disk(renamed, disk->target, FALSE, disk->base);
  ActualSnapshotDisk *now = renamed->disks->pdata[renamed->disks->len - 1];
  now->base = g_steal_pointer(&facts.backing_path);
  now->base_format = g_steal_pointer(&facts.backing_format);
  return TRUE;
}

/* Before anything is merged: when the layers have gone, only the snapshot's copy tells where to. */
static gboolean settle_bases(Removing *removing, GError **error) {
  ActualSnapshot *snapshot = removing->snapshot;
  g_autoptr(ActualSnapshot) renamed = snapshot_new(snapshot->name, NULL);
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (disk->path && disk->base && !settle_base(removing, disk, renamed, error))
      return FALSE;
  }
  if (!renamed->disks->len)
    return TRUE;
  if (!retarget(removing, removing->handle, renamed->disks, error))
    return FALSE;
  FAULT("snapshot: bases settled");
  g_autofree char *xml = virDomainSnapshotGetXMLDesc(removing->handle, 0);
  ActualSnapshot *again = xml ? snapshot_xml_read(xml, error) : NULL;
  if (!again)
    return xml ? FALSE : libvirt_fail(error, "cannot read snapshot %s", snapshot->name);
  removing->snapshot = again;
  actual_snapshot_free(snapshot);
  return TRUE;
}

static gboolean is_internal(const ActualSnapshot *snapshot) {
  for (guint i = 0; i < snapshot->disks->len; i++)
    if (((const ActualSnapshotDisk *)snapshot->disks->pdata[i])->internal)
      return TRUE;
  return FALSE;
}

/* libvirt gives children to the parent. */
static gboolean drop_metadata(const Removing *removing, guint flags, GError **error) {
  const char *name = removing->snapshot->name;
  return LIFE_LONG(virDomainSnapshotDelete(removing->handle, flags)) == 0 || libvirt_fail(error, "cannot remove snapshot %s", name);
}

/* Within the disks' files: libvirt's own deletion does that and nothing else, where the files are the top
 * layers (the planner sees to it). */
static gboolean remove_internal(const Removing *removing, GError **error) {
  int active = virDomainIsActive(removing->domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", removing->context->object->name);
  return drop_metadata(removing, 0, error);
}

static gboolean remove_external(Removing *removing, GError **error) {
  if (!settle_bases(removing, error))
    return FALSE;
  for (guint i = 0; i < removing->snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = removing->snapshot->disks->pdata[i];
    if (disk->path && !remove_layer(removing, disk, error))
      return FALSE;
    FAULT("snapshot: layer removed");
  }
  if (!retarget_others(removing, error))
    return FALSE;
  FAULT("snapshot: children retargeted");
  if (removing->snapshot->memory_path && !delete_file(removing, removing->snapshot->memory_path, error))
    return FALSE;
  return drop_metadata(removing, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY, error);
}

static gboolean remove_found(const ActionContext *context, const Action *action, virDomainPtr domain, virDomainSnapshotPtr handle, GError **error) {
  Removing removing = { context, action, domain, handle, NULL };
  const char *name = virDomainSnapshotGetName(handle);
  g_autofree char *xml = virDomainSnapshotGetXMLDesc(handle, 0);
  if (!xml)
    return libvirt_fail(error, "cannot read snapshot %s", name);
  removing.snapshot = snapshot_xml_read(xml, error);
  if (!removing.snapshot)
    return FALSE;
  gboolean fine = is_internal(removing.snapshot) ? remove_internal(&removing, error) : remove_external(&removing, error);
  actual_snapshot_free(removing.snapshot);
  FAULT("snapshot: removed");
  return fine;
}

/* An earlier run began it: what that made is put away, or libvirt is told of it, for it to be removed like any other. */
static gboolean take_up_begun(const ActionContext *context, virDomainPtr domain, const SnapshotFactSpec *fact, virDomainSnapshotPtr *ret_handle, GError **error) {
  gboolean taken = FALSE;
  return snapshot_settle_unwanted(context, domain, fact, &taken, error) && (!taken || snapshot_find(domain, fact->name, ret_handle, error));
}

gboolean act_snapshot_remove(const ActionContext *context, const Action *action, GError **error) {
  const char *name = act_need(action, "name", error);
  g_autoptr(VirDomain) domain = name ? act_own_domain(context, error) : NULL;
  g_autoptr(Ownership) record = domain ? act_record(domain, error) : NULL;
  g_autoptr(VirDomainSnapshot) handle = NULL;
  if (!record || !snapshot_find(domain, name, &handle, error))
    return FALSE;
  const SnapshotFactSpec *fact = snapshot_fact(&record->facts, name);
  if (!fact)
    return !handle || act_refuse(error, "snapshot %s of domain %s isn't ours: it stays", name, context->object->name);
  gboolean begun = !given(fact, SnapshotFactSpec, consistency);
  if (handle && begun && !machine_check_idle(context, domain, error))
    return FALSE; /* libvirt names it while it takes it */
  if (!handle && begun && !take_up_begun(context, domain, fact, &handle, error))
    return FALSE;
  if (handle && !remove_found(context, action, domain, handle, error))
    return FALSE;
  return snapshot_forget(domain, name, error);
}

/* What a person's snapshot is worth, as far as it tells. */
gboolean act_snapshot_adopt(const ActionContext *context, const Action *action, GError **error) {
  const char *name = act_need(action, "name", error);
  g_autoptr(VirDomain) domain = name ? act_own_domain(context, error) : NULL;
  g_autoptr(VirDomainSnapshot) handle = NULL;
  if (!domain || !snapshot_find(domain, name, &handle, error))
    return FALSE;
  if (!handle)
    return act_stale(error, "domain %s has no snapshot %s any more", context->object->name, name);
  g_autofree char *xml = virDomainSnapshotGetXMLDesc(handle, 0);
  if (!xml)
    return libvirt_fail(error, "cannot read snapshot %s", name);
  ActualSnapshot *found = snapshot_xml_read(xml, error);
  if (!found)
    return FALSE;
  Consistency consistency = snapshot_consistency(found, Quiesce_automatic);
  actual_snapshot_free(found);
  return snapshot_note(domain, name, SnapshotOrigin_adopted, consistency, error);
}
