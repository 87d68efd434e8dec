#include "reconciler/act/layer_flush.h"

#include "reconciler/act/block_job.h"
#include "reconciler/act/layer_merge.h"
#include "reconciler/act/layer_pulled.h"
#include "reconciler/act/layer_remove.h"
#include "reconciler/act/left_layer.h"
#include "reconciler/act/machine_idle.h"
#include "reconciler/act/point_disk.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/snapshot_rules.h"
#include "state/disk_chain.h"
#include "state/fault.h"
#include "state/life_sign.h"
#include "state/snapshot_xml.h"

#define LAYER_NAME "+flush" /* no snapshot's name begins so */

char *layer_flush_path(const DiskLayers *layers) {
  for (guint i = 0; i < layers->chain.disk->chain->len; i++) {
    const ActualVolume *layer = chain_layer(&layers->chain, i);
    if (layer->pool && !g_str_has_prefix(layer->path, "/dev/"))
      return snapshot_layer_path(layers->now->name, layers->chain.disk->target, LAYER_NAME, layer->path);
  }
  return NULL;
}

/* QEMU writes down what lies beneath it. */
gboolean layer_put_on(virDomainPtr domain, const GPtrArray *disks, const char *target, const char *path, GError **error) {
  g_autoptr(ActualSnapshot) snapshot = snapshot_new(LAYER_NAME, NULL);
  snapshot_add_disk(snapshot, target, FALSE, path);
  for (guint i = 0; disks && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    if (!g_str_equal(disk->target, target))
      snapshot_add_disk(snapshot, disk->target, FALSE, NULL);
  }
  g_autofree char *xml = snapshot_xml_new(snapshot);
  const guint flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA;
  const char *name = virDomainGetName(domain);
  /* All that was copied may have to be written. */
  g_autoptr(VirDomainSnapshot) taken = LIFE_LONG(virDomainSnapshotCreateXML(domain, xml, flags));
  FAULT("layers: flushed");
  return taken || libvirt_fail(error, "cannot put a layer on disk %s of domain %s for a moment, so that QEMU writes down what was copied into it", target, name);
}

/* libvirtd may have died between its note of what runs and the definition: shut down meanwhile, the machine would start on what it
 * was before. */
static gboolean define_layer(const DiskLayers *layers, const char *path, const char *beneath, GError **error) {
  const ActualDisk *defined = actual_disk(layers->now->defined_disks, layers->chain.disk->target);
  if (!layers->now->active || !defined || g_strcmp0(defined->path, beneath) != 0)
    return TRUE;
  const DiskPointing pointing = { .target = layers->chain.disk->target, .from = beneath, .to = path, .format = "qcow2" };
  return act_point_disk(layers->context, layers->domain, &pointing, error);
}

static gboolean merge_back(const ActionContext *context, const Action *action, const char *target, const char *path, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  int at = chain_find(&layers.chain, path);
  if (at < 0)
    return act_stale(error, "%s isn't a layer of disk %s of domain %s any more", path, target, layers.now->name);
  if ((guint)at + 1 < layers.chain.disk->chain->len) {
    const char *beneath = chain_layer(&layers.chain, (guint)at + 1)->path;
    const LayerMerge merge = { .target = target, .top = path, .base = beneath };
    if (!define_layer(&layers, path, beneath, error) || !layer_merge(context, action, &merge, error))
      return FALSE;
  }
  return pull_forget(&layers, error) && layers_remove(context, target, error);
}

/* A layer that libvirt has never told of. */
static gboolean put_away(const DiskLayers *layers, const char *path, GError **error) {
  g_auto(VolumeFacts) facts = { 0 };
  gboolean covered = FALSE;
  if (!volume_refresh_around(layers->context, path, &covered, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(layers->domain), path);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", path);
  if (!volume)
    return covered || act_refuse(error, "it can't be told whether %s is there, which domain %s may have run on: define and start a pool over its directory",
                                 path, layers->now->name);
  const LeftLayer layer = { .machine = layers->now->name, .volume = volume, .facts = &facts };
  return volume_facts(volume, &facts, error) &&
         (!facts.physical || (left_layer_check_not_switched(&layer, error) && left_layer_check_empty(&layer, error))) && left_remove(layers, path, error);
}

static gboolean go_on(const DiskLayers *layers, const Action *action, const char *path, gboolean has_job, GError **error) {
  const char *target = layers->chain.disk->target;
  gboolean unflushed = FALSE;
  if (chain_find(&layers->chain, path) >= 0)
    return merge_back(layers->context, action, target, path, error);
  if (disk_facts_leaving(layers->facts, target, path)) /* it was merged back */
    return pull_forget(layers, error) && layers_remove(layers->context, target, error);
  if (has_job)
    return TRUE;
  if (!put_away(layers, path, error))
    return FALSE;
  if (!pull_look(layers, &unflushed, error))
    return FALSE;
  if (!unflushed)
    return pull_forget(layers, error);
  if (!layers->now->active)
    return pull_again(layers, action, error) && put_away(layers, path, error) && pull_forget(layers, error);
  return pull_check_same_qemu(layers, error) && layer_put_on(layers->domain, layers->now->disks, target, path, error) &&
         merge_back(layers->context, action, target, path, error);
}

/* Of a machine that runs. */
static gboolean find_job(virDomainPtr domain, const char *target, gboolean *ret_found, GError **error) {
  const char *kind = NULL, *name = virDomainGetName(domain);
  int active = virDomainIsActive(domain);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether domain %s is running", name);
  if (active && !block_job_find(domain, target, &kind, error))
    return FALSE;
  *ret_found = kind != NULL;
  return TRUE;
}

gboolean layer_flush(const ActionContext *context, const Action *action, const char *target, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  g_autoptr(Ownership) record = domain ? act_record(domain, error) : NULL;
  const DiskFactSpec *fact = record ? disk_facts(&record->facts, target) : NULL;
  if (!fact || !given(fact, DiskFactSpec, flushing))
    return record != NULL;
  g_auto(DiskLayers) layers = { 0 };
  gboolean has_job = FALSE;
  /* In this order: libvirtd may still be putting the layer on; and what isn't pulled when no block job runs any more won't be. */
  return machine_check_idle(context, domain, error) && find_job(domain, target, &has_job, error) && disk_layers_read(context, target, &layers, error) &&
         (disk_facts_elsewhere(fact, layers.chain.disk) || go_on(&layers, action, fact->flushing, has_job, error));
}

gboolean layer_flush_all(const ActionContext *context, const Action *action, virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = act_record(domain, error);
  g_autoptr(xmlDoc) doc = record ? act_domain_doc(domain, 0, error) : NULL;
  if (!doc)
    return FALSE;
  g_autoptr(GPtrArray) disks = disks_read(xmlDocGetRootElement(doc), FALSE, NULL);
  for (guint i = 0; i < disks->len; i++)
    if (!layer_flush(context, action, ((const ActualDisk *)disks->pdata[i])->target, error))
      return FALSE;
  return TRUE;
}
