/* What a machine's file asks of a live migration that not every libvirt or QEMU can. */
#pragma once
#include <glib.h>

typedef struct {
  const char *compression; /* the method; NULL: none */
  gboolean zero_copy;
} HostNeeds;
