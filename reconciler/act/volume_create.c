/* New volumes: blank ones, overlays, and full copies. An existing volume is never overwritten. */
#include "reconciler/act/volume.h"
#include "reconciler/act/volume_sync.h"
#include "state/fault.h"
#include "state/life_sign.h"

typedef struct {
  const char *pool, *volume, *format;
  const char *backing_path, *backing_format; /* NULL: none */
  const char *from;                          /* path of the volume to copy; NULL: none */
  const char *from_format;                   /* NULL: whatever it is */
  guint64 bytes;
} Wanted;

static gboolean read_arguments(const Action *action, Wanted *wanted, GError **error) {
  *wanted = (Wanted){
    .pool = act_need(action, "pool", error),
    .backing_path = act_arg(action, "backingPath"),
    .backing_format = act_arg(action, "backingFormat"),
    .from = act_arg(action, "from"),
  };
  return wanted->pool && (wanted->volume = act_need(action, "volume", error)) &&
         (wanted->format = act_need(action, "format", error)) &&
         act_arg_uint64(action, "bytes", &wanted->bytes, error);
}

/* Capacities are rounded up: to sectors in files, to extents in volume groups. */
static gboolean same_capacity(virStorageVolPtr volume, guint64 capacity, guint64 wanted) {
  virStorageVolInfo info;
  guint64 rounding = virStorageVolGetInfo(volume, &info) == 0 && info.type == VIR_STORAGE_VOL_BLOCK ? 64 << 20 : 512;
  return capacity >= wanted && capacity - wanted < rounding;
}

/* A volume of the name is there: done when it is the wanted one. */
static gboolean check_existing(virStorageVolPtr volume, const VolumeFacts *facts, const Wanted *wanted, GError **error) {
  g_autofree char *why = NULL;
  if (g_strcmp0(facts->format, wanted->format) != 0)
    why = g_strdup_printf("has format %s, not %s", facts->format ? facts->format : "unknown", wanted->format);
  else if (!same_capacity(volume, facts->capacity, wanted->bytes))
    why = g_strdup_printf("has %" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT, facts->capacity, wanted->bytes);
  else if (g_strcmp0(facts->backing_path, wanted->backing_path) != 0)
    why = g_strdup_printf("is based on %s, not on %s", facts->backing_path ? facts->backing_path : "nothing",
                          wanted->backing_path ? wanted->backing_path : "nothing");
  if (!why)
    return TRUE;
  return act_refuse(error, "there is a volume %s in storage pool %s already, and it %s; it is left alone",
                    wanted->volume, wanted->pool, why);
}

/* Who asked for it will write to it. */
static gboolean use_existing(const ActionContext *context, virStorageVolPtr volume, const VolumeFacts *facts, const Wanted *wanted, GError **error) {
  return check_existing(volume, facts, wanted, error) && volume_check_top(context, facts->path, error);
}

/* Creating failed: because of a file that libvirt didn't know, or half-way. What libvirt fails to make it takes back, so that what
 * is there isn't of our making, whatever libvirt says (of a volume group, only what lvcreate printed). */
static gboolean after_failure(const ActionContext *context, virStoragePoolPtr pool, const Wanted *wanted,
                              GError *failure, GError **error) {
  g_autoptr(GError) reason = failure;
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (!volume_find(context, pool, wanted->volume, TRUE, &volume, &facts, NULL) || !volume) {
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
  }
  if (use_existing(context, volume, &facts, wanted, error))
    return TRUE;
  g_prefix_error(error, "%s; ", reason->message);
  return FALSE;
}

gboolean act_volume_create(const ActionContext *context, const Action *action, GError **error) {
  Wanted wanted;
  if (!read_arguments(action, &wanted, error))
    return FALSE;
  g_autoptr(VirStoragePool) pool = volume_pool(context, wanted.pool, error);
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (!pool || !volume_find(context, pool, wanted.volume, FALSE, &volume, &facts, error))
    return FALSE;
  if (volume)
    return use_existing(context, volume, &facts, &wanted, error);

  GError *failure = NULL;
  volume = volume_make(pool, wanted.volume, wanted.format, wanted.bytes, wanted.backing_path, wanted.backing_format, 0, &failure);
  FAULT("volume: made");
  if (volume)
    return volume_facts(volume, &facts, error) && check_existing(volume, &facts, &wanted, error);
  return after_failure(context, pool, &wanted, failure, error);
}

/* Copies. libvirt makes them on the host, in one call that can't be interrupted; another
 * thread looks how far it has come, on a connection of its own (long_call.h). */

typedef struct {
  const ActionContext *context;
  const Action *action;
  const char *pool, *volume;
  guint64 total;
  int done; /* atomic */
} Watch;

static gpointer watch_copy(gpointer data) {
  Watch *watch = data;
  g_autoptr(Connection) alone = connection_new(connection_uri(watch->context->connection), FALSE);
  g_autoptr(VirStoragePool) pool = NULL;
  for (guint tick = 1; !g_atomic_int_get(&watch->done); tick++) {
    g_usleep(50000);
    if (tick % 10)
      continue;
    virConnectPtr handle = pool ? NULL : connection_get(alone, NULL); /* most copies have ended before it is needed */
    if (handle)
      pool = virStoragePoolLookupByName(handle, watch->pool);
    g_autoptr(VirStorageVol) volume = pool ? virStorageVolLookupByName(pool, watch->volume) : NULL;
    virStorageVolInfo info;
    if (volume && virStorageVolGetInfo(volume, &info) == 0)
      act_progress(watch->context, watch->action, MIN(info.allocation, watch->total), watch->total, "copying");
  }
  return NULL;
}

