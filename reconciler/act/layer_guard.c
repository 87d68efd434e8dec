#include "reconciler/act/layer_guard.h"

#include "reconciler/act/block_job.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "state/base_volume.h"
#include "state/observe.h"

void disk_layers_clear(DiskLayers *layers) {
  g_clear_pointer(&layers->domain, virDomainFree);
  g_clear_pointer(&layers->now, actual_domain_free);
}

static gboolean check_complete(const DiskLayers *layers, const char *target, GError **error) {
  const char *name = layers->now->name;
  const ActualDisk *disk = layers->chain.disk;
  if (!disk || !disk->path)
    return act_stale(error, "domain %s has no disk %s with a file", name, target);
  const ActualVolume *lowest = disk->chain->len ? chain_layer(&layers->chain, disk->chain->len - 1) : NULL;
  const char *unknown = !lowest ? disk->path : lowest->backing_path ? lowest->backing_path : actual_chain_unknown(layers->now, disk);
  return !unknown || act_refuse(error, "disk %s of domain %s: the layers can't be read from %s on, which is in no active storage pool: "
                                "define and start a pool over its directory", target, name, unknown);
}

static gboolean observe_now(const ActionContext *context, const char *target, DiskLayers *layers, GError **error) {
  GError *failure = NULL;
  g_clear_pointer(&layers->now, actual_domain_free);
  layers->now = observe_domain(context->connection, NULL, context->object->name, &failure);
  if (failure) {
    g_propagate_error(error, failure);
    return FALSE;
  }
  if (!layers->now)
    return act_stale(error, "domain %s has gone", context->object->name);
  const Object *declared = context->object->declared;
  layers->chain = (Chain){ layers->now, actual_disk(layers->now->disks, target), vm_disk(declared ? object_vm(declared) : NULL, target) };
  return TRUE;
}

/* A stopped machine's layers are what its pools saw at their last refresh. */
static gboolean refresh_pools(const ActionContext *context, const DiskLayers *layers, GError **error) {
  const ActualDisk *disk = layers->chain.disk;
  g_autofree char *seen = NULL;
  for (guint i = 0; disk && i < disk->chain->len; i++) {
    const char *path = chain_layer(&layers->chain, i)->path;
    g_autofree char *directory = g_path_get_dirname(path);
    if (g_strcmp0(seen, directory) == 0)
      continue;
    if (!volume_refresh_around(context, path, NULL, error))
      return FALSE;
    g_free(seen);
    seen = g_steal_pointer(&directory);
  }
  return TRUE;
}

gboolean disk_layers_read(const ActionContext *context, const char *target, DiskLayers *ret_layers, GError **error) {
  g_auto(DiskLayers) layers = { .context = context, .domain = act_own_domain(context, error) };
  if (!layers.domain || !observe_now(context, target, &layers, error))
    return FALSE;
  if (!layers.now->active && (!refresh_pools(context, &layers, error) || !observe_now(context, target, &layers, error)))
    return FALSE;
  if (!layers.now->owner)
    return act_not_ours(layers.domain, error);
  layers.facts = &layers.now->owner->facts;
  if (!check_complete(&layers, target, error))
    return FALSE;
  *ret_layers = layers;
  layers = (DiskLayers){ 0 };
  return TRUE;
}

/* Snapshots. What an external one holds is what is beneath the layer that it names. */

static gboolean check_boundary(const DiskLayers *layers, const char *above, const char *snapshot, const char *verb, GError **error) {
  const ActualSnapshot *holder = chain_snapshot(&layers->chain, above);
  if (!holder || g_strcmp0(holder->name, snapshot) == 0)
    return TRUE;
  return act_refuse(error, "%s of disk %s of domain %s can't be %s: the snapshot %s is what lies beneath it", above,
                    layers->chain.disk->target, layers->now->name, verb, holder->name);
}

/* The file in which an internal snapshot is: the disk's top layer when it was taken. */
static gboolean internal_file(virDomainPtr domain, const char *snapshot, const char *target, char **ret_path, GError **error) {
  virDomainSnapshotPtr handle = virDomainSnapshotLookupByName(domain, snapshot, 0);
  g_autofree char *text = handle ? virDomainSnapshotGetXMLDesc(handle, 0) : NULL;
  gboolean fine = text || libvirt_fail(error, "cannot read the snapshot %s", snapshot);
  if (handle)
    virDomainSnapshotFree(handle);
  g_autoptr(xmlDoc) doc = fine ? xml_parse(text, snapshot, error) : NULL;
  if (!doc)
    return FALSE;
  xmlNode *then = xml_path_node(xml_path("domain"), xmlDocGetRootElement(doc));
  xmlNode *disk = then ? xml_map_find_device(table_find(&VmSpec_table, "disks"), then, target) : NULL;
  *ret_path = disk ? xml_path_get(xml_path("[@type='file']/source/@file ?? [@type='block']/source/@dev"), disk) : NULL;
  return TRUE;
}

/* An internal snapshot is lost with the file that it is in, and with what lies beneath that. */
static gboolean check_internal(const DiskLayers *layers, guint first, guint last, GError **error) {
  const ActualSnapshot *internal = chain_internal_snapshot(&layers->chain);
  const char *target = layers->chain.disk->target;
  g_autofree char *path = NULL;
  if (!internal)
    return TRUE;
  if (!internal_file(layers->domain, internal->name, target, &path, error))
    return FALSE;
  int at = path ? chain_find(&layers->chain, path) : (int)first;
  return at < (int)first || at > (int)last ||
         act_refuse(error, "the layers of disk %s of domain %s must stay: the snapshot %s is kept in %s", target, layers->now->name,
                    internal->name, path ? path : "one of them");
}

