/* Base images, uploaded into a pool: marked as incomplete until their digest and size are
 * verified (see volume.h). They are made read-only where the daemon can write to a read-only
 * file, which root can: 0444, so that QEMU's own user can read them. A daemon of an ordinary
 * user (qemu:///session) can't, so there they are made 0600, and read-only afterwards where the
 * file is on this host. What is made for cloud-init may hold secrets: 0400, and libvirt gives it to QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reconciler/act/base.h"
#include "reconciler/act/image_fetch.h"
#include "reconciler/act/upload.h"
#include "reconciler/act/volume_sync.h"
#include "reconciler/image/fetch.h"
#include "reconciler/image/seed.h"
#include "schema/digest.h"
#include "state/fault.h"

typedef struct {
  const char *pool, *volume, *source, *sha256, *format;
  guint64 bytes;
  char *fetched; /* the file that a URL was fetched to; NULL: source is a file */
  gboolean made; /* of the declaration (reconciler/image/seed.h): it may hold secrets */
  int fd;
} Image;

static void image_clear(Image *image) {
  g_free(image->fetched);
  if (image->fd >= 0)
    close(image->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Image, image_clear)

static gboolean read_arguments(const Action *action, Image *image, GError **error) {
  return (image->pool = act_need(action, "pool", error)) && (image->volume = act_need(action, "volume", error)) &&
         (image->source = act_need(action, "source", error)) && (image->sha256 = act_need(action, "sha256", error)) &&
         (image->made = act_arg(action, "made") != NULL, image->format = act_need(action, "format", error)) && act_arg_uint64(action, "bytes", &image->bytes, error);
}

/* The start of a qcow2 file, big-endian: docs/interop/qcow2.txt of QEMU. */
#define QCOW2_MAGIC 0x514649fb
#define QCOW2_HEADER 104
#define INCOMPATIBLE_EXTERNAL_DATA (1u << 2)

static guint64 big_endian(const guchar *at, guint length) {
  guint64 value = 0;
  for (guint i = 0; i < length; i++)
    value = value << 8 | at[i];
  return value;
}

/* Other files that the image refers to would be read on the host in its name. */
static gboolean check_header(const Image *image, GError **error) {
  guchar header[QCOW2_HEADER] = { 0 };
  if (pread(image->fd, header, sizeof header, 0) < 0)
    return act_fail(error, "cannot read image %s: %s", image->source, g_strerror(errno));
  gboolean qcow2 = big_endian(header, 4) == QCOW2_MAGIC;
  if (qcow2 != g_str_equal(image->format, "qcow2"))
    return act_refuse(error, "image %s isn't of format %s", image->source, image->format);
  if (!qcow2)
    return TRUE;
  if (big_endian(header + 8, 8) != 0)
    return act_refuse(error, "image %s has a backing file of its own; flatten it with qemu-img convert", image->source);
  if (big_endian(header + 4, 4) >= 3 && big_endian(header + 72, 8) & INCOMPATIBLE_EXTERNAL_DATA)
    return act_refuse(error, "image %s keeps its data in another file; flatten it with qemu-img convert", image->source);
  return TRUE;
}

static gboolean write_all(int fd, const char *bytes, gsize size) {
  for (gsize at = 0; at < size;) {
    ssize_t wrote = write(fd, bytes + at, size - at);
    if (wrote < 0 && errno != EINTR)
      return FALSE;
    at += wrote > 0 ? (gsize)wrote : 0;
  }
  return lseek(fd, 0, SEEK_SET) == 0;
}

/* Made again, in memory only. A saved plan has no secrets, so that it can't be. */
static gboolean open_made(const ActionContext *context, Image *image, GError **error) {
  const ImageSpec *spec = context->object->desired->spec;
  g_autoptr(GBytes) seed = seed_build(&spec->cloudInit, error);
  if (!seed)
    return FALSE;
  gsize size;
  const char *bytes = g_bytes_get_data(seed, &size);
  g_autoptr(Digest) digest = digest_new();
  digest_update(digest, bytes, size);
  g_autofree char *sha256 = digest_hex(digest);
  if (!g_str_equal(sha256, image->sha256))
    return act_refuse(error, "what the medium is made of isn't in a saved plan, where secrets are left out: apply from the source");
  image->fd = memfd_create("seed", MFD_CLOEXEC);
  return (image->fd >= 0 && write_all(image->fd, bytes, size)) ||
         act_fail(error, "cannot make the medium for cloud-init: %s", g_strerror(errno));
}

static gboolean open_image(const ActionContext *context, Image *image, GError **error) {
  struct stat status;
  if (image->made)
    return open_made(context, image, error);
  image->fd = open(image->fetched ? image->fetched : image->source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (image->fd < 0 || fstat(image->fd, &status) < 0)
    return act_stale(error, "cannot read image %s: %s", image->source, g_strerror(errno));
  if (!S_ISREG(status.st_mode))
    return act_refuse(error, "image %s isn't a file", image->source);
  if ((guint64)status.st_size != image->bytes)
    return act_stale(error, "image %s has %" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT " as planned",
                     image->source, (guint64)status.st_size, image->bytes);
  return check_header(image, error);
}

/* A raw volume of the file's size, whatever its format: the content brings that. */
static virStorageVolPtr create(virStoragePoolPtr pool, const Image *image, guint mode, GError **error) {
  return volume_make(pool, image->volume, "raw", image->bytes, NULL, NULL, mode, error);
}

/* Whether the daemon itself can write to it, which shows without sending anything. */
static gboolean daemon_can_write(virStorageVolPtr volume) {
  g_autoptr(VirStream) stream = virStreamNew(virStorageVolGetConnect(volume), 0);
  if (!stream || virStorageVolUpload(volume, stream, 0, 0, 0) < 0)
    return FALSE;
  virStreamAbort(stream);
  return TRUE;
}

/* ret_made: there is one that this call made; also where it fails. */
static virStorageVolPtr create_writable(virStoragePoolPtr pool, const Image *image, gboolean *ret_made, GError **error) {
  g_autoptr(VirStorageVol) volume = create(pool, image, image->made ? 0400 : 0444, error);
  *ret_made = volume != NULL;
  if (!volume || daemon_can_write(volume))
    return g_steal_pointer(&volume);
  if (!volume_delete(volume, error))
    return NULL;
  virStorageVolPtr again = create(pool, image, 0600, error);
  *ret_made = again != NULL;
  return again;
}

static gboolean transfer(const ActionContext *context, const Action *action, virStoragePoolPtr pool, const Image *image, gboolean *ret_made,
                         GError **error) {
  g_autoptr(VirStorageVol) volume = create_writable(pool, image, ret_made, error);
  g_autofree char *sha256 = NULL;
  if (!volume)
    return FALSE;
  FAULT("image: volume made");
  if (!upload_file(context, action, volume, image->fd, image->bytes, &sha256, error)) {
    g_prefix_error(error, "volume %s in storage pool %s: ", image->volume, image->pool);
    return FALSE;
  }
  FAULT("image: uploaded");
  if (!g_str_equal(sha256, image->sha256))
    return act_fail(error, "image %s has the SHA-256 digest %s, not %s: it isn't the file that was asked for",
                    image->source, sha256, image->sha256);
  return TRUE;
}

/* After a refresh, libvirt has looked at the content. */
static gboolean verify(const ActionContext *context, virStoragePoolPtr pool, const Image *image, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  g_auto(VolumeFacts) facts = { 0 };
  virStorageVolInfo info;
  if (!volume_find(context, pool, image->volume, TRUE, &volume, &facts, error))
    return FALSE;
  if (!volume)
    return act_fail(error, "volume %s was uploaded but isn't there", image->volume);
  if (virStorageVolGetInfoFlags(volume, &info, VIR_STORAGE_VOL_GET_PHYSICAL) < 0)
    return libvirt_fail(error, "cannot read volume %s", image->volume);
  gboolean fits = info.type == VIR_STORAGE_VOL_BLOCK ? info.allocation >= image->bytes : info.allocation == image->bytes;
  if (!fits)
    return act_fail(error, "volume %s was uploaded but has %llu bytes, not %" G_GUINT64_FORMAT,
                    image->volume, info.allocation, image->bytes);
  /* libvirt's word for what has an ISO 9660 file system; it is read as it is. */
  gboolean medium = g_strcmp0(facts.format, "iso") == 0 && g_str_equal(image->format, "raw");
  if (info.type == VIR_STORAGE_VOL_FILE && !medium && g_strcmp0(facts.format, image->format) != 0)
    return act_refuse(error, "image %s is of format %s, not %s", image->source, facts.format, image->format);
  if (facts.backing_path)
    return act_refuse(error, "image %s has a backing file, %s", image->source, facts.backing_path);
  return TRUE;
}

/* A volume without marker is complete. Its name says its digest, but its size can be compared. */
static gboolean check_existing(virStorageVolPtr volume, const Image *image, GError **error) {
  virStorageVolInfo info;
  if (virStorageVolGetInfoFlags(volume, &info, VIR_STORAGE_VOL_GET_PHYSICAL) < 0)
    return libvirt_fail(error, "cannot read volume %s", image->volume);
  if (info.type == VIR_STORAGE_VOL_BLOCK || info.allocation == image->bytes)
    return TRUE;
  return act_refuse(error, "there is a volume %s in storage pool %s already, of %llu bytes and not %" G_GUINT64_FORMAT
                    "; it is left alone", image->volume, image->pool, info.allocation, image->bytes);
}

/* Whole and right: from now on it is a base that isn't written to any more. */
static gboolean keep(const ActionContext *context, virStoragePoolPtr pool, const Image *image, GError **error) {
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByName(pool, image->volume);
  if (!volume)
    return libvirt_fail(error, "cannot look up volume %s", image->volume);
  if (!volume_sync(volume, NULL, error))
    return FALSE;
  base_protect(volume, image->bytes);
  base_remember(context, volume, image->sha256);
  FAULT("image: verified");
  return marker_clear(pool, image->volume, error);
}

/* What is there of it, of which ret_half_made may be thrown away. */
static gboolean find(const ActionContext *context, virStoragePoolPtr pool, const Image *image, virStorageVolPtr *ret_volume, gboolean *ret_half_made,
                     GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  if (!volume_find(context, pool, image->volume, TRUE, &volume, NULL, error) || !marker_find(context, pool, image->volume, ret_half_made, error))
    return FALSE;
  g_clear_pointer(ret_volume, virStorageVolFree);
  *ret_volume = g_steal_pointer(&volume);
  return TRUE;
}

gboolean act_image_import(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Image) image = { .fd = -1 };
  if (!read_arguments(action, &image, error))
    return FALSE;
  g_autoptr(VirStoragePool) pool = volume_pool(context, image.pool, error);
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean half_made, made = FALSE, url = fetch_is_url(image.source);
  if (!pool || !find(context, pool, &image, &volume, &half_made, error))
    return FALSE;
  if (volume && !half_made)
    return check_existing(volume, &image, error);
  if (url && (!(image.fetched = image_fetch(context, action, image.source, image.sha256, image.bytes, error)) ||
              !find(context, pool, &image, &volume, &half_made, error)))
    return FALSE;
  if (volume && !half_made) /* it took long, and others bring images too */
    return check_existing(volume, &image, error);
  if (!open_image(context, &image, error) || (volume && !half_made_delete(context, volume, error)))
    return FALSE;
  if (act_cancelled(context, error) || !marker_set(pool, image.volume, error))
    return FALSE;
  FAULT("image: marked");
  if (transfer(context, action, pool, &image, &made, error) && verify(context, pool, &image, error)) {
    if (!keep(context, pool, &image, error))
      return FALSE;
    if (image.fetched)
      image_fetch_drop(image.fetched); /* the pool has it now */
    return TRUE;
  }
  half_made_remove(context, pool, image.volume, made, error ? *error : NULL);
  return FALSE;
}
