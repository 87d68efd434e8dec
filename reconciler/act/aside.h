/* Files of a machine that lie in no storage pool: UEFI variables, a kernel. libvirt reads and writes files of a host
 * through pools alone, so their directory becomes one as long as it is needed: transient, with a fixed name, so that one
 * that an ended run left is known. A pool that has the directory already is taken as it is. */
#pragma once
#include "reconciler/act/volume.h"

typedef struct {
  virStoragePoolPtr pool;
  gboolean open, own;
} Aside;

/* The pool with the file's directory on the context's host, its volumes known as they are now. One host at a time has one of
 * ours: another thread waits until that is closed. */
gboolean aside_open(const ActionContext *context, const char *path, Aside *ret_aside, GError **error);
void aside_close(Aside *aside);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Aside, aside_close)

/* The volume of a path, in whatever pool; where none has it, aside, which is left open then. Succeeds with NULL when there is none. */
gboolean aside_find(const ActionContext *context, const char *path, Aside *ret_aside, virStorageVolPtr *ret_volume, GError **error);
/* Ends what an ended run left on the host, as far as that works. */
void aside_sweep(const ActionContext *context);
