/* Layers of a machine's disk are merged, running or stopped, and their volumes are removed.
 *
 * The steps, each to be recognised from outside:
 *   1. our record names the layers that leave (facts.disks[].leaving);
 *   2. a block job, in the machine's own QEMU or in a helper's;
 *   3. the definition names the new top layer (when the top has changed; libvirt does it for what runs);
 *   … a flattened disk is flushed (layer_flush.h);
 *   4. the volumes of layers that no chain names any more are deleted, those of pools only;
 *   5. leaving is taken off the record.
 * Until 3, the old chain is whole and reads the same as the new one. A next run goes on at any of them:
 * the same call again, or disk-settle where nothing is wanted any more. */
#pragma once
#include "reconciler/act/common.h"

typedef struct {
  const char *target;
  const char *top;      /* path of the uppermost layer that goes */
  const char *base;     /* path of the layer that takes up what it and those between hold */
  const char *snapshot; /* libvirt's snapshot whose layer this is and that goes too; NULL: none */
  guint64 bandwidth;    /* bytes per second; 0: unlimited */
} LayerMerge;

/* Refused, with the reason and nothing changed, when the base is an image (sha256-…), when another overlay
 * in any pool or another domain uses base or a layer that goes, when another snapshot than `snapshot`
 * needs one of the boundaries between them, when an internal snapshot is kept in a layer that goes, or
 * when somebody else's block job runs on the disk. The snapshot's metadata is the caller's matter, and
 * is to be removed after. Already merged: only what is left to do is done. */
gboolean layer_merge(const ActionContext *context, const Action *action, const LayerMerge *merge, GError **error);

/* The disk of a running machine becomes stand-alone: all below its top layer is pulled into it. Then the
 * layers that were this machine's alone are removed. Refused when a snapshot needs one of them. */
gboolean layer_flatten(const ActionContext *context, const Action *action, const char *target, guint64 bandwidth, GError **error);
