/* The head of a qcow2 file. Format: QEMU, docs/interop/qcow2.txt. Bytes may come from an enemy:
 * nothing is read outside them. */
#pragma once
#include <glib.h>

enum { QCOW2_HEADER_BYTES = 104 }; /* as much as is looked at, but for the backing file's name */

typedef struct {
  guint version;
  guint cluster_bits;
  guint64 virtual_size; /* bytes */
  guint32 encryption;   /* 0: none */
  guint64 incompatible; /* feature bits; 0 in version 2 */
  guint64 backing_offset;
  guint32 backing_length;
  guint32 length;       /* of the header; extensions follow */
} Qcow2Header;

#define QCOW2_EXTERNAL_DATA (G_GUINT64_CONSTANT(1) << 2)
#define QCOW2_EXTENDED_L2 (G_GUINT64_CONSTANT(1) << 4)

gboolean qcow2_has_magic(const guint8 *bytes, gsize length);
/* FALSE: it isn't one, or not all of its header is there. Values may still make no sense. */
gboolean qcow2_header_read(const guint8 *bytes, gsize length, Qcow2Header *ret_header);
/* Name and format of the backing file, to be freed, for a header that has one. FALSE: they aren't
 * within `bytes`, the start of the file, or no format is given where QEMU gives it. */
gboolean qcow2_backing_read(const Qcow2Header *header, const guint8 *bytes, gsize length, char **ret_name, char **ret_format);
guint64 qcow2_number(const guint8 *bytes, guint count); /* big-endian */