/* Users. */

static gboolean find_other(const DiskLayers *layers, guint i, char **ret_what, char **ret_doubt, GError **error) {
  VolumeOwner owner = { layers->now->name, layers->chain.disk->target, i > 0 ? chain_layer(&layers->chain, i - 1)->path : NULL };
  return volume_find_other_user(layers->context, chain_layer(&layers->chain, i)->path, &owner, ret_what, ret_doubt, error);
}

static gboolean check_alone(const DiskLayers *layers, guint i, const char *verb, GError **error) {
  const char *path = chain_layer(&layers->chain, i)->path;
  g_autofree char *what = NULL, *doubt = NULL;
  if (!find_other(layers, i, &what, &doubt, error))
    return FALSE;
  if (what)
    return act_refuse(error, "%s can't be %s: it is used by %s too", path, verb, what);
  return !doubt || act_refuse(error, "%s can't be %s: it can't be told whether something else uses it: %s", path, verb, doubt);
}

typedef struct {
  const DiskLayers *layers;
  GError **error;
} Asking;

static gboolean is_shared(gpointer data, const Chain *chain G_GNUC_UNUSED, guint i, gboolean *ret_shared) {
  Asking *asking = data;
  g_autofree char *what = NULL;
  if (!find_other(asking->layers, i, &what, NULL, asking->error))
    return FALSE;
  *ret_shared = what != NULL; /* where it can't be told, the file isn't deleted */
  return TRUE;
}

gboolean layer_depth(const DiskLayers *layers, guint *ret_depth, GError **error) {
  Asking asking = { layers, error };
  return chain_depth(&layers->chain, is_shared, &asking, ret_depth);
}

/* A file that is declared as the disk would be another disk than what lies on it. */
static gboolean check_declared(const DiskLayers *layers, guint first, guint last, GError **error) {
  for (guint i = first; i <= last && i < layers->chain.disk->chain->len; i++)
    if (chain_is_declared(&layers->chain, i))
      return act_refuse(error, "%s must stay in the chain of disk %s of domain %s: the disk is declared by it", chain_layer(&layers->chain, i)->path,
                        layers->chain.disk->target, layers->now->name);
  return TRUE;
}

gboolean layer_check_job(const DiskLayers *layers, GError **error) {
  const ActualDisk *disk = layers->chain.disk;
  const DiskFactSpec *fact = disk_facts(layers->facts, disk->target);
  const char *kind = NULL, *name = layers->now->name;
  if (!layers->now->active || (fact && given(fact, DiskFactSpec, leaving)))
    return TRUE; /* the one that runs is ours, of an interrupted run */
  if (!block_job_find(layers->domain, disk->target, &kind, error))
    return FALSE;
  return !kind || act_refuse(error, "somebody's block job (%s) runs on disk %s of domain %s: wait for it, or end it ('virsh blockjob %s %s "
                             "--abort')", kind, disk->target, name, name, disk->target);
}

/* Bitmaps of checkpoints are in the layers; only the machine's own QEMU takes care of them. */
static gboolean check_no_checkpoint(const DiskLayers *layers, const char *instead, GError **error) {
  int count = virDomainListAllCheckpoints(layers->domain, NULL, 0);
  if (count < 0 && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
    return TRUE;
  if (count < 0)
    return libvirt_fail(error, "cannot list the checkpoints of domain %s", layers->now->name);
  return count == 0 || act_refuse(error, "domain %s has checkpoints, which would be lost: %s", layers->now->name, instead);
}

static gboolean check_checkpoints(const DiskLayers *layers, GError **error) {
  return layers->now->active || check_no_checkpoint(layers, "start it, then its layers can be merged", error);
}

gboolean layer_check_merge(const DiskLayers *layers, guint top, guint base, const char *snapshot, GError **error) {
  const char *into = chain_layer(&layers->chain, base)->path;
  g_autofree char *digest = base_volume_digest(into);
  if (digest)
    return act_refuse(error, "nothing is merged into %s: it is a base image", into);
  for (guint i = top; i < base; i++)
    if (!check_boundary(layers, chain_layer(&layers->chain, i)->path, snapshot, "merged", error) || !check_alone(layers, i, "merged away", error))
      return FALSE;
  return check_alone(layers, base, "merged into", error) && check_declared(layers, top, base - 1, error) && check_internal(layers, top, base - 1, error) &&
         check_checkpoints(layers, error) && layer_check_job(layers, error);
}

static gboolean check_no_snapshot(const DiskLayers *layers, const char *verb, GError **error) {
  const ActualSnapshot *internal = chain_internal_snapshot(&layers->chain);
  for (guint i = 0; i < layers->chain.disk->chain->len; i++)
    if (!check_boundary(layers, chain_layer(&layers->chain, i)->path, NULL, verb, error))
      return FALSE;
  return !internal || act_refuse(error, "disk %s of domain %s can't be %s: the snapshot %s is kept in it", layers->chain.disk->target,
                                 layers->now->name, verb, internal->name);
}

gboolean layer_check_replace(const DiskLayers *layers, GError **error) {
  return check_no_snapshot(layers, "replaced", error) && check_declared(layers, 0, layers->chain.disk->chain->len - 1, error) &&
         check_no_checkpoint(layers, "delete them first ('virsh checkpoint-delete')", error);
}

gboolean layer_check_flatten(const DiskLayers *layers, GError **error) {
  return check_no_snapshot(layers, "flattened", error) && check_declared(layers, 1, layers->chain.disk->chain->len - 1, error) &&
         check_checkpoints(layers, error) && layer_check_job(layers, error);
}
