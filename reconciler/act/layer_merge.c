#include "reconciler/act/layer_merge.h"

#include "reconciler/act/block_job.h"
#include "reconciler/act/layer_flush.h"
#include "reconciler/act/layer_guard.h"
#include "reconciler/act/layer_pulled.h"
#include "reconciler/act/layer_remove.h"
#include "reconciler/act/offline.h"
#include "reconciler/act/point_disk.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "state/fault.h"

/* Layers first..end-1 of the chain, from now on noted as leaving. Those that weren't made for the disk are left
 * out: their files stay. An empty list says that a block job of ours was begun. */
static gboolean note_leaving(const DiskLayers *layers, guint first, guint end, GError **error) {
  g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
  for (guint i = first; i < end; i++)
    if (chain_is_made_for(&layers->chain, i))
      g_strv_builder_add(paths, chain_layer(&layers->chain, i)->path);
  g_auto(GStrv) list = g_strv_builder_end(paths);
  DiskFact fact = { layers->chain.disk->target, DiskFactSpec_leaving, (const char *const *)list };
  if (!act_change_facts(layers->domain, disk_facts_leave, &fact, error))
    return FALSE;
  FAULT("layers: noted");
  return TRUE;
}

/* A file of the name that our record doesn't tell of is somebody's. */
static gboolean check_free(const DiskLayers *layers, const char *path, GError **error) {
  const char *target = layers->chain.disk->target;
  gboolean covered = FALSE;
  if (!volume_refresh_around(layers->context, path, &covered, error) ||
      (disk_facts_leaving(layers->facts, target, path) && !left_remove(layers, path, error)))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(layers->domain), path);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", path);
  return (!volume && covered) ||
         act_refuse(error, "disk %s of domain %s can't be flattened while it runs: %s %s", target, layers->now->name, path,
                    volume ? "exists, and would be in the way of a layer: move it away" : "is in no active storage pool");
}

static gboolean note_flushing(const DiskLayers *layers, GError **error) {
  g_autofree char *path = layer_flush_path(layers);
  const DiskFactSpec *fact = disk_facts(layers->facts, layers->chain.disk->target);
  if (fact && disk_facts_elsewhere(fact, layers->chain.disk))
    return act_refuse(error, "disk %s of domain %s can't be flattened while it runs: it was %s when that was done last, which may not hold all: make that "
                      "the disk again and run once, or set chain.onExceed to commit", fact->target, layers->now->name, fact->pulledInto);
  if (!path)
    return act_refuse(error, "disk %s of domain %s can't be flattened while it runs: none of its layers is a file in a storage pool, beside which "
                      "there was room for another one", layers->chain.disk->target, layers->now->name);
  return check_free(layers, path, error) && pull_note(layers, path, error);
}

static gboolean run_job(const ActionContext *context, const Action *action, virDomainPtr domain, gconstpointer job, GError **error) {
  return block_job_run(context, action, domain, job, error);
}

static gboolean run_anywhere(const ActionContext *context, const Action *action, const DiskLayers *layers, const BlockJob *job, GError **error) {
  if (layers->now->active)
    return block_job_run(context, action, layers->domain, job, error);
  const OfflineDisk disk = { .target = job->target };
  return offline_run(context, action, layers->domain, &disk, run_job, job, error);
}

/* The definition names the layer that is on top now, and none of the old chain. libvirt sees to the former
 * when it pivots a machine's own disk. A machine that is defined with another disk keeps that. */
static gboolean settle_definition(const ActionContext *context, const DiskLayers *layers, const ActualVolume *top, GError **error) {
  const ActualDisk *defined = actual_disk(layers->now->defined_disks, layers->chain.disk->target);
  if (!defined || g_strcmp0(defined->path, layers->chain.disk->path) != 0)
    return TRUE;
  DiskPointing pointing = { .target = layers->chain.disk->target, .from = layers->chain.disk->path, .to = top->path, .format = top->format };
  if (!act_point_disk(context, layers->domain, &pointing, error))
    return FALSE;
  FAULT("layers: definition");
  return TRUE;
}

/* Where the layer isn't in the chain: it was merged before, unless its file is still there. */
static gboolean check_merged(const ActionContext *context, const DiskLayers *layers, const LayerMerge *merge, GError **error) {
  if (disk_facts_leaving(layers->facts, merge->target, merge->top))
    return layers_remove(context, merge->target, error);
  gboolean covered = FALSE;
  if (!volume_refresh_around(context, merge->top, &covered, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(layers->domain), merge->top);
  return (covered && !volume) || act_stale(error, "%s isn't a layer of disk %s of domain %s any more", merge->top, merge->target,
                                           layers->now->name);
}

/* Files that people made are seen by libvirt after this. */
static gboolean look_again(const ActionContext *context, const char *const *paths, GError **error) {
  for (; *paths; paths++)
    if (!volume_refresh_around(context, *paths, NULL, error))
      return FALSE;
  return TRUE;
}

gboolean layer_merge(const ActionContext *context, const Action *action, const LayerMerge *merge, GError **error) {
  const char *const paths[] = { merge->top, merge->base, NULL };
  g_auto(DiskLayers) layers = { 0 };
  if (!end_helper(context, error) || !look_again(context, paths, error) || !disk_layers_read(context, merge->target, &layers, error))
    return FALSE;
  int top = chain_find(&layers.chain, merge->top), base = chain_find(&layers.chain, merge->base);
  if (top < 0)
    return check_merged(context, &layers, merge, error);
  if (base <= top)
    return act_stale(error, "disk %s of domain %s isn't based on %s any more", merge->target, layers.now->name, merge->base);
  if (!layer_check_merge(&layers, (guint)top, (guint)base, merge->snapshot, error) ||
      !note_leaving(&layers, (guint)top, (guint)base, error))
    return FALSE;
  BlockJob job = { BLOCK_JOB_COMMIT, merge->target, merge->top, merge->base, merge->bandwidth };
  if (!run_anywhere(context, action, &layers, &job, error))
    return FALSE;
  FAULT("layers: merged");
  return settle_definition(context, &layers, chain_layer(&layers.chain, top == 0 ? (guint)base : 0), error) &&
         layers_remove(context, merge->target, error);
}

gboolean layer_flatten(const ActionContext *context, const Action *action, const char *target, guint64 bandwidth, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  guint own = 0;
  /* A layer of an earlier flush that is noted as leaving still would be taken for this one's. */
  if (!layer_flush(context, action, target, error) || !layers_remove(context, target, error) || !disk_layers_read(context, target, &layers, error))
    return FALSE;
  if (!layers.now->active)
    return act_stale(error, "domain %s isn't running any more", layers.now->name);
  if (layers.chain.disk->chain->len == 1)
    return layers_remove(context, target, error);
  const char *const paths[] = { chain_layer(&layers.chain, 0)->path, chain_layer(&layers.chain, 1)->path, NULL };
  if (!look_again(context, paths, error) || !layer_check_flatten(&layers, error) || !layer_depth(&layers, &own, error) ||
      !note_flushing(&layers, error) || !note_leaving(&layers, 1, own, error))
    return FALSE;
  BlockJob job = { BLOCK_JOB_PULL, target, NULL, NULL, bandwidth };
  if (!block_job_run(context, action, layers.domain, &job, error))
    return FALSE;
  FAULT("layers: merged");
  return settle_definition(context, &layers, chain_layer(&layers.chain, 0), error) && layer_flush(context, action, target, error) &&
         layers_remove(context, target, error);
}
