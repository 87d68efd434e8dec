#include "state/base_volume.h"

#include <string.h>

#define PREFIX "sha256-"
#define HEX 64

char *base_volume_name(const char *sha256, const char *format) { return g_strdup_printf(PREFIX "%s.%s", sha256, format); }

char *base_volume_digest(const char *path) {
  const char *slash = path != NULL ? strrchr(path, '/') : NULL, *name = slash != NULL ? slash + 1 : path;
  if (name == NULL || !g_str_has_prefix(name, PREFIX))
    return NULL;
  const char *hex = name + strlen(PREFIX), *ending = hex + strspn(hex, "0123456789abcdef");
  gboolean known = g_str_equal(ending, ".qcow2") || g_str_equal(ending, ".raw");
  return ending - hex == HEX && known ? g_strndup(hex, HEX) : NULL;
}

const char *base_volume_pool(const Object *image) {
  const ImageSpec *spec = image->spec;
  return given(spec, ImageSpec, pool) ? spec->pool : DEFAULT_POOL;
}
