#include "reconciler/image/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/image/fetch.h"
#include "reconciler/image/qcow2.h"
#include "reconciler/image/seed.h"
#include "schema/digest.h"
#include "schema/value.h"
#include "state/base_volume.h"
#include "state/journal.h"
#include "state/life_sign.h"
#include "state/qcow2_header.h"

void image_facts_free(ImageFacts *facts) {
  if (facts == NULL)
    return;
  g_free(facts->path);
  g_free(facts->sha256);
  g_free(facts->format);
  g_free(facts->error);
  g_free(facts);
}

static void fail(ImageFacts *facts, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void fail(ImageFacts *facts, const char *format, ...) {
  va_list args;
  va_start(args, format);
  facts->error = g_strdup_vprintf(format, args);
  va_end(args);
}

/* A directory holds NAME.qcow2, NAME.img or NAME.raw: exactly one of them. */
static char *file_in(const char *directory, const char *name, ImageFacts *facts) {
  static const char *const endings[] = {".qcow2", ".img", ".raw"};
  char *found = NULL;
  for (guint i = 0; i < G_N_ELEMENTS(endings); i++) {
    g_autofree char *base = g_strconcat(name, endings[i], NULL);
    g_autofree char *path = g_build_filename(directory, base, NULL);
    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
      continue;
    if (found != NULL) {
      fail(facts, "%s holds more than one file for it (%s, %s): name the file", directory, found, path);
      g_free(found);
      return NULL;
    }
    found = g_steal_pointer(&path);
  }
  if (found == NULL)
    fail(facts, "%s holds no %s.qcow2, %s.img or %s.raw", directory, name, name, name);
  return found;
}

/* The newest image of a directory, whatever its name; of two that are equally new the one that sorts last. */
static char *newest_in(const char *directory, ImageFacts *facts) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GDir) dir = g_dir_open(directory, 0, &error);
  if (dir == NULL) {
    fail(facts, "%s can't be read: %s", directory, error->message);
    return NULL;
  }
  g_autofree char *newest = NULL;
  struct timespec when = {0};
  for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
    struct stat status;
    g_autofree char *path = g_build_filename(directory, name, NULL);
    gboolean image = g_str_has_suffix(name, ".qcow2") || g_str_has_suffix(name, ".img") || g_str_has_suffix(name, ".raw");
    if (!image || name[0] == '.' || stat(path, &status) < 0 || !S_ISREG(status.st_mode))
      continue;
    gint64 later = status.st_mtim.tv_sec != when.tv_sec ? status.st_mtim.tv_sec - when.tv_sec : status.st_mtim.tv_nsec - when.tv_nsec;
    if (newest != NULL && (later < 0 || (later == 0 && strcmp(path, newest) < 0)))
      continue;
    g_free(newest);
    newest = g_steal_pointer(&path);
    when = status.st_mtim;
  }
  if (newest == NULL)
    fail(facts, "%s holds no .qcow2, .img or .raw file", directory);
  return g_steal_pointer(&newest);
}

static gboolean is_lfs_pointer(const guint8 *bytes, gsize length) {
  static const char beginning[] = "version https://git-lfs.";
  return length >= sizeof beginning - 1 && memcmp(bytes, beginning, sizeof beginning - 1) == 0;
}

