/* Disks and their chains, as a domain's XML names them and as the volumes complete them. */
#pragma once
#include "state/actual.h"

/* The disks of a domain document: ActualDisk *. With `live`, chains are those of <backingStore>,
 * of layers that are added to `layers` (owner of ActualVolume *, capacity unknown). */
GPtrArray *disks_read(xmlNode *domain, gboolean live, GPtrArray *layers);

/* What only the volumes know, once they are all read: the path of a <disk type='volume'>,
 * and the chain: of a stopped machine's disk the volumes', of a running one's the XML's, with
 * a pool's volume for each layer that one has, and without layers that their files show to be passed over.
 * Volumes are of the same look as the domain, and read after it. */
void disk_resolve(ActualDisk *disk, const Actual *actual);

/* More layers than one on a base image: there is something to merge. */
gboolean disk_is_deep(const ActualDisk *disk);

/* Sets disks[].size and, for <disk type='volume'>, disks[].path of a spec. */
void disks_fill(const GPtrArray *disks, VmSpec *spec);
