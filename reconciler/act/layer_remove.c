#include "reconciler/act/layer_remove.h"

#include "reconciler/act/block_job.h"
#include "reconciler/act/image_lock.h"
#include "reconciler/act/left_layer.h"
#include "reconciler/act/offline.h"
#include "reconciler/act/volume.h"
#include "reconciler/plan/disk_facts.h"
#include "state/base_volume.h"
#include "state/fault.h"

static gboolean in_chain(const ActualDisk *disk, const char *path) {
  for (guint i = 0; disk && i < disk->chain->len; i++)
    if (g_strcmp0(((const ActualVolume *)disk->chain->pdata[i])->path, path) == 0)
      return TRUE;
  return disk && g_strcmp0(disk->path, path) == 0;
}

/* What runs or is defined needs it: any disk of the machine. */
static gboolean is_needed(const ActualDomain *now, const char *path) {
  const GPtrArray *sides[] = { now->disks, now->defined_disks };
  for (guint side = 0; side < G_N_ELEMENTS(sides); side++)
    for (guint i = 0; i < sides[side]->len; i++)
      if (in_chain(sides[side]->pdata[i], path))
        return TRUE;
  return FALSE;
}

gboolean end_helper(const ActionContext *context, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  return domain && offline_end(context, domain, error);
}

static gboolean check_not_switched(const ActionContext *context, virStorageVolPtr volume, GError **error) {
  g_auto(VolumeFacts) facts = { 0 };
  const LeftLayer layer = { .machine = context->object->name, .volume = volume, .facts = &facts };
  /* A QEMU that ended a merge while libvirtd was dead keeps what it merged open, to read, until it ends itself. */
  return image_use(volume) == IMAGE_OPEN || (volume_facts(volume, &facts, error) && left_layer_check_not_switched(&layer, error));
}

/* A file that can't be deleted stays, and that is said: the machine doesn't depend on it. `unknown`: nobody can have
 * built on it, so that only who certainly uses it counts. */
static gboolean remove_file(const ActionContext *context, virConnectPtr connect, const char *path, gboolean unknown, GError **error) {
  gboolean covered = FALSE;
  g_autofree char *digest = base_volume_digest(path), *what = NULL, *doubt = NULL;
  if (digest)
    return TRUE;
  if (!volume_refresh_around(context, path, &covered, error))
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  if (!volume && virGetLastErrorCode() != VIR_ERR_NO_STORAGE_VOL)
    return libvirt_fail(error, "cannot look up volume %s", path);
  if (!volume) {
    if (!covered)
      act_remark(context, "%s isn't needed any more; it stays, since it is in no active storage pool", path);
    return TRUE;
  }
  if (!volume_find_user(context, path, FALSE, &what, &doubt, error))
    return FALSE;
  if (what || (doubt && !unknown)) {
    act_remark(context, "%s isn't needed by this machine any more; it stays, since %s %s", path,
               what ? what : "it can't be told whether something else uses it:", what ? "uses it" : doubt);
    return TRUE;
  }
  if (!check_not_switched(context, volume, error) || !volume_delete(volume, error))
    return FALSE;
  FAULT("layers: volume deleted");
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByVolume(volume);
  return !pool || marker_clear(pool, virStorageVolGetName(volume), error);
}

static gboolean forget_layers(FactsSpec *facts, gconstpointer target) {
  const DiskFact none = { .target = target, .part = DiskFactSpec_leaving };
  return disk_facts_set(facts, &none);
}

gboolean layers_remove(const ActionContext *context, const char *target, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  const DiskFactSpec *fact = disk_facts(layers.facts, target);
  if (!fact || !given(fact, DiskFactSpec, leaving) || given(fact, DiskFactSpec, flushing))
    return TRUE;
  for (char **path = fact->leaving; path && *path; path++)
    if (!is_needed(layers.now, *path) && !remove_file(context, virDomainGetConnect(layers.domain), *path, FALSE, error))
      return FALSE;
  return act_change_facts(layers.domain, forget_layers, target, error);
}

gboolean left_remove(const DiskLayers *layers, const char *path, GError **error) {
  return is_needed(layers->now, path) || remove_file(layers->context, virDomainGetConnect(layers->domain), path, TRUE, error);
}

gboolean coming_remove(const ActionContext *context, const char *target, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  const DiskFactSpec *fact = disk_facts(layers.facts, target);
  if (!fact || !given(fact, DiskFactSpec, coming))
    return TRUE;
  if (!is_needed(layers.now, fact->coming) && !remove_file(context, virDomainGetConnect(layers.domain), fact->coming, TRUE, error))
    return FALSE;
  DiskFact none = { target, DiskFactSpec_coming, NULL };
  return act_change_facts(layers.domain, disk_facts_set, &none, error);
}

/* The retired volume, and what lies beneath it as long as it was made for this disk too. */
static GStrv retired_layers(virConnectPtr connect, const DiskLayers *layers, const char *retired, GError **error) {
  g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
  g_autofree char *path = g_strdup(retired);
  while (path) {
    g_strv_builder_add(paths, path);
    g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
    g_auto(VolumeFacts) facts = { 0 };
    if (volume && !volume_facts(volume, &facts, error))
      return NULL;
    g_free(path);
    path = facts.backing_path && chain_is_named_for(&layers->chain, facts.backing_path) ? g_strdup(facts.backing_path) : NULL;
  }
  return g_strv_builder_end(paths);
}

static gboolean retire(FactsSpec *facts, gconstpointer data) {
  const DiskFact *leaving = data;
  DiskFact none = { leaving->target, DiskFactSpec_retired, NULL };
  gboolean changed = disk_facts_leave(facts, leaving);
  return disk_facts_set(facts, &none) || changed;
}

gboolean retired_forget(const ActionContext *context, const char *target, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  const DiskFactSpec *fact = disk_facts(layers.facts, target);
  if (!fact || !given(fact, DiskFactSpec, retired) || !in_chain(actual_disk(layers.now->defined_disks, target), fact->retired))
    return TRUE;
  DiskFact none = { target, DiskFactSpec_retired, NULL };
  return act_change_facts(layers.domain, disk_facts_set, &none, error);
}

gboolean retired_remove(const ActionContext *context, const char *target, GError **error) {
  g_auto(DiskLayers) layers = { 0 };
  if (!disk_layers_read(context, target, &layers, error))
    return FALSE;
  const DiskFactSpec *fact = disk_facts(layers.facts, target);
  if (!fact || !given(fact, DiskFactSpec, retired))
    return TRUE;
  if (!layers.now->active) {
    act_remark(context, "%s, which disk %s was before, stays: domain %s doesn't run", fact->retired, target, layers.now->name);
    return TRUE;
  }
  if (is_needed(layers.now, fact->retired))
    return act_stale(error, "domain %s doesn't run without the old volume %s of disk %s", layers.now->name, fact->retired, target);
  g_auto(GStrv) paths = retired_layers(virDomainGetConnect(layers.domain), &layers, fact->retired, error);
  DiskFact leaving = { target, DiskFactSpec_leaving, (const char *const *)paths };
  return paths && act_change_facts(layers.domain, retire, &leaving, error) && layers_remove(context, target, error);
}
