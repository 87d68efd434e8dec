/* New volumes with an empty file system or swap space.
 *
 * The content is made here, in a file of this program's own, and sent through libvirt as raw. For another format
 * libvirt converts it from a volume NAME.filling, which goes afterwards. Each has a marker (volume.h). */
#include <unistd.h>
#include "reconciler/act/mkfs.h"
#include "reconciler/act/upload.h"
#include "reconciler/act/volume.h"
#include "schema/value.h"
#include "state/fault.h"
#include "state/life_sign.h"

#define FILLING_SUFFIX ".filling"

typedef struct {
  const char *pool, *volume, *format, *label; /* label NULL: none */
  guint64 bytes;
  DiskFilesystem filesystem;
} Wanted;

static gboolean read_arguments(const Action *action, Wanted *wanted, GError **error) {
  *wanted = (Wanted){ .pool = act_need(action, "pool", error), .label = act_arg(action, "label") };
  const char *word = NULL;
  if (!wanted->pool || !(wanted->volume = act_need(action, "volume", error)) || !(wanted->format = act_need(action, "format", error)) ||
      !act_arg_uint64(action, "bytes", &wanted->bytes, error) || !(word = act_need(action, "filesystem", error)))
    return FALSE;
  int filesystem = enum_find(DiskFilesystem_words.words, word);
  wanted->filesystem = filesystem;
  return filesystem >= 0 || act_fail(error, "the plan's argument filesystem=%s isn't known", word);
}

static gboolean fill(const ActionContext *context, const Action *action, virStoragePoolPtr pool, const char *name, const Wanted *wanted,
                     GError **error) {
  int fd = mkfs_file(wanted->filesystem, wanted->label, wanted->bytes, error);
  if (fd < 0)
    return FALSE;
  g_autoptr(VirStorageVol) volume = volume_make(pool, name, "raw", wanted->bytes, NULL, NULL, 0, error);
  if (!volume)
    half_made_remove(context, pool, name, FALSE, error ? *error : NULL);
  FAULT("format: volume made");
  gboolean fine = volume && upload_file(context, action, volume, fd, wanted->bytes, NULL, error);
  close(fd);
  FAULT("format: filled");
  return fine;
}

static gboolean convert(const ActionContext *context, virStoragePoolPtr pool, const char *filling, const Wanted *wanted, GError **error) {
  g_autoptr(VirStorageVol) from = virStorageVolLookupByName(pool, filling);
  g_autofree char *text = volume_text(pool, wanted->volume, wanted->format, wanted->bytes, NULL, NULL, 0, error);
  if (!text)
    return FALSE;
  g_autoptr(VirStorageVol) volume = from ? LIFE_LONG(virStorageVolCreateXMLFrom(pool, text, from, 0)) : NULL;
  if (!volume) {
    libvirt_fail(error, "cannot make volume %s in storage pool %s", wanted->volume, wanted->pool);
    half_made_remove(context, pool, wanted->volume, FALSE, error ? *error : NULL);
    return FALSE;
  }
  FAULT("format: converted");
  return volume_delete(from, error) && marker_clear(pool, filling, error);
}

static gboolean make(const ActionContext *context, const Action *action, virStoragePoolPtr pool, const Wanted *wanted, GError **error) {
  g_autofree char *filling = g_strconcat(wanted->volume, FILLING_SUFFIX, NULL);
  gboolean raw = g_str_equal(wanted->format, "raw");
  return fill(context, action, pool, raw ? wanted->volume : filling, wanted, error) && (raw || convert(context, pool, filling, wanted, error));
}

/* What an interrupted run, or a failure, left. */
static gboolean remove_half_made(const ActionContext *context, virStoragePoolPtr pool, const Wanted *wanted, GError **error) {
  g_autofree char *filling = g_strconcat(wanted->volume, FILLING_SUFFIX, NULL);
  return half_made_clear(context, pool, filling, error) && half_made_clear(context, pool, wanted->volume, error);
}

/* One without a marker isn't ours. */
static gboolean check_free(const ActionContext *context, virStoragePoolPtr pool, const char *name, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  if (!volume_find(context, pool, name, FALSE, &volume, NULL, error))
    return FALSE;
  return !volume || act_refuse(error, "there is a volume %s in storage pool %s already; it is left alone", name, virStoragePoolGetName(pool));
}

static gboolean make_room(const ActionContext *context, virStoragePoolPtr pool, const Wanted *wanted, GError **error) {
  g_autofree char *filling = g_strconcat(wanted->volume, FILLING_SUFFIX, NULL);
  return remove_half_made(context, pool, wanted, error) && check_free(context, pool, wanted->volume, error) && check_free(context, pool, filling, error) &&
         !act_cancelled(context, error) && marker_set(pool, wanted->volume, error) &&
         (g_str_equal(wanted->format, "raw") || marker_set(pool, filling, error));
}

static gboolean check_made(const ActionContext *context, virStoragePoolPtr pool, const Wanted *wanted, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  if (!volume_find(context, pool, wanted->volume, TRUE, &volume, &facts, error))
    return FALSE;
  if (volume && g_strcmp0(facts.format, wanted->format) == 0 && facts.capacity >= wanted->bytes && !facts.backing_path)
    return TRUE;
  return act_fail(error, "volume %s in storage pool %s isn't what was made: %s of %" G_GUINT64_FORMAT " bytes", wanted->volume, wanted->pool,
                  volume && facts.format ? facts.format : "missing", facts.capacity);
}

gboolean act_volume_format(const ActionContext *context, const Action *action, GError **error) {
  Wanted wanted;
  if (!read_arguments(action, &wanted, error))
    return FALSE;
  g_autoptr(VirStoragePool) pool = volume_pool(context, wanted.pool, error);
  if (!pool || !make_room(context, pool, &wanted, error))
    return FALSE;
  FAULT("format: marked");
  if (make(context, action, pool, &wanted, error) && check_made(context, pool, &wanted, error))
    return marker_clear(pool, wanted.volume, error);
  remove_half_made(context, pool, &wanted, NULL);
  return FALSE;
}
