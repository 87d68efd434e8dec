/* Observation: a host's domains, chains, pools and networks in few, parallel round trips
 * on one connection. */
#pragma once
#include "state/actual.h"

typedef struct Connection Connection; /* state/libvirt/connection.h */

typedef struct {
  gboolean domains, storage, networks; /* what is wanted; all TRUE for a plan */
  const char *const *names;            /* only these domains; NULL: all */
  guint threads;                       /* 0: default 4 */
} ObserveOptions;

Actual *observe(Connection *connection, const ObserveOptions *options, GError **error);
/* One domain anew (before an action): NULL with error when it can't be read, and
 * NULL without error when it is certainly absent. */
ActualDomain *observe_domain(Connection *connection, const Actual *actual, const char *name, GError **error);
