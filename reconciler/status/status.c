#include "reconciler/status/status.h"

#include "reconciler/plan/diff.h"
#include "reconciler/plan/lost.h"
#include "reconciler/plan/resolve.h"
#include "state/base_volume.h"
#include "state/job_text.h"
#include "state/libvirt/reason.h"

static char *power_text(const ActualDomain *domain) {
  const char *word = power_state_word(domain->state, domain->has_managed_save);
  const char *reason = domain_reason_word(domain->state, domain->reason);
  gboolean told = !reason || (domain->has_managed_save && !domain->active);
  g_autofree char *state = told ? g_strdup(word) : g_strdup_printf("%s (%s)", word, reason);
  if (!domain->job.operation)
    return g_steal_pointer(&state);
  return domain->job.total > 0 ? g_strdup_printf("%s, %s %u%%", state, domain->job.operation, job_percent(&domain->job))
                               : g_strdup_printf("%s, %s", state, domain->job.operation);
}

static char *state_text(const ActualDomain *domain, const Moving *moving) {
  g_autofree char *power = power_text(domain), *way = moving_text(moving);
  return way ? g_strdup_printf("%s, %s", power, way) : g_steal_pointer(&power);
}

/* The medium in a drive, when it is an image's: its file is named by its content. NULL: another, or none. */
static const char *medium_of(const VmSpec *vm, const char *target) {
  const DiskSpec *disk = vm ? vm_disk(vm, target) : NULL;
  g_autofree char *digest = disk && given(disk, DiskSpec, path) ? base_volume_digest(disk->path) : NULL;
  return digest ? disk->path : NULL;
}

/* The record doesn't say what an Image's content was. That of a disk which the machine has isn't asked for; in a drive, an
 * image's file counts as it; and what is gone is told with its name for a path. */
static void locate_images(VmSpec *vm, const ActualDomain *domain) {
  for (guint i = 0; given(vm, VmSpec, disks) && i < vm->disks->len; i++) {
    DiskSpec *disk = vm->disks->pdata[i];
    gboolean drive = disk_is_drive(disk);
    if (!given(disk, DiskSpec, image) || (!drive && vm_disk(&domain->persistent, disk->target)))
      continue;
    const char *defined = medium_of(&domain->persistent, disk->target), *medium = defined ? defined : medium_of(actual_live(domain), disk->target);
    disk->path = medium ? g_strdup(medium) : g_strdup_printf("Image %s", disk->image);
    set_given(disk, DiskSpec, path);
    if (!given(disk, DiskSpec, format)) {
      disk->format = drive ? Format_raw : Format_qcow2;
      set_given(disk, DiskSpec, format);
    }
  }
}

/* What was applied last, made concrete as the planner would: a disk by image has a path, say. */
static Object *applied_object(const Actual *actual, const ActualDomain *domain, char **ret_unknown) {
  g_autoptr(Object) declared = object_new(KIND_VIRTUAL_MACHINE, domain->name);
  spec_free(&VmSpec_table, declared->spec);
  declared->spec = spec_copy(&VmSpec_table, &domain->owner->spec);
  locate_images(declared->spec, domain);
  g_autoptr(Desired) nothing = desired_new();
  PlanInput input = {.desired = nothing, .actual = actual};
  g_autoptr(Resolved) resolved = resolve_vm(&input, declared, domain);
  if (resolved->error) {
    *ret_unknown = g_strdup(resolved->error);
    return NULL;
  }
  return g_steal_pointer(&resolved->desired);
}

static void compare(DomainStatus *status, const VmSpec *desired, const VmSpec *applied) {
  const ActualDomain *domain = status->domain;
  const DiffInput input = diff_input(desired, applied, domain);
  g_ptr_array_unref(status->changes);
  status->changes = diff_spec(&input);
  for (guint i = 0; i < status->changes->len; i++) {
    FieldChange *change = status->changes->pdata[i];
    if (change->pending)
      g_ptr_array_add(status->pending, change);
    if (domain->owner && (change->persistent || (change->live && !change->pending)))
      g_ptr_array_add(status->drift, change);
  }
}

/* Of a domain that isn't ours only what waits for a restart can be told. */
static void compare_all(DomainStatus *status, const Actual *actual) {
  const ActualDomain *domain = status->domain;
  if (domain->error || !domain->is_persistent)
    return;
  if (!domain->owner) {
    compare(status, &domain->persistent, NULL);
    return;
  }
  status->unknown = lost_text(domain);
  g_autoptr(Object) applied = status->unknown ? NULL : applied_object(actual, domain, &status->unknown);
  if (applied)
    compare(status, applied->spec, &domain->owner->spec);
}

static guint64 disk_bytes(const VmSpec *spec) {
  guint64 sum = 0;
  for (guint i = 0; given(spec, VmSpec, disks) && i < spec->disks->len; i++) {
    const DiskSpec *disk = spec->disks->pdata[i];
    sum += given(disk, DiskSpec, size) ? disk->size : 0;
  }
  return sum;
}

DomainStatus *domain_status_new(const Actual *actual, const ActualDomain *domain, const Fleet *fleet, const FleetHost *here) {
  DomainStatus *status = g_new0(DomainStatus, 1);
  status->domain = domain;
  status->now = actual_now(domain);
  status->moving = moving_of(domain, fleet, here);
  status->state = state_text(domain, &status->moving);
  status->changes = g_ptr_array_new();
  status->pending = g_ptr_array_new();
  status->drift = g_ptr_array_new();
  compare_all(status, actual);
  status->disk_bytes = disk_bytes(status->now);
  return status;
}

void domain_status_live(DomainStatus *status, const char *uri, GPtrArray *events) {
  status->events = events;
  status->life = life_of(events, uri);
  status->life.whole = status->life.whole && status->domain->active;
}

void domain_status_step(DomainStatus *status, const JournalAction *step) {
  status->step = g_strdup(step->description);
  status->step_since = step->started;
}

void domain_status_free(DomainStatus *status) {
  if (!status)
    return;
  g_free(status->state);
  g_free(status->step);
  g_ptr_array_unref(status->pending);
  g_ptr_array_unref(status->drift);
  g_ptr_array_unref(status->changes);
  g_clear_pointer(&status->events, g_ptr_array_unref);
  guest_facts_free(status->guest);
  g_free(status->unknown);
  g_free(status);
}
