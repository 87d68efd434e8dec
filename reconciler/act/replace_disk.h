/* A disk of a stopped machine is replaced by a new volume with the same content: made beside, verified,
 * switched to; the old one is kept until the machine has run on the new one.
 *
 * The steps, each to be recognised from outside:
 *   1. our record names the volume that is made (facts.disks[].coming);
 *   2. the volume is made, with a marker beside it until it is complete (volume.h); where
 *      the format is another one, its content is compared with the disk's (content_check.h);
 *   3. in one write of the definition: the disk names the new volume, the record has the old path as
 *      `retired` and no `coming`;
 *   4. once the machine runs with the new volume, the retired one and the layers below it that nobody
 *      else uses are deleted, and `retired` goes (disk-settle; plan/settle.c plans it).
 * What an interrupted run made until 3 is thrown away and made anew: the machine may have written since. */
#pragma once
#include "reconciler/act/common.h"

typedef struct {
  const char *target;
  const char *pool, *volume, *format; /* of the new volume, which must not exist */
  guint64 bytes;                      /* its capacity: not less than now */
} DiskReplacement;
/* FALSE: an argument of the action is missing. */
gboolean replace_read(const Action *action, DiskReplacement *ret_replacement, GError **error);

/* Refused when the machine runs or is hibernated, when a snapshot of it has the disk, or when the old one of
 * the last replacement is still kept. */
gboolean replace_disk(const ActionContext *context, const Action *action, const DiskReplacement *replacement, GError **error);
/* The same as far as it can be told before the machine is off. */
gboolean replace_check(const ActionContext *context, const DiskReplacement *replacement, GError **error);
