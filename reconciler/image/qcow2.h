/* Whether a qcow2 file is all there. A download that broke off has a good header, and would be
 * found out by a guest that reads what is missing. Format: QEMU, docs/interop/qcow2.txt. */
#pragma once
#include <glib.h>

/* What is wrong with the file of `size` bytes, to be freed; NULL: everything that its tables
 * refer to begins within it. Reads the tables only. */
char *qcow2_trouble(int fd, guint64 size);
