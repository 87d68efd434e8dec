/* Layers of a disk's chain: whose they are, and which snapshots hold them. Pure. Layers are counted from the
 * top, which is 0. */
#pragma once
#include "state/actual.h"

/* A machine's disk, and how it is declared. */
typedef struct {
  const ActualDomain *domain;
  const ActualDisk *disk;
  const DiskSpec *declared; /* as the file says; NULL: not at all */
} Chain;

const ActualVolume *chain_layer(const Chain *chain, guint i);
int chain_find(const Chain *chain, const char *path); /* -1: it isn't in the chain */

/* The snapshot that a layer was made for: what it holds is what lies beneath the layer. NULL: none. */
const ActualSnapshot *chain_snapshot(const Chain *chain, const char *layer_path);
/* Some snapshot of the machine is kept within a file of this disk; NULL: none. */
const ActualSnapshot *chain_internal_snapshot(const Chain *chain);

/* The file or volume that the declaration names: it stays in the chain, or the disk would be another one. */
gboolean chain_is_declared(const Chain *chain, guint i);
/* Made for this disk of this machine: named VM-TARGET.…, or by a snapshot of it. Only such files are deleted. */
gboolean chain_is_made_for(const Chain *chain, guint i);
gboolean chain_is_named_for(const Chain *chain, const char *path); /* the same for a file that may have left the chain */
/* "VM-TARGET.WHAT.qcow2": WHAT is a snapshot, or the request for going back to one. Free it. */
char *chain_layer_name(const char *vm, const char *target, const char *what);

/* How many layers, from the top, are this disk's alone: its depth. What follows is the base: an image, a file
 * that others use too, or one that wasn't made for this disk. `is_shared`: whether another disk, another
 * machine or another overlay than the layer above uses the layer. FALSE: it failed, and *ret_depth is unset. */
typedef gboolean (*ChainShared)(gpointer data, const Chain *chain, guint i, gboolean *ret_shared);
gboolean chain_depth(const Chain *chain, ChainShared is_shared, gpointer data, guint *ret_depth);
