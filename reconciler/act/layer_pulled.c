#include "reconciler/act/layer_pulled.h"

#include "reconciler/act/block_job.h"
#include "reconciler/act/layer_flush.h"
#include "reconciler/act/offline.h"
#include "reconciler/plan/disk_facts.h"
#include "state/fault.h"
#include "state/pulled.h"

typedef struct {
  const char *target, *path, *beneath, *format; /* NULL but for target: none */
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
  const Pulled pulled = { .target = layers->chain.disk->target, .path = path, .beneath = beneath->path, .format = beneath->format };
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

gboolean pull_check_same_qemu(const DiskLayers *layers, GError **error) {
  const char *target = layers->chain.disk->target, *name = layers->now->name;
  g_autofree char *namespace = pulled_namespace(target);
  g_autofree char *note = virDomainGetMetadata(layers->domain, VIR_DOMAIN_METADATA_ELEMENT, namespace, VIR_DOMAIN_AFFECT_LIVE);
  if (!note && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA)
    return libvirt_fail(error, "cannot see whether domain %s was started anew since its disk %s was flattened", name, target);
  return note || act_refuse(error, "domain %s was started anew before it was certain that its disk %s holds all that was copied into it when it was "
                            "flattened: shut it down, so that the next run can see to that; what lay beneath the disk is kept until then", name, target);
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

gboolean pull_again(const DiskLayers *layers, const Action *action, GError **error) {
  const ActualDisk *disk = layers->chain.disk;
  const DiskFactSpec *fact = disk_facts(layers->facts, disk->target);
  if (!given(fact, DiskFactSpec, beneath) || !given(fact, DiskFactSpec, beneathFormat))
    return act_refuse(error, "disk %s of domain %s was flattened, and may not hold all that was copied into it: what lay beneath isn't known any more. "
                      "Name it in the disk's file again ('qemu-img rebase -u -b FILE -F FORMAT %s')", disk->target, layers->now->name, disk->path);
  const Pulled pulled = { .target = disk->target, .path = fact->flushing };
  const OfflineDisk again = { .target = disk->target, .beneath = fact->beneath, .format = fact->beneathFormat };
  return offline_run(layers->context, action, layers->domain, &again, pull_and_flush, &pulled, error);
}