/* Whatever isn't qcow2 is a raw image: an error page that was saved under an image's name, too. */
static void read_header(const guint8 *bytes, gsize length, guint64 size, ImageFacts *facts) {
  gboolean qcow2 = qcow2_has_magic(bytes, length);
  gboolean asked_raw = g_strcmp0(facts->format, "raw") == 0;
  if (is_lfs_pointer(bytes, length))
    fail(facts, "%s is a pointer of git-lfs: fetch the image itself (git lfs pull)", facts->path);
  else if (g_strcmp0(facts->format, "qcow2") == 0 && !qcow2)
    fail(facts, "%s isn't a qcow2 image, as format says", facts->path);
  else if (facts->format == NULL && !qcow2 && g_str_has_suffix(facts->path, ".qcow2"))
    fail(facts, "%s isn't a qcow2 image, as its name says: get the right file, or give format", facts->path);
  else if (!qcow2 || asked_raw) {
    g_free(facts->format);
    facts->format = g_strdup("raw");
    facts->virtual_size = (size + 511) / 512 * 512;
  } else {
    g_free(facts->format);
    facts->format = g_strdup("qcow2");
    Qcow2Header header = {0}; /* one that is cut off: see qcow2.h */
    qcow2_header_read(bytes, length, &header);
    facts->virtual_size = header.virtual_size;
    if (header.backing_offset != 0 || header.incompatible & QCOW2_EXTERNAL_DATA)
      fail(facts, "%s has a backing or data file of its own: flatten it first (qemu-img convert)", facts->path);
  }
}

static char *digest_of(int fd, GCancellable *cancel, GError **error) {
  g_autoptr(Digest) digest = digest_new();
  gsize size = 1 << 20;
  g_autofree guint8 *buffer = g_malloc(size);
  for (off_t at = 0;;) {
    if (g_cancellable_set_error_if_cancelled(cancel, error))
      return NULL;
    ssize_t got = pread(fd, buffer, size, at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s", g_strerror(errno));
      return NULL;
    }
    if (got == 0)
      return digest_hex(digest);
    digest_update(digest, buffer, (gsize)got);
    life_sign();
    at += got;
  }
}

static gboolean check_whole(int fd, ImageFacts *facts) {
  g_autofree char *trouble = g_str_equal(facts->format, "qcow2") ? qcow2_trouble(fd, facts->bytes) : NULL;
  if (trouble != NULL)
    fail(facts, "%s %s", facts->path, trouble);
  return trouble == NULL;
}

static gboolean read_file(ImageFacts *facts, const char *expected, Journal *journal, GCancellable *cancel, GError **error) {
  int fd = open(facts->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) < 0) {
    fail(facts, "%s can't be opened: %s", facts->path, g_strerror(errno));
  } else if (!S_ISREG(info.st_mode)) {
    fail(facts, "%s isn't a regular file", facts->path);
  } else if (info.st_size == 0) {
    fail(facts, "%s is empty", facts->path);
  } else {
    facts->bytes = info.st_size;
    guint8 bytes[QCOW2_HEADER_BYTES];
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    read_header(bytes, got > 0 ? (gsize)got : 0, info.st_size, facts);
  }
  gboolean going = TRUE;
  if (facts->error == NULL) {
    FileIdentity identity;
    gboolean known = file_identity_of(fd, &identity, NULL) && journal != NULL;
    g_autoptr(GError) trouble = NULL;
    facts->sha256 = known ? journal_digest_find(journal, facts->path, &identity) : NULL;
    gboolean whole = facts->sha256 != NULL || check_whole(fd, facts);
    if (whole && facts->sha256 == NULL && (facts->sha256 = digest_of(fd, cancel, &trouble)) != NULL && known)
      journal_digest_store(journal, facts->path, &identity, facts->sha256);
    if (g_error_matches(trouble, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
      g_propagate_error(error, g_steal_pointer(&trouble));
      going = FALSE;
    } else if (trouble != NULL) {
      fail(facts, "%s can't be read: %s", facts->path, trouble->message);
    } else if (whole && expected != NULL && !g_str_equal(expected, facts->sha256)) {
      fail(facts, "%s has the digest %s and not %s, as declared: get the right file, or correct sha256", facts->path,
           facts->sha256, expected);
    }
  }
  if (fd >= 0)
    close(fd);
  return going;
}

