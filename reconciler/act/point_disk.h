/* Letting a disk of the persistent definition name another file, and saying so in our record, in one
 * step: a definition is written as a whole, so that both are there after a crash, or neither. */
#pragma once
#include "reconciler/act/common.h"

typedef struct {
  const char *target;
  const char *from;        /* the path that the definition names now; else it is stale (unless it is `to`) */
  const char *to, *format; /* what it shall name */
  FactsChange change;      /* of our record, in the same step; may be NULL */
  gconstpointer data;
} DiskPointing;

/* A <disk type='volume'> stays one where `to` is a volume of a pool. What libvirt noted of the old file's
 * backing store goes. The running machine isn't touched. */
gboolean act_point_disk(const ActionContext *context, virDomainPtr domain, const DiskPointing *pointing, GError **error);
