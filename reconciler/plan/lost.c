#include "reconciler/plan/lost.h"

#include "state/base_volume.h"

/* What was deleted can be written to its place again, as long as it is the top layer: the copy is based on the same layers. */
static char *rescue(const ActualDomain *domain, const ActualDisk *disk) {
  if (g_strcmp0(disk->lost, disk->path) == 0)
    return g_strdup_printf("'virsh blockcopy %s %s %s --format %s --shallow --transient-job --wait --pivot'", domain->name, disk->target, disk->lost,
                           disk->format != NULL ? disk->format : "qcow2");
  return g_strdup_printf("all of the disk, to another file, with 'virsh blockcopy %s %s FILE --format qcow2 --transient-job --wait --pivot'", domain->name,
                         disk->target);
}

char *lost_text(const ActualDomain *domain) {
  for (guint i = 0; domain->active && domain->disks != NULL && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    if (disk->lost == NULL)
      continue;
    g_autofree char *how = rescue(domain, disk), *base = base_volume_digest(disk->lost);
    if (base != NULL)
      return g_strdup_printf("disk %s: its base image %s is gone: keep the machine running until an Image of that content has brought it back, or write "
                             "out %s", disk->target, disk->lost, how);
    return g_strdup_printf("disk %s: %s is gone, and what it holds is lost when the machine stops: keep it running, and write it out again: %s",
                           disk->target, disk->lost, how);
  }
  return NULL;
}
