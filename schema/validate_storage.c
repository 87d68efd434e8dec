/* Rules for what images and volumes are made of. */
#include "schema/validate.h"

#include <string.h>

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

static void validate_cloud_init(const Check *check, const CloudInitSpec *seed) {
  if (given(seed, CloudInitSpec, userData))
    check_user_data(check, "cloudInit.userData", seed->userData);
  if (given(seed, CloudInitSpec, vendorData))
    check_user_data(check, "cloudInit.vendorData", seed->vendorData);
}

void validate_image(const Check *check) {
  const ImageSpec *image = check->object->spec;
  if (given(image, ImageSpec, cloudInit))
    validate_cloud_init(check, &image->cloudInit);
  if (given(image, ImageSpec, url))
    validate_url(check, image->url);
}

void validate_volume(const Check *check) {
  const VolumeSpec *volume = check->object->spec;
  if (given(volume, VolumeSpec, image))
    check_reference(check, "image", KIND_IMAGE, volume->image);
}
