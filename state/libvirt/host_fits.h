/* What both hosts have to say before a machine moves, beyond what an observation holds. */
#pragma once
#include "state/host_needs.h"
#include "state/libvirt/connection.h"

/* Whether the host `to` (called `name`) can take a machine that is on `from`: libvirt's version, machine type, CPU,
 * bridges; and whether both can send it as it needs (NULL: it needs nothing). Read-only connections suffice. ret_why is set when it can't; FALSE with error when that can't be told. ret_remark (may be
 * NULL) is set where it can, and may not be as it should be: a bridge without a link. */
gboolean host_fits(Connection *from, Connection *to, const char *name, const char *machine, const HostNeeds *needs, char **ret_why, char **ret_remark,
                   GError **error);
