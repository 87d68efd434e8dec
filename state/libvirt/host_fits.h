/* What both hosts have to say before a machine moves, beyond what an observation holds. */
#pragma once
#include "state/libvirt/connection.h"

/* Whether the host `to` (called `name`) can take a machine that is on `from`: libvirt's version, machine type, CPU,
 * bridges. Read-only connections suffice. ret_why is set when it can't; FALSE with error when that can't be told. */
gboolean host_fits(Connection *from, Connection *to, const char *name, const char *machine, char **ret_why, GError **error);
