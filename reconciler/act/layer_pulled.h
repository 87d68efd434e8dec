/* What a pull leaves to be known until it is flushed (layer_flush.h). If QEMU died before that, the disk's file says that
 * nothing lies beneath it, and doesn't hold what was copied into it: then what lay beneath is needed still. A QEMU that ended
 * orderly has written all. The file tells neither from the other, nor does libvirt for long, so both are taken alike: in a
 * helper that is told what lay beneath, all is pulled again that isn't in the file (mostly nothing), and flushed.
 *
 * Which QEMU it was that pulled stands in the machine's live metadata, which ends with it. One that was started since on what
 * may be half a disk isn't asked to flush that: it has to be shut down first. */
#pragma once
#include "reconciler/act/layer_guard.h"

/* Before the pull: in our record where the flush's layer will be and what lies beneath the disk, and in the machine that its QEMU pulls. */
gboolean pull_note(const DiskLayers *layers, const char *path, GError **error);
/* It is flushed, or it was never pulled. */
gboolean pull_forget(const DiskLayers *layers, GError **error);
/* Whether the disk's file isn't flushed for certain. It is the file that counts: what somebody put on it since says nothing about
 * it, unless the QEMU that pulled did so. Where that can't be told: refused, and nothing changed. */
gboolean pull_look(const DiskLayers *layers, gboolean *ret_unflushed, GError **error);
/* Refused where it isn't the machine's present QEMU that pulled. */
gboolean pull_check_same_qemu(const DiskLayers *layers, GError **error);
/* Before the machine is stopped, which takes away who pulled: what is flushed for certain is noted so. Refused if the disk couldn't be
 * seen to while the machine is off. */
gboolean pull_check(const ActionContext *context, const char *target, GError **error);
/* The note alone, of all disks. Best effort: what isn't noted is pulled again. */
void pull_note_flushed(const ActionContext *context, virDomainPtr domain);
/* Of a machine that is off. Leaves the flush's layer behind, empty and not in use. */
gboolean pull_again(const DiskLayers *layers, const Action *action, GError **error);
