/* The checkpoints that backup programs made of a domain. */
#pragma once
#include "state/libvirt/connection.h"

/* How many libvirt knows: none where there is no such domain. FALSE with error when it can't be asked. A call for each domain, and
 * so nothing that an observation has; a connection that need only read suffices. */
gboolean checkpoints_count(Connection *connection, const char *name, guint *ret_count, GError **error);