/* libvirt works on what it sees in a file, and a guest may write any header on a raw disk, also one that names another
 * machine's file. Of a block device it takes the bytes (storage_util.c), whatever it tells of them. */
gboolean volume_check_format(virStorageVolPtr volume, const VolumeFacts *seen, const char *format, const char *verb, GError **error) {
  virStorageVolInfo info;
  if (virStorageVolGetInfo(volume, &info) < 0)
    return libvirt_fail(error, "cannot read %s", seen->path);
  if (info.type == VIR_STORAGE_VOL_BLOCK)
    return !format || g_str_equal(format, "raw") ||
           act_refuse(error, "%s is a disk of format %s on a block device, and libvirt would %s it as if it were raw", seen->path, format, verb);
  const char *looks = g_strcmp0(seen->format, "iso") == 0 ? "raw" : seen->format;
  return !looks || !format || g_str_equal(looks, format) ||
         act_refuse(error, "%s is a disk of format %s, but its guest made it look like %s, and libvirt would %s it as that", seen->path, format,
                    looks, verb);
}

gboolean volume_copy_possible(const ActionContext *context, const char *from, const char *format, GError **error) {
  virConnectPtr handle = connection_get(context->connection, error);
  g_autoptr(VirStorageVol) volume = handle ? virStorageVolLookupByPath(handle, from) : NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (handle && !volume)
    return libvirt_fail(error, "cannot find volume %s", from);
  return handle && volume_facts(volume, &facts, error) && volume_check_format(volume, &facts, format, "copy", error);
}

static gboolean copy(const ActionContext *context, const Action *action, virStoragePoolPtr pool, const Wanted *wanted,
                     virStorageVolPtr source, gboolean *ret_made, GError **error) {
  g_auto(VolumeFacts) from = { 0 }, made = { 0 };
  g_autofree char *text = volume_text(pool, wanted->volume, wanted->format, wanted->bytes, NULL, NULL, 0, error);
  if (!text || !volume_facts(source, &from, error) || !volume_check_format(source, &from, wanted->from_format, "copy", error))
    return FALSE;
  if (from.capacity > wanted->bytes)
    return act_refuse(error, "volume %s would be smaller than what it is a copy of, %s", wanted->volume, wanted->from);
  Watch watch = {.context = context, .action = action, .pool = wanted->pool, .volume = wanted->volume, .total = from.physical};
  act_progress(context, action, 0, from.physical, "copying");
  GThread *watcher = g_thread_new("copy", watch_copy, &watch);
  g_autoptr(VirStorageVol) volume = LIFE_LONG(virStorageVolCreateXMLFrom(pool, text, source, 0));
  *ret_made = volume != NULL;
  gboolean fine = volume || libvirt_fail(error, "cannot copy %s to volume %s in storage pool %s",
                                         wanted->from, wanted->volume, wanted->pool);
  g_atomic_int_set(&watch.done, 1);
  g_thread_join(watcher);
  FAULT("copy: copied");
  if (!fine || !volume_facts(volume, &made, error))
    return FALSE;
  if (made.capacity < wanted->bytes && virStorageVolResize(volume, wanted->bytes, 0) < 0)
    return libvirt_fail(error, "cannot grow the copy %s", wanted->volume);
  FAULT("copy: grown");
  volume_facts_clear(&made);
  return volume_facts(volume, &made, error) && check_existing(volume, &made, wanted, error) && volume_sync(volume, wanted->format, error);
}

gboolean volume_copy(const ActionContext *context, const Action *action, const VolumeCopy *copied, GError **error) {
  const Wanted wanted = { .pool = copied->pool, .volume = copied->volume, .format = copied->format, .from = copied->from,
                          .from_format = copied->from_format,
                          .bytes = copied->bytes };
  g_autoptr(VirStoragePool) pool = volume_pool(context, wanted.pool, error);
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  gboolean half_made, made = FALSE;
  if (!pool || !volume_find(context, pool, wanted.volume, TRUE, &volume, &facts, error) ||
      !marker_find(context, pool, wanted.volume, &half_made, error))
    return FALSE;
  if (volume && !half_made)
    return use_existing(context, volume, &facts, &wanted, error);
  if (volume && !half_made_delete(context, volume, error))
    return FALSE;
  g_autoptr(VirStorageVol) source = virStorageVolLookupByPath(virStoragePoolGetConnect(pool), wanted.from);
  if (!source)
    return libvirt_fail(error, "cannot find what volume %s is to be a copy of, %s", wanted.volume, wanted.from);
  if (act_cancelled(context, error) || !marker_set(pool, wanted.volume, error))
    return FALSE;
  FAULT("copy: marked");
  if (copy(context, action, pool, &wanted, source, &made, error))
    return copied->keep_marker || marker_clear(pool, wanted.volume, error);
  half_made_remove(context, pool, wanted.volume, made, error ? *error : NULL);
  return FALSE;
}

gboolean act_volume_copy(const ActionContext *context, const Action *action, GError **error) {
  Wanted wanted;
  if (!read_arguments(action, &wanted, error) || !act_need(action, "from", error))
    return FALSE;
  const VolumeCopy copied = { wanted.pool, wanted.volume, wanted.format, wanted.from, NULL, wanted.bytes, .keep_marker = FALSE };
  return volume_copy(context, action, &copied, error);
}
