/* Sizes as libvirt writes and reads them (virScaleInteger in its util/virutil.c). */
#include "state/xml_value.h"

#include <string.h>

/* b, byte, bytes; k, K, KiB: powers of 1024; KB: powers of 1000; likewise M, G, T, P, E. */
static guint64 unit_scale(const char *unit) {
  if (g_ascii_strcasecmp(unit, "b") == 0 || g_ascii_strcasecmp(unit, "byte") == 0 ||
      g_ascii_strcasecmp(unit, "bytes") == 0)
    return 1;
  static const char letters[] = "kmgtpe";
  const char *letter = *unit ? strchr(letters, g_ascii_tolower(*unit)) : NULL;
  if (!letter)
    return 0;
  guint64 base = !unit[1] || g_ascii_strcasecmp(unit + 1, "ib") == 0 ? 1024 : 1000;
  if (base == 1000 && g_ascii_strcasecmp(unit + 1, "b") != 0)
    return 0;
  guint64 scale = base;
  for (const char *at = letters; at < letter; at++)
    scale *= base;
  return scale;
}

gboolean xml_scaled(const char *number, const char *unit, guint64 default_scale, guint64 *ret_bytes) {
  guint64 count, scale = unit && *unit ? unit_scale(unit) : default_scale;
  if (scale == 0 || !g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64 / scale, &count, NULL))
    return FALSE;
  *ret_bytes = count * scale;
  return TRUE;
}
