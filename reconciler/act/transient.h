/* Overlays of stateless disks (state/transient_disk.h) that QEMU's or the host's sudden death left behind: libvirt
 * refuses to start the machine while they are there. */
#pragma once
#include "reconciler/act/common.h"

/* For a machine that is off: removes those that are based on its stateless disks, as far as pools know them. What
 * they hold is what was to be dropped. */
gboolean transient_overlays_remove(const ActionContext *context, virDomainPtr domain, GError **error);