/* Enough to plan with; the whole is fetched by the action, which holds it against the digest. */
static gboolean read_url(const char *url, const char *sha256, ImageFacts *facts, GCancellable *cancel, GError **error) {
  guint8 bytes[QCOW2_HEADER_BYTES];
  gsize got = 0;
  g_autoptr(GError) trouble = NULL;
  facts->path = g_strdup(url);
  facts->remote = TRUE;
  if (fetch_head(url, bytes, sizeof bytes, &got, &facts->bytes, cancel, &trouble)) {
    facts->sha256 = g_strdup(sha256);
    read_header(bytes, got, facts->bytes, facts);
  } else if (g_error_matches(trouble, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_propagate_error(error, g_steal_pointer(&trouble));
    return FALSE;
  } else {
    fail(facts, "%s", trouble->message);
  }
  return TRUE;
}

/* Quick enough to be made each time; the action makes it again, which a saved plan can't: it has no secrets. */
static void make_seed(const ImageSpec *spec, ImageFacts *facts) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) seed = seed_build(&spec->cloudInit, &error);
  facts->path = g_strdup("the medium for cloud-init");
  facts->made = TRUE;
  if (seed == NULL) {
    fail(facts, "%s", error->message);
    return;
  }
  g_autoptr(Digest) digest = digest_new();
  gsize size;
  const guint8 *bytes = g_bytes_get_data(seed, &size);
  digest_update(digest, bytes, size);
  facts->sha256 = digest_hex(digest);
  g_free(facts->format);
  facts->format = g_strdup("raw");
  facts->bytes = facts->virtual_size = size;
}

/* A base that is in its pool needs no file any more: the declared digest names it. */
static gboolean in_pool(const Actual *actual, const Object *image, const char *sha256, ImageFacts *facts) {
  const ActualPool *pool = g_hash_table_lookup(actual->pools, base_volume_pool(image));
  for (guint i = 0; pool != NULL && i < Format_N; i++) {
    g_autofree char *name = base_volume_name(sha256, Format_words.words[i]);
    g_autofree char *marker = g_strconcat(name, INCOMPLETE_SUFFIX, NULL);
    const ActualVolume *volume = g_hash_table_lookup(pool->volumes, name);
    if (volume == NULL || g_hash_table_lookup(pool->volumes, marker) != NULL)
      continue;
    facts->sha256 = g_strdup(sha256);
    facts->format = g_strdup(Format_words.words[i]);
    facts->virtual_size = volume->capacity;
    facts->bytes = volume->physical;
    return TRUE;
  }
  return FALSE;
}

static gboolean collect(const Object *image, const Actual *actual, ImageFacts *facts, Journal *journal, GCancellable *cancel, GError **error) {
  const ImageSpec *spec = image->spec;
  const char *expected = given(spec, ImageSpec, sha256) ? spec->sha256 : NULL;
  if (expected != NULL && in_pool(actual, image, expected, facts))
    return TRUE;
  if (given(spec, ImageSpec, format))
    facts->format = g_strdup(Format_words.words[spec->format]);
  if (given(spec, ImageSpec, cloudInit)) {
    make_seed(spec, facts);
    return TRUE;
  }
  if (given(spec, ImageSpec, url))
    return read_url(spec->url, spec->sha256, facts, cancel, error);
  if (g_file_test(spec->source, G_FILE_TEST_IS_DIR))
    facts->path = given(spec, ImageSpec, useLatest) && spec->useLatest ? newest_in(spec->source, facts)
                                                                       : file_in(spec->source, image->metadata.name, facts);
  else
    facts->path = g_strdup(spec->source);
  return facts->error != NULL || read_file(facts, expected, journal, cancel, error);
}

gboolean image_facts_collect(const Desired *desired, Actual *actual, Journal *journal, GCancellable *cancel, GError **error) {
  g_autoptr(GHashTable) images = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)image_facts_free);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    if (object->kind != KIND_IMAGE)
      continue;
    ImageFacts *facts = g_new0(ImageFacts, 1);
    g_hash_table_replace(images, g_strdup(object->metadata.name), facts);
    if (!collect(object, actual, facts, journal, cancel, error))
      return FALSE;
  }
  g_clear_pointer(&actual->images, g_hash_table_unref);
  actual->images = g_steal_pointer(&images);
  return TRUE;
}
