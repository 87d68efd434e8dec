/* What `reconcile status --disks` tells: of each disk its layers, and who else uses them. */
#pragma once
#include <jansson.h>
#include "reconciler/report/report.h"
#include "state/volume_users.h"

/* `domains`: of const ActualDomain *, a part of what `users` was made from. */
void status_append_disks(GString *out, const GPtrArray *domains, const VolumeUsers *users, const ReportView *view);
json_t *status_disks_json(const Actual *actual, const GPtrArray *domains, const VolumeUsers *users);

/* Layers of a disk, top first: const ActualVolume *. Where nobody could read the file that the chain goes on with:
 * ret_unknown is its path (borrowed), else NULL. */
GPtrArray *disk_layers(const ActualDisk *disk, const VolumeUsers *users, const char **ret_unknown);
/* Layers that the machine's snapshots need and that none of its disks has, such as those of before a revert: const
 * char * paths, borrowed. */
GPtrArray *disk_branches(const ActualDomain *domain, const VolumeUsers *users);
/* Who uses a layer besides the disk's own chain, in words, each once: char *. */
GPtrArray *layer_other_users(const char *path, const ActualDomain *domain, const char *target, const VolumeUsers *users);
