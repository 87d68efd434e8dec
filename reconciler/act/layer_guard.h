/* Whether layers of a disk may be merged or removed: looked at right before it is done. */
#pragma once
#include "reconciler/act/common.h"
#include "reconciler/plan/chain.h"

/* A disk of a machine as it is now. */
typedef struct {
  const ActionContext *context;
  virDomainPtr domain;
  ActualDomain *now;
  const FactsSpec *facts; /* of now */
  Chain chain;            /* of now, read to its end */
} DiskLayers;
void disk_layers_clear(DiskLayers *layers);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DiskLayers, disk_layers_clear)

/* Observes the context's domain anew; of a stopped one, after its pools have been refreshed. Refused where the chain can't be read to its end. */
gboolean disk_layers_read(const ActionContext *context, const char *target, DiskLayers *ret_layers, GError **error);
/* Each refuses with the reason. Indices are of the chain, the top layer is 0. */
gboolean layer_check_merge(const DiskLayers *layers, guint top, guint base, const char *snapshot, GError **error);
gboolean layer_check_flatten(const DiskLayers *layers, GError **error);
/* No snapshot or checkpoint has the disk, declared volumes stay: it may be another one, once the machine is off. */
gboolean layer_check_replace(const DiskLayers *layers, GError **error);
/* No block job of somebody else runs on the disk of a running machine. */
gboolean layer_check_job(const DiskLayers *layers, GError **error);
/* chain_depth, with all users asked for. */
gboolean layer_depth(const DiskLayers *layers, guint *ret_depth, GError **error);
