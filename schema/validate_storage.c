/* Rules for pools and volumes. */
#include "schema/reserved.h"
#include "schema/validate.h"

#include <string.h>

/* Which parts of `source` each type of pool takes, in the order of the rows. */
typedef enum { PART_NO, PART_MAY, PART_MUST } Part;
static const Part parts[PoolType_N][PoolSourceSpec_N] = {
    [PoolType_dir] = {0},
    [PoolType_fs] = {[PoolSourceSpec_device] = PART_MUST, [PoolSourceSpec_format] = PART_MAY},
    [PoolType_netfs] = {[PoolSourceSpec_host] = PART_MUST, [PoolSourceSpec_dir] = PART_MUST, [PoolSourceSpec_format] = PART_MAY},
    [PoolType_logical] = {[PoolSourceSpec_device] = PART_MAY, [PoolSourceSpec_name] = PART_MUST, [PoolSourceSpec_format] = PART_MAY},
};

void validate_pool(const Check *check) {
  const StoragePoolSpec *pool = check->object->spec;
  const char *type = PoolType_words.words[pool->type];
  if (g_strcmp0(check->object->metadata.name, ASIDE_POOL_NAME) == 0)
    check_error(check, "metadata.name", "the pool %s is made and removed while machines move: choose another name", ASIDE_POOL_NAME);
  if (!given(pool, StoragePoolSpec, target) && pool->type != PoolType_logical && !check->adopt)
    check_error(check, "target", "type %s needs target: the directory where its volumes appear", type);
  for (guint i = 0; i < PoolSourceSpec_N; i++) {
    const Field *part = &PoolSourceSpec_table.fields[i];
    gboolean has = field_given(&PoolSourceSpec_table, &pool->source, part);
    g_autofree char *path = g_strconcat("source.", part->key, NULL);
    if (has && parts[pool->type][i] == PART_NO)
      check_error(check, path, "type %s has no %s", type, path);
    else if (!has && parts[pool->type][i] == PART_MUST && !check->adopt)
      check_error(check, path, "type %s needs %s: %s", type, path, part->help);
  }
}

/* A URL that says no more than where the file is. */
static void validate_url(const Check *check, const char *text) {
  g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_HAS_PASSWORD, NULL); /* resolves .. in the path */
  const char *scheme = uri ? g_uri_get_scheme(uri) : NULL;
  if (!uri || !(g_str_equal(scheme, "https") || g_str_equal(scheme, "http")) || !g_uri_get_host(uri) || !*g_uri_get_host(uri))
    check_error(check, "url", "expected a URL such as https://images.example.org/debian-12.qcow2");
  else if (g_uri_get_userinfo(uri))
    check_error(check, "url", "a URL with credentials would be seen by all who read plans: serve the image without, or fetch it yourself and give source");
  else if (strstr(text, "/..") || strcasestr(text, "%2e") || strchr(text, '#'))
    check_error(check, "url", "write the URL without /.., %%2e and #");
}

/* As cloud-init recognises user data: by how its first line begins. What it doesn't recognise it leaves out. */
static void check_user_data(const Check *check, const char *path, const char *text) {
  static const char *const starts[] = {"#cloud-config", "#!", "#include", "#cloud-boothook", "#part-handler", "## template: jinja",
                                       "Content-Type:", "MIME-Version:"};
  for (guint i = 0; i < G_N_ELEMENTS(starts); i++)
    if (g_ascii_strncasecmp(text, starts[i], strlen(starts[i])) == 0)
      return;
  check_error(check, path, "cloud-init would leave this out: begin it with the line #cloud-config, with #! and an interpreter, or as MIME");
}

static void validate_cloud_init(const Check *check, const ImageSpec *image) {
  const CloudInitSpec *seed = &image->cloudInit;
  if (given(seed, CloudInitSpec, userData))
    check_user_data(check, "cloudInit.userData", seed->userData);
  if (given(seed, CloudInitSpec, vendorData))
    check_user_data(check, "cloudInit.vendorData", seed->vendorData);
  if (given(image, ImageSpec, sha256))
    check_error(check, "sha256", "a medium for cloud-init is made here: its digest follows from its content");
  if (given(image, ImageSpec, format) && image->format != Format_raw)
    check_error(check, "format", "a medium for cloud-init is raw");
  if (given(image, ImageSpec, useLatest))
    check_error(check, "useLatest", "useLatest is for a source directory");
}

void validate_image(const Check *check) {
  const ImageSpec *image = check->object->spec;
  gboolean url = given(image, ImageSpec, url), source = given(image, ImageSpec, source), made = given(image, ImageSpec, cloudInit);
  if (url + source + made != 1)
    check_error(check, url ? "url" : "", "an image has one of source (a file of this host), url and cloudInit");
  if (made)
    validate_cloud_init(check, image);
  if (!url)
    return;
  validate_url(check, image->url);
  if (!given(image, ImageSpec, sha256))
    check_error(check, "url", "what comes over the network is held against its digest: give sha256");
  if (given(image, ImageSpec, useLatest) && image->useLatest)
    check_error(check, "useLatest", "useLatest is for a source directory; with a url, sha256 says which content it is");
}

void validate_volume(const Check *check) {
  const VolumeSpec *volume = check->object->spec;
  gboolean image = given(volume, VolumeSpec, image);
  if (image)
    check_reference(check, "image", KIND_IMAGE, volume->image);
  else if (!given(volume, VolumeSpec, size))
    check_error(check, "size", "a volume needs a size, or an image that it is made from");
  if (given(volume, VolumeSpec, provision) && !image)
    check_error(check, "provision", "provision says how a volume is made from an image: give the image, or remove it");
  if (image && volume->provision == Provision_overlay && given(volume, VolumeSpec, format) && volume->format == Format_raw)
    check_error(check, "format", "an overlay can't be raw: use qcow2, or provision: copy");
}
