#include "reconciler/plan/granule.h"

enum { SECTOR = 512 };
static const guint64 largest_extent = 64u << 20;

/* The largest power of two that divides it. */
static guint64 divisor(guint64 number) { return number & (~number + 1); }

/* libvirt doesn't tell how large a volume group's extents are; but the group and each volume are whole ones. */
static guint64 extent_of(const ActualPool *pool, guint64 capacity) {
  guint64 extent = largest_extent;
  if (pool->capacity != 0)
    extent = MIN(extent, divisor(pool->capacity));
  return MIN(extent, divisor(capacity));
}

gboolean capacity_is_met(const Actual *actual, const char *path, guint64 wanted, guint64 capacity) {
  const ActualVolume *volume = path != NULL ? g_hash_table_lookup(actual->volumes_by_path, path) : NULL;
  const ActualPool *pool = volume != NULL ? g_hash_table_lookup(actual->pools, volume->pool) : NULL;
  gboolean group = pool != NULL && given(&pool->spec, StoragePoolSpec, type) && pool->spec.type == PoolType_logical;
  if (capacity < wanted)
    return FALSE;
  return capacity == wanted || capacity - wanted < (group ? extent_of(pool, capacity) : SECTOR);
}
