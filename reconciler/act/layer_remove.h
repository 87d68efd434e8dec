/* Files that a disk needed and needs no more: layers that were merged, volumes that were replaced or that were
 * to replace one. Which these are stands in our record; each is deleted only when no chain of the machine has
 * it, it isn't a base image, and nobody else uses it. */
#pragma once
#include "reconciler/act/layer_guard.h"

/* Deletes the layers that are noted as leaving and have left, and takes them off the record. As long as the disk that they were
 * pulled into isn't flushed it does nothing: layer_flush comes first, then disk-settle removes them. */
gboolean layers_remove(const ActionContext *context, const char *target, GError **error);
/* Deletes a file that was made for the disk, and that no chain of the machine has. */
gboolean left_remove(const DiskLayers *layers, const char *path, GError **error);
/* Deletes the volume that was to replace the disk, unless it does already, and takes it off the record. */
gboolean coming_remove(const ActionContext *context, const char *target, GError **error);
/* Forgets that the disk was replaced, where a person made it the old volume again. */
gboolean retired_forget(const ActionContext *context, const char *target, GError **error);
/* Once the machine runs with another volume: the old one leaves, with the layers beneath it that are its alone. */
gboolean retired_remove(const ActionContext *context, const char *target, GError **error);
/* Ends a helper that an interrupted run left behind. */
gboolean end_helper(const ActionContext *context, GError **error);
