/* A layer that an interrupted run left, in no chain as libvirt knows them. libvirtd may have died at the moment when QEMU went over
 * to it: then libvirt doesn't know that, and what the guest wrote since is in it alone. Looked at before it is deleted. */
#pragma once
#include "reconciler/act/volume.h"

typedef struct {
  const char *machine;
  virStorageVolPtr volume;
  const VolumeFacts *facts; /* of it, read just now */
} LeftLayer;

/* Nobody has it open. One of which that can't be told holds more than its size, or is no file. */
gboolean left_layer_check_closed(const LeftLayer *layer, GError **error);
/* No QEMU is on it: by its locks, or where those can't be seen, on other hosts, by nobody's having it open for writing. */
gboolean left_layer_check_not_switched(const LeftLayer *layer, GError **error);
/* No guest has ever written to it. */
gboolean left_layer_check_empty(const LeftLayer *layer, GError **error);
