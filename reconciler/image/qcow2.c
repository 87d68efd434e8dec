#include "reconciler/image/qcow2.h"

#include <unistd.h>

#include "state/qcow2_header.h"

#define MIN_CLUSTER_BITS 9
#define MAX_CLUSTER_BITS 21
#define MAX_L1_BYTES (32u << 20)        /* as QEMU */
#define OFFSET_MASK 0x00fffffffffffe00u /* bits 9 to 55 */
#define COMPRESSED (G_GUINT64_CONSTANT(1) << 62)
#define SECTOR 512

typedef struct {
  int fd;
  guint64 size;
  guint cluster_bits, entry; /* entry: bytes of one in an L2 table */
  guint8 *table;             /* room for one L2 table */
} Qcow2;

static gboolean read_at(const Qcow2 *image, guint64 offset, guint8 *data, gsize length) {
  if (offset > image->size || length > image->size - offset)
    return FALSE;
  for (gsize have = 0; have < length;) {
    ssize_t got = pread(image->fd, data + have, length - have, (off_t)(offset + have));
    if (got <= 0)
      return FALSE;
    have += (gsize)got;
  }
  return TRUE;
}

/* The last cluster of a file may be shorter than others. */
static gboolean begins_inside(const Qcow2 *image, guint64 entry) {
  guint64 offset = entry & OFFSET_MASK;
  if (entry & COMPRESSED)
    offset = entry & ((G_GUINT64_CONSTANT(1) << (62 - (image->cluster_bits - 8))) - 1);
  return offset == 0 || (offset < image->size && image->size - offset >= ((entry & COMPRESSED) ? 1 : SECTOR));
}

static gboolean check_table(const Qcow2 *image, guint64 offset) {
  gsize length = (gsize)1 << image->cluster_bits;
  if (!read_at(image, offset, image->table, length))
    return FALSE;
  for (gsize at = 0; at < length; at += image->entry)
    if (!begins_inside(image, qcow2_number(image->table + at, 8)))
      return FALSE;
  return TRUE;
}

static gboolean check_tables(const Qcow2 *image, const guint8 *header) {
  gsize length = (gsize)qcow2_number(header + 36, 4) * 8;
  g_autofree guint8 *top = length <= MAX_L1_BYTES ? g_malloc(length + 1) : NULL;
  if (!top || !read_at(image, qcow2_number(header + 40, 8), top, length) || !begins_inside(image, qcow2_number(header + 48, 8)))
    return FALSE;
  for (gsize at = 0; at < length; at += 8) {
    guint64 table = qcow2_number(top + at, 8) & OFFSET_MASK;
    if (table != 0 && !check_table(image, table))
      return FALSE;
  }
  return TRUE;
}

char *qcow2_trouble(int fd, guint64 size) {
  guint8 bytes[QCOW2_HEADER_BYTES] = {0};
  Qcow2 image = {.fd = fd, .size = size, .entry = 8};
  gsize length = MIN(size, sizeof bytes);
  Qcow2Header header;
  if (!read_at(&image, 0, bytes, length) || !qcow2_has_magic(bytes, length))
    return g_strdup("isn't a qcow2 image");
  if (!qcow2_header_read(bytes, length, &header))
    return g_strdup("is cut off: its header isn't complete");
  image.cluster_bits = header.cluster_bits;
  if (image.cluster_bits < MIN_CLUSTER_BITS || image.cluster_bits > MAX_CLUSTER_BITS)
    return g_strdup("is damaged: its cluster size makes no sense");
  if (header.incompatible & QCOW2_EXTENDED_L2)
    image.entry = 16;
  g_autofree guint8 *table = g_malloc((gsize)1 << image.cluster_bits);
  image.table = table;
  return check_tables(&image, bytes) ? NULL : g_strdup("is cut off or damaged: its tables refer to what isn't in the file");
}
