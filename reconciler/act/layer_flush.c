#include "reconciler/act/layer_flush.h"

#include "reconciler/act/layer_merge.h"
#include "reconciler/act/layer_remove.h"
#include "reconciler/act/snapshot.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/snapshot_rules.h"
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
static gboolean put_on(const DiskLayers *layers, const char *path, GError **error) {
  g_autoptr(ActualSnapshot) snapshot = snapshot_new(LAYER_NAME, NULL);
  const char *target = layers->chain.disk->target;
  for (guint i = 0; i < layers->now->disks->len; i++) {
    const ActualDisk *disk = layers->now->disks->pdata[i];
    snapshot_add_disk(snapshot, disk->target, FALSE, g_str_equal(disk->target, target) ? path : NULL);
  }
  g_autofree char *xml = snapshot_xml_new(snapshot);
  life_long_call(TRUE); /* all that was copied may have to be written */
  g_autoptr(VirDomainSnapshot) taken = virDomainSnapshotCreateXML(layers->domain, xml, VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                                         VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA);
  life_long_call(FALSE);
  FAULT("layers: flushed");
  return taken || libvirt_fail(error, "cannot put a layer on disk %s of domain %s for a moment, so that QEMU writes down what was copied into it", target,
                               layers->now->name);
}

static gboolean merge_back(const ActionContext *context, const Action *action, const DiskFactSpec *fact, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, fact->target, &layers, error))
    return FALSE;
  int at = chain_find(&layers.chain, fact->flushing);
  if (at < 0 || (guint)at + 1 >= layers.chain.disk->chain->len)
    return TRUE;
  LayerMerge merge = { .target = fact->target, .top = fact->flushing, .base = chain_layer(&layers.chain, (guint)at + 1)->path };
  return layer_merge(context, action, &merge, error);
}

gboolean layer_flush(const ActionContext *context, const Action *action, const char *target, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  const DiskFactSpec *fact = disk_facts(layers.facts, target);
  if (!fact || !given(fact, DiskFactSpec, flushing))
    return TRUE;
  /* Where it isn't pulled there is nothing to write down; what doesn't run has written all when it ended. */
  gboolean pulled = layers.now->active && layers.chain.disk->chain->len == 1;
  return (!pulled || (left_remove(&layers, fact->flushing, error) && put_on(&layers, fact->flushing, error))) &&
         merge_back(context, action, fact, error);
}
