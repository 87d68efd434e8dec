#include "state/qcow2_header.h"

#include <string.h>

enum { OLD_HEADER = 72, LONGEST_NAME = 1023, EXTENSION_HEAD = 8 };
#define EXTENSION_BACKING_FORMAT 0xe2792acau

guint64 qcow2_number(const guint8 *bytes, guint count) {
  guint64 value = 0;
  for (guint i = 0; i < count; i++)
    value = value << 8 | bytes[i];
  return value;
}

gboolean qcow2_has_magic(const guint8 *bytes, gsize length) {
  return length >= 4 && memcmp(bytes, "QFI\xfb", 4) == 0;
}

gboolean qcow2_header_read(const guint8 *bytes, gsize length, Qcow2Header *ret_header) {
  if (!qcow2_has_magic(bytes, length) || length < OLD_HEADER)
    return FALSE;
  Qcow2Header header = {
    .version = (guint)qcow2_number(bytes + 4, 4),
    .backing_offset = qcow2_number(bytes + 8, 8),
    .backing_length = (guint32)qcow2_number(bytes + 16, 4),
    .cluster_bits = (guint)qcow2_number(bytes + 20, 4),
    .virtual_size = qcow2_number(bytes + 24, 8),
    .encryption = (guint32)qcow2_number(bytes + 32, 4),
    .length = OLD_HEADER,
  };
  if (header.version >= 3) {
    if (length < QCOW2_HEADER_BYTES)
      return FALSE;
    header.incompatible = qcow2_number(bytes + 72, 8);
    header.length = (guint32)qcow2_number(bytes + 100, 4);
  }
  *ret_header = header;
  return TRUE;
}

/* Extensions stand between the header and the backing file's name, each with its type and
 * length before it. QEMU writes the one with the backing file's format first. */
static char *backing_format(const Qcow2Header *header, const guint8 *bytes) {
  guint64 at = (guint64)header->length + EXTENSION_HEAD;
  if (at > header->backing_offset || qcow2_number(bytes + header->length, 4) != EXTENSION_BACKING_FORMAT)
    return NULL;
  guint64 length = qcow2_number(bytes + header->length + 4, 4);
  return length <= header->backing_offset - at ? g_strndup((const char *)bytes + at, length) : NULL;
}

gboolean qcow2_backing_read(const Qcow2Header *header, const guint8 *bytes, gsize length, char **ret_name, char **ret_format) {
  if (header->backing_length == 0 || header->backing_length > LONGEST_NAME || header->backing_offset > length ||
      header->backing_length > length - header->backing_offset)
    return FALSE;
  char *format = backing_format(header, bytes);
  if (!format)
    return FALSE;
  *ret_name = g_strndup((const char *)bytes + header->backing_offset, header->backing_length);
  *ret_format = format;
  return TRUE;
}
