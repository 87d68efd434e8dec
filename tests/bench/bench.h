/* What the C programs of the benchmark share: the connection and the clock. */
#pragma once
#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

/* Opens LIBVIRT_DEFAULT_URI; ends the program with a message when that fails. */
static inline virConnectPtr bench_open(gboolean read_only)
{
  virConnectPtr conn = read_only ? virConnectOpenReadOnly(NULL) : virConnectOpen(NULL);
  if (!conn)
    g_error("cannot connect: %s", virGetLastErrorMessage());
  return conn;
}
