/* The hosts of a run: each with its own connection and observation. One that can't be asked has an
 * error instead; that is its own objects' matter, and nobody else's. A run without declared hosts has
 * one, without a name, so that both are the same code. */
#pragma once
#include "reconciler/plan.h"
#include "state/libvirt/connection.h"
#include "state/observe.h"

typedef struct {
  char *name;             /* NULL: the only one */
  const HostSpec *spec;   /* as declared; NULL: the only one */
  const StringMap *labels; /* NULL: none */
  Connection *connection;
  gboolean borrowed;      /* the connection */
  Actual *actual;         /* NULL: it couldn't be asked */
  GError *error;          /* why */
} FleetHost;

typedef struct {
  GPtrArray *hosts; /* of FleetHost *, by name */
} Fleet;

/* One host; the connection is borrowed. */
Fleet *fleet_new_single(Connection *connection);
/* The hosts that are declared, borrowed from `desired`; those that are fenced aren't connected. */
Fleet *fleet_new_declared(const Desired *desired, gboolean read_only);
/* The hosts that a saved plan names. */
Fleet *fleet_new_planned(const Plan *plan, gboolean read_only);
gboolean desired_has_hosts(const Desired *desired);
void fleet_free(Fleet *fleet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fleet, fleet_free)

/* Looks at all of them at once, each anew. */
void fleet_observe(Fleet *fleet, const ObserveOptions *options);
/* NULL: there is none of this name (NULL: the only one). */
FleetHost *fleet_host(const Fleet *fleet, const char *name);
/* Declared to be off for certain: it can't run anything. */
gboolean fleet_host_is_fenced(const FleetHost *host);
/* Whether a pool is declared to be the same one on another host. */
gboolean fleet_host_shares(const FleetHost *host, const char *pool, const char *other);
/* Whether one of them is fenced: copies of machines may come back with it. */
gboolean fleet_has_fenced(const Fleet *fleet);
