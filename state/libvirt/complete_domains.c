/* What is known of a domain only when flags, states and volumes have been read. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <sys/stat.h>

#include "state/disk_chain.h"
#include "state/domain_facts.h"
#include "state/fault.h"
#include "state/libvirt/domain_reading.h"

enum { HANGS_SECONDS = 10 };

/* Then it matters to a plan why it is off: whether it failed. */
static gboolean is_to_run(const ActualDomain *domain) {
  const VmSpec *last = domain->owner ? &domain->owner->spec : NULL;
  return last && given(last, VmSpec, powerState) && last->powerState == PowerState_running;
}

static void complete_state(virDomainPtr handle, ActualDomain *domain) {
  if (!domain->active) {
    if (domain->state == VIR_DOMAIN_NOSTATE && is_to_run(domain))
      virDomainGetState(handle, &domain->state, &domain->reason, 0); /* else nobody knows why */
    domain->reason = domain->state == VIR_DOMAIN_SHUTOFF ? domain->reason : 0;
    domain->state = VIR_DOMAIN_SHUTOFF;
  } else if (domain->state == VIR_DOMAIN_NOSTATE && virDomainGetState(handle, &domain->state, &domain->reason, 0) < 0) {
    domain->error = g_strdup_printf("cannot read the state: %s", virGetLastErrorMessage());
  }
  g_autoptr(GError) error = NULL;
  if (domain->has_snapshots && !domain->error && !domain_read_snapshots(handle, domain, &error))
    domain->error = g_strdup(error->message);
}

/* One call for each that is hibernated. One that was started meanwhile is none any more. */
static void read_saved(virDomainPtr handle, ActualDomain *domain) {
  if (domain->active || !domain->has_managed_save)
    return;
  g_autoptr(GError) error = NULL;
  g_autofree char *saved = virDomainManagedSaveGetXMLDesc(handle, 0);
  if (!saved && (virGetLastErrorCode() == VIR_ERR_NO_SUPPORT || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN))
    return;
  if (!saved)
    libvirt_fail(&error, "cannot read its saved memory; if it is broken, discard it ('virsh managedsave-remove %s')", domain->name);
  if (!saved ? virDomainHasManagedSaveImage(handle, 0) != 0 : !domain_facts_read_saved(domain, saved, &error))
    domain->error = g_strdup(error->message);
}

/* libvirt would open it, and wait for somebody at the other end. */
static gboolean never_ends(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISFIFO(found.st_mode);
}

/* One call for each disk whose top layer no pool knows: one outside the pools, or an overlay
 * made behind their back. The file may give its size now, if it didn't before. */
static void complete_sizes(virDomainPtr handle, ActualDomain *domain, const Actual *actual) {
  for (guint i = 0; i < domain->disks->len; i++) {
    ActualDisk *disk = domain->disks->pdata[i];
    if (!domain_facts_lack_size(domain, disk))
      continue;
    if (actual->local && never_ends(disk->path)) {
      domain->error = g_strdup_printf("disk %s: %s is neither a file nor a block device", disk->target, disk->path);
      continue;
    }
    virDomainBlockInfo info;
    if (virDomainGetBlockInfo(handle, disk->target, &info, 0) == 0) {
      domain_facts_set_size(domain, disk, info.capacity);
      continue;
    }
    const virError *last = virGetLastError();
    gboolean absent = last && last->code == VIR_ERR_SYSTEM_ERROR && last->int1 == ENOENT;
    if (!absent && !domain->error && domain_manages_size(domain, disk->target))
      domain->error = g_strdup_printf("cannot read the size of disk %s: %s", disk->target, virGetLastErrorMessage());
  }
}

static const char *job_word(int type) {
  switch (type) {
  case VIR_DOMAIN_BLOCK_JOB_TYPE_PULL:
    return "pull";
  case VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT:
    return "commit";
  case VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP:
    return "backup";
  default:
    return "unknown";
  }
}

/* Jobs that don't mirror aren't in the live XML. A machine that can't tell has none that we need to know of:
 * who acts on the chain asks again. One that libvirt can't get at will not be acted on. */
static void complete_jobs(virDomainPtr handle, ActualDomain *domain) {
  for (guint i = 0; domain->active && i < domain->disks->len; i++) {
    ActualDisk *disk = domain->disks->pdata[i];
    virDomainBlockJobInfo info;
    if (disk->job || !disk_is_deep(disk))
      continue;
    int found = virDomainGetBlockJobInfo(handle, disk->target, &info, 0);
    if (found == 1)
      disk->job = g_strdup(job_word(info.type));
    g_autoptr(GError) error = NULL;
    if (found < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT && !libvirt_fail(&error, "cannot see whether a block job runs on disk %s", disk->target)) {
      domain->error = g_strdup(error->message);
      return;
    }
  }
}

/* As long as its QEMU hasn't answered somebody else, it wouldn't answer us. */
gboolean domain_hangs(virDomainPtr handle, ActualDomain *domain) {
  virDomainControlInfo info;
  if (virDomainGetControlInfo(handle, &info, 0) < 0 || info.state != VIR_DOMAIN_CONTROL_OCCUPIED ||
      info.stateTime < fault_patience(HANGS_SECONDS) * 1000)
    return FALSE;
  domain->error = g_strdup("its QEMU doesn't answer libvirt: it, or what its disks are on, hangs; nothing is done to it until it answers");
  return TRUE;
}

/* What only its QEMU knows. */
static gboolean asks_qemu(const ActualDomain *domain) {
  gboolean asks = FALSE;
  for (guint i = 0; domain->active && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    asks |= domain_facts_lack_size(domain, disk) || (!disk->job && disk_is_deep(disk));
  }
  return asks;
}

void domain_complete(virDomainPtr handle, ActualDomain *domain, const Actual *actual, gboolean storage) {
  if (domain->error)
    return;
  complete_state(handle, domain);
  if (storage && !domain->error)
    read_saved(handle, domain);
  if (storage && !domain->error) {
    domain_facts_resolve(domain, actual);
    if (asks_qemu(domain) && domain_hangs(handle, domain))
      return;
    complete_sizes(handle, domain, actual);
    complete_jobs(handle, domain);
    domain_find_lost(handle, domain, actual);
  }
  domain_facts_finish(domain, storage);
}

static void complete(gpointer data, gpointer item) {
  Reading *reading = data;
  DomainReading *each = item;
  domain_complete(each->handle, each->domain, reading->actual, reading->options->storage);
  g_clear_pointer(&each->handle, virDomainFree); /* here, where others do the same at the same time */
}

void read_domains_finish(Reading *reading) {
  for (guint i = 0; i < reading->domains->len; i++) {
    DomainReading *each = reading->domains->pdata[i];
    if (each->vanished)
      g_hash_table_remove(reading->actual->domains, each->domain->name);
    else
      work_push(reading->work, complete, reading, each);
  }
}
