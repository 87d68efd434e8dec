/* New volumes with an empty file system or swap space.
 *
 * The content is made here, in a file of this program's own, and sent through libvirt as raw. For another format
 * libvirt converts it from a volume NAME.filling, which goes afterwards. The marker (volume.h) stands for both. */
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
  FAULT("format: volume made");
  gboolean fine = volume && upload_file(context, action, volume, fd, wanted->bytes, NULL, error);
  close(fd);
  FAULT("format: filled");
  return fine;
}

static gboolean convert(virStoragePoolPtr pool, const char *filling, const Wanted *wanted, GError **error) {
  g_autoptr(VirStorageVol) from = virStorageVolLookupByName(pool, filling);
  g_autofree char *text = volume_text(pool, wanted->volume, wanted->format, wanted->bytes, NULL, NULL, 0, error);
  if (!text)
    return FALSE;
  g_autoptr(VirStorageVol) volume = from ? LIFE_LONG(virStorageVolCreateXMLFrom(pool, text, from, 0)) : NULL;
  if (!volume)
    return libvirt_fail(error, "cannot make volume %s in storage pool %s", wanted->volume, wanted->pool);
  FAULT("format: converted");
  return volume_delete(from, error);
}

static gboolean make(const ActionContext *context, const Action *action, virStoragePoolPtr pool, const Wanted *wanted, GError **error) {
  g_autofree char *filling = g_strconcat(wanted->volume, FILLING_SUFFIX, NULL);
  gboolean raw = g_str_equal(wanted->format, "raw");
  return fill(context, action, pool, raw ? wanted->volume : filling, wanted, error) && (raw || convert(pool, filling, wanted, error));
}

/* What an interrupted run, or a failure, left of a volume that has a marker. */
static gboolean remove_half_made(const ActionContext *context, virStoragePoolPtr pool, const char *name, GError **error) {
  g_autofree char *filling = g_strconcat(name, FILLING_SUFFIX, NULL);
  const char *const names[] = { filling, name };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(VirStorageVol) volume = NULL;
    if (!volume_find(context, pool, names[i], FALSE, &volume, NULL, error) || (volume && !half_made_delete(context, volume, error)))
      return FALSE;
  }
  return TRUE;
}

/* One without a marker isn't ours. */
static gboolean check_filling(const ActionContext *context, virStoragePoolPtr pool, const char *name, GError **error) {
  g_autofree char *filling = g_strconcat(name, FILLING_SUFFIX, NULL);
  g_autoptr(VirStorageVol) volume = NULL;
  if (!volume_find(context, pool, filling, FALSE, &volume, NULL, error))
    return FALSE;
  return !volume || act_refuse(error, "there is a volume %s in storage pool %s already; it is left alone", filling, virStoragePoolGetName(pool));
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
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean half_made;
  if (!pool || !volume_find(context, pool, wanted.volume, TRUE, &volume, NULL, error) ||
      !marker_find(context, pool, wanted.volume, &half_made, error))
    return FALSE;
  if (volume && !half_made)
    return act_refuse(error, "there is a volume %s in storage pool %s already; it is left alone", wanted.volume, wanted.pool);
  if (!half_made && !check_filling(context, pool, wanted.volume, error))
    return FALSE;
  if ((half_made && !remove_half_made(context, pool, wanted.volume, error)) || act_cancelled(context, error) ||
      !marker_set(pool, wanted.volume, error))
    return FALSE;
  FAULT("format: marked");
  if (make(context, action, pool, &wanted, error) && check_made(context, pool, &wanted, error))
    return marker_clear(pool, wanted.volume, error);
  if (remove_half_made(context, pool, wanted.volume, NULL))
    marker_clear(pool, wanted.volume, NULL);
  return FALSE;
}
