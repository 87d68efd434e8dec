#include "state/libvirt/checkpoints.h"

#include <libvirt/virterror.h>

gboolean checkpoints_count(Connection *connection, const char *name, guint *ret_count, GError **error) {
  virConnectPtr conn = connection_get(connection, error);
  if (!conn)
    return FALSE;
  g_autoptr(VirDomain) domain = virDomainLookupByName(conn, name);
  int count = domain ? virDomainListAllCheckpoints(domain, NULL, 0) : virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ? 0 : -1;
  if (count < 0)
    return libvirt_fail(error, "cannot count the checkpoints of domain %s", name);
  *ret_count = (guint)count;
  return TRUE;
}
