#include "reconciler/plan/snapshot_rules.h"

#include <string.h>

#include "reconciler/plan/chain.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/facts.h"
#include "state/libvirt/reason.h"

const SnapshotFactSpec *snapshot_fact(const FactsSpec *facts, const char *name) {
  return facts_find(facts, FactsSpec_snapshots, name);
}

char *snapshot_obstacle(const ActualDomain *found) {
  if (!found->active && found->has_managed_save)
    return g_strdup("the machine is hibernated, and its saved memory belongs to the disks as they are: start it first");
  if (!given(&found->persistent, VmSpec, powerState) || (found->active && actual_is_starting(found)))
    return g_strdup_printf("the machine is %s: wait until that is over, or end it", power_state_word(found->state, found->has_managed_save));
  if (found->persistent.powerState == PowerState_paused && found->active && !actual_paused_by_choice(found)) {
    const char *reason = domain_reason_word(found->state, found->reason);
    return g_strdup_printf("the machine is paused (%s): mend that first", reason != NULL ? reason : "unknown reason");
  }
  for (guint i = 0; i < found->disks->len; i++) {
    const ActualDisk *disk = found->disks->pdata[i];
    const DiskFactSpec *fact = found->owner != NULL ? disk_facts(&found->owner->facts, disk->target) : NULL;
    gboolean ours = fact != NULL && given(fact, DiskFactSpec, leaving); /* of an interrupted run: it is taken up */
    if (disk->job != NULL && !ours)
      return g_strdup_printf("a block job (%s) works on disk %s: wait until it has ended", disk->job, disk->target);
  }
  return NULL;
}

static gboolean is_ephemeral(const VmSpec *declared, const char *target) {
  const DiskSpec *disk = vm_disk(declared, target);
  return disk != NULL && given(disk, DiskSpec, ephemeral) && disk->ephemeral;
}

/* Why a disk can have no layer of its own; NULL: it can. */
static const char *no_layer(const DiskSpec *disk) {
  if (disk_is_drive(disk))
    return "is a drive for media";
  if (given(disk, DiskSpec, readOnly) && disk->readOnly)
    return "is read-only";
  if (given(disk, DiskSpec, shareable) && disk->shareable)
    return "is shared with other machines, which would write on beneath the snapshot";
  if (given(disk, DiskSpec, stateless) && disk->stateless)
    return "is stateless: what the guest writes is dropped when it stops";
  return NULL;
}

static const char *no_file(const DiskSpec *disk) {
  if (!given(disk, DiskSpec, path))
    return "isn't a file";
  return g_str_has_prefix(disk->path, "/dev/") ? "is a block device, beside which there is no room for a layer" : NULL;
}

static gboolean is_wanted(char *const *wanted, const char *target) { return g_strv_contains((const char *const *)wanted, target); }

static char *check_external(const DiskSpec *disk, gboolean named, gboolean *ret_take) {
  const char *why = no_layer(disk);
  *ret_take = why == NULL;
  if (why != NULL)
    return named ? g_strdup_printf("disk %s %s: leave it out of the snapshot's disks", disk->target, why) : NULL;
  why = no_file(disk);
  return why != NULL ? g_strdup_printf("disk %s %s: name under the snapshot's disks those that shall be kept", disk->target, why) : NULL;
}

static char *check_internal(const DiskSpec *disk, char *const *wanted, gboolean *ret_take) {
  *ret_take = !disk_is_read_only(disk);
  if (!*ret_take)
    return NULL;
  if (wanted != NULL && !is_wanted(wanted, disk->target))
    return g_strdup_printf("an internal snapshot is of all disks that the guest can write, and %s is left out: use mode external", disk->target);
  const char *why = no_layer(disk);
  if (why != NULL)
    return g_strdup_printf("disk %s %s: use mode external and leave it out", disk->target, why);
  if (given(disk, DiskSpec, format) && disk->format == Format_qcow2)
    return NULL;
  return g_strdup_printf("disk %s is %s, which can't hold an internal snapshot: use mode external", disk->target,
                         given(disk, DiskSpec, format) ? Format_words.words[disk->format] : "of unknown format");
}

/* A word that no disk of the machine has. */
static char *check_names(const VmSpec *now, char *const *wanted) {
  for (guint i = 0; wanted != NULL && wanted[i] != NULL; i++)
    if (vm_disk(now, wanted[i]) == NULL)
      return g_strdup_printf("the machine has no disk %s", wanted[i]);
  return NULL;
}

GStrv snapshot_disks(const VmSpec *now, const VmSpec *declared, SnapshotMode mode, char *const *wanted, char **ret_error) {
  g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(g_free);
  char *error = check_names(now, wanted);
  for (guint i = 0; error == NULL && given(now, VmSpec, disks) && i < now->disks->len; i++) {
    const DiskSpec *disk = now->disks->pdata[i];
    gboolean take = FALSE, named = wanted != NULL && is_wanted(wanted, disk->target);
    if (mode == SnapshotMode_internal)
      error = check_internal(disk, wanted, &take);
    else if (wanted == NULL ? !is_ephemeral(declared, disk->target) : named)
      error = check_external(disk, named, &take);
    if (take && error == NULL)
      g_ptr_array_add(targets, g_strdup(disk->target));
  }
  if (error == NULL && targets->len == 0)
    error = g_strdup("it has no disk that a snapshot could be taken of");
  if (error != NULL) {
    *ret_error = error;
    return NULL;
  }
  g_ptr_array_add(targets, NULL);
  return (GStrv)g_ptr_array_free(g_steal_pointer(&targets), FALSE);
}

char *snapshot_layer_path(const char *vm, const char *target, const char *snapshot, const char *disk_path) {
  g_autofree char *directory = g_path_get_dirname(disk_path);
  g_autofree char *name = chain_layer_name(vm, target, snapshot);
  return g_strdup_printf("%s/%s", directory, name);
}

char *snapshot_memory_path(const char *vm, const char *snapshot, const char *disk_path) {
  g_autofree char *directory = g_path_get_dirname(disk_path);
  return g_strdup_printf("%s/%s.%s.memory", directory, vm, snapshot);
}

gboolean snapshot_is_memory_path(const char *path) { return g_str_has_suffix(path, ".memory"); }

Consistency snapshot_consistency(const ActualSnapshot *snapshot, Quiesce wanted) {
  if (snapshot->memory)
    return Consistency_memory;
  if (g_strcmp0(snapshot->state, "shutoff") == 0)
    return Consistency_stopped;
  return wanted == Quiesce_required ? Consistency_quiesced : Consistency_crash;
}

const char *consistency_phrase(Consistency consistency) {
  static const char *const phrases[Consistency_N] = {
      [Consistency_crash] = "crash-consistent: as after a power cut",
      [Consistency_quiesced] = "quiesced: the guest's file systems were frozen",
      [Consistency_stopped] = "stopped: the machine was off",
      [Consistency_memory] = "with memory: going back resumes the machine",
  };
  return phrases[consistency];
}

char *snapshot_whose(const SnapshotFactSpec *fact) {
  if (fact == NULL)
    return g_strdup("a person's");
  const char *origin = SnapshotOrigin_words.words[fact->origin];
  gboolean known = given(fact, SnapshotFactSpec, consistency);
  return g_strdup_printf("%s, %s", origin, known ? consistency_phrase((Consistency)fact->consistency) : "begun, not completed");
}
