/* Whether a new volume reads as the disk that it was copied from: what a guest would see of both, whatever their formats.
 *
 * libvirt has no call for it: qemu-img compares them where this program runs. Files of this host that are certainly
 * libvirt's (volume_file_open) are read where they are; all others are brought here first, into private files. */
#pragma once
#include "reconciler/act/layer_guard.h"

/* Whether it can be done at all: the tool is here, it knows the formats of the disk's layers, and there is room for what has
 * to be brought. */
gboolean content_check_possible(const DiskLayers *layers, GError **error);
/* Compares the disk, with all layers beneath, with the stand-alone volume at `path`. What the volume is larger must be
 * zero. Nobody may write to either meanwhile. */
gboolean content_check(const ActionContext *context, const Action *action, const DiskLayers *layers, const char *path, const char *format, GError **error);
