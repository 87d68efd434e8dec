#include "reconciler/act/layer_pulled.h"

#include "reconciler/act/block_job.h"
#include "reconciler/act/layer_flush.h"
#include "reconciler/act/offline.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "state/fault.h"
#include "state/pulled.h"

typedef struct {
  const char *target, *path, *into, *beneath, *format; /* NULL but for target: none */
} Pulled;

static gboolean set_part(FactsSpec *facts, const char *target, guint part, const char *text) {
  const char *const paths[] = { text, NULL };
  const DiskFact fact = { .target = target, .part = part, .paths = text ? paths : NULL };
  return disk_facts_set(facts, &fact);
}

/* In one write. */
static gboolean set_pulled(FactsSpec *facts, gconstpointer data) {
  const Pulled *pulled = data;
  gboolean changed = set_part(facts, pulled->target, DiskFactSpec_flushing, pulled->path);
  changed |= set_part(facts, pulled->target, DiskFactSpec_pulledInto, pulled->into);
  changed |= set_part(facts, pulled->target, DiskFactSpec_beneath, pulled->beneath);
  return set_part(facts, pulled->target, DiskFactSpec_beneathFormat, pulled->format) || changed;
}

/* A machine that stopped meanwhile took its note with it. */
static gboolean mark(const DiskLayers *layers, gboolean pulls, GError **error) {
  const char *target = layers->chain.disk->target;
  g_autofree char *namespace = pulled_namespace(target);
  return virDomainSetMetadata(layers->domain, VIR_DOMAIN_METADATA_ELEMENT, pulls ? "<disk/>" : NULL, PULLED_PREFIX, namespace,
                              VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
         libvirt_fail(error, "cannot note in domain %s that its disk %s is flattened", layers->now->name, target);
}

gboolean pull_note(const DiskLayers *layers, const char *path, GError **error) {
  const ActualVolume *beneath = chain_layer(&layers->chain, 1);
  const Pulled pulled = { .target = layers->chain.disk->target, .path = path, .into = layers->chain.disk->path,
                          .beneath = beneath->path, .format = beneath->format };
  if (!act_change_facts(layers->domain, set_pulled, &pulled, error))
    return FALSE;
  FAULT("layers: flush begun");
  if (!mark(layers, TRUE, error))
    return FALSE;
  FAULT("layers: pull noted");
  return TRUE;
}

gboolean pull_forget(const DiskLayers *layers, GError **error) {
  const Pulled none = { .target = layers->chain.disk->target };
  if (!act_change_facts(layers->domain, set_pulled, &none, error))
    return FALSE;
  FAULT("layers: flush noted");
  return !layers->now->active || mark(layers, FALSE, error);
}

static gboolean is_same_qemu(const DiskLayers *layers, gboolean *ret_same, GError **error) {
  const char *target = layers->chain.disk->target;
  g_autofree char *namespace = pulled_namespace(target), *note = NULL;
  if (layers->now->active)
    note = virDomainGetMetadata(layers->domain, VIR_DOMAIN_METADATA_ELEMENT, namespace, VIR_DOMAIN_AFFECT_LIVE);
  *ret_same = note != NULL;
  return !layers->now->active || note || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA ||
         libvirt_fail(error, "cannot see whether domain %s was started anew since its disk %s was flattened", layers->now->name, target);
}

gboolean pull_check_same_qemu(const DiskLayers *layers, GError **error) {
  const char *target = layers->chain.disk->target, *name = layers->now->name;
  gboolean same = FALSE;
  return is_same_qemu(layers, &same, error) &&
         (same || act_refuse(error, "domain %s was started anew before it was certain that its disk %s holds all that was copied into it when it was "
                             "flattened: shut it down ('virsh shutdown %s'), so that the next run can see to that; what lay beneath the disk is kept until "
                             "then. Don't restore or replace the disk before that run", name, target, name));
}

/* What its file says lies beneath it: libvirtd may have died between a pull's end and its note of that. */
static gboolean ends_chain(const DiskLayers *layers, guint at, gboolean *ret_ends, GError **error) {
  const char *path = chain_layer(&layers->chain, at)->path;
  *ret_ends = at + 1 == layers->chain.disk->chain->len;
  if (*ret_ends || !layers->now->active)
    return TRUE;
  if (!volume_refresh_around(layers->context, path, NULL, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(layers->domain), path);
  if (!volume)
    return virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL || libvirt_fail(error, "cannot look up volume %s", path);
  g_auto(VolumeFacts) facts = { 0 };
  gboolean read = volume_facts(volume, &facts, error);
  *ret_ends = read && !facts.backing_path;
  return read;
}

/* QEMU flushes a disk before it goes over to a layer; nobody else has what it had. */
static gboolean check_covered(const DiskLayers *layers, const char *into, GError **error) {
  const DiskFactSpec *fact = disk_facts(layers->facts, layers->chain.disk->target);
  const char *name = layers->now->name;
  gboolean same = FALSE;
  return is_same_qemu(layers, &same, error) &&
         (same || act_refuse(error, "disk %s of domain %s was flattened, and %s may not hold all that was copied into it; a layer lies on it now. Nothing is "
                             "done to the disk until the file names again what lay beneath it, which is kept: %s'qemu-img rebase -u -b %s -F %s %s'",
                             fact->target, name, into, layers->now->active ? "shut the machine down, then " : "", fact->beneath ? fact->beneath : "FILE",
                             fact->beneathFormat ? fact->beneathFormat : "FORMAT", into));
}

gboolean pull_look(const DiskLayers *layers, gboolean *ret_unflushed, GError **error) {
  const ActualDisk *disk = layers->chain.disk;
  const DiskFactSpec *fact = disk_facts(layers->facts, disk->target);
  const char *into = given(fact, DiskFactSpec, pulledInto) ? fact->pulledInto : disk->path;
  int at = chain_find(&layers->chain, into);
  gboolean pulled = FALSE;
  if (at < 0)
    return act_stale(error, "%s isn't a layer of disk %s of domain %s any more", into, disk->target, layers->now->name);
  if (!ends_chain(layers, (guint)at, &pulled, error) || (pulled && at > 0 && !check_covered(layers, into, error)))
    return FALSE;
  *ret_unflushed = pulled && at == 0;
  return TRUE;
}

/* The snapshot's success says that the disk is flushed; nothing is written to its layer. */
static gboolean pull_and_flush(const ActionContext *context, const Action *action, virDomainPtr helper, gconstpointer data, GError **error) {
  const Pulled *pulled = data;
  const BlockJob job = { .kind = BLOCK_JOB_PULL, .target = pulled->target };
  if (!block_job_run(context, action, helper, &job, error))
    return FALSE;
  FAULT("layers: pulled again");
  return layer_put_on(helper, NULL, pulled->target, pulled->path, error);
}

#define NAME_AGAIN "Name it in the disk's file again ('qemu-img rebase -u -b FILE -F FORMAT %s'); where the disk is known to hold all, an empty file " \
                   "beside it ('qemu-img create -f qcow2 FILE %" G_GUINT64_FORMAT "')"

static gboolean check_pullable(const DiskLayers *layers, const DiskFactSpec *fact, GError **error) {
  const ActualDisk *disk = layers->chain.disk;
  const ActualVolume *file = chain_layer(&layers->chain, 0);
  const char *name = layers->now->name;
  gboolean covered = FALSE;
  if (g_strcmp0(file->format, "qcow2") != 0)
    return act_refuse(error, "disk %s of domain %s was flattened, and may not hold all that was copied into it; %s is %s now, and can't be that file: if it was "
                      "replaced, give it another name, and the disk that path", disk->target, name, disk->path, file->format ? file->format : "of unknown format");
  if (!given(fact, DiskFactSpec, beneath) || !given(fact, DiskFactSpec, beneathFormat))
    return act_refuse(error, "disk %s of domain %s was flattened, and may not hold all that was copied into it: what lay beneath isn't known any more. "
                      NAME_AGAIN, disk->target, name, disk->path, file->capacity);
  if (!volume_refresh_around(layers->context, fact->beneath, &covered, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(virDomainGetConnect(layers->domain), fact->beneath);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", fact->beneath);
  return volume || !covered || /* else the helper's start tells */
         act_refuse(error, "disk %s of domain %s was flattened, and may not hold all that was copied into it; %s, which lay beneath it, is gone: bring it back. "
                    NAME_AGAIN, disk->target, name, fact->beneath, disk->path, file->capacity);
}

static gboolean see_to(const ActionContext *context, const DiskFactSpec *fact, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  gboolean unflushed = FALSE, same = FALSE;
  if (!disk_layers_read(context, fact->target, &layers, error))
    return FALSE;
  if (disk_facts_elsewhere(fact, layers.chain.disk))
    return TRUE;
  if (!pull_look(&layers, &unflushed, error) || !is_same_qemu(&layers, &same, error))
    return FALSE;
  return unflushed ? same || check_pullable(&layers, fact, error) : pull_forget(&layers, error);
}

gboolean pull_check(const ActionContext *context, const char *target, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  g_autoptr(Ownership) record = domain ? act_record(domain, error) : NULL;
  const DiskFactSpec *fact = record ? disk_facts(&record->facts, target) : NULL;
  return record && (!fact || !given(fact, DiskFactSpec, flushing) || see_to(context, fact, error));
}

void pull_note_flushed(const ActionContext *context, virDomainPtr domain) {
  g_autoptr(Ownership) record = act_record(domain, NULL);
  for (guint i = 0; record && given(&record->facts, FactsSpec, disks) && i < record->facts.disks->len; i++) {
    const DiskFactSpec *fact = record->facts.disks->pdata[i];
    if (given(fact, DiskFactSpec, flushing))
      see_to(context, fact, NULL);
  }
}

gboolean pull_again(const DiskLayers *layers, const Action *action, GError **error) {
  const ActualDisk *disk = layers->chain.disk;
  const DiskFactSpec *fact = disk_facts(layers->facts, disk->target);
  if (!check_pullable(layers, fact, error))
    return FALSE;
  const Pulled pulled = { .target = disk->target, .path = fact->flushing };
  const OfflineDisk again = { .target = disk->target, .beneath = fact->beneath, .format = fact->beneathFormat };
  return offline_run(layers->context, action, layers->domain, &again, pull_and_flush, &pulled, error);
}
