/* The hosts of a run: each with its own connection and observation. One that can't be asked has an
 * error instead; that is its own objects' matter, and nobody else's. A run without declared hosts has
 * one, without a name, so that both are the same code. */
#pragma once
#include "reconciler/plan.h"
#include "state/libvirt/connection.h"
#include "state/observe.h"

/* What a service keeps of a host from run to run. */
typedef struct {
  const char *name;       /* NULL: the only one */
  Connection *connection; /* borrowed */
  Actual *actual;         /* as it was seen last, and then by this run; NULL: unknown */
  GHashTable *stale;      /* names of the domains that may differ from that */
  GError *error;          /* why it shan't be asked, and then why it couldn't be; NULL: it can */
} KnownHost;

typedef struct {
  char *name;             /* NULL: the only one */
  const HostSpec *spec;   /* as declared; NULL: the only one */
  const StringMap *labels; /* NULL: none */
  Connection *connection;
  KnownHost *known;       /* whose connection it is, borrowed; NULL: its own */
  Actual *actual;         /* NULL: it couldn't be asked */
  GError *error;          /* why */
} FleetHost;

typedef struct {
  GPtrArray *hosts; /* of FleetHost *, by name */
} Fleet;

/* One host; NULL as known: it is connected to `uri`. */
Fleet *fleet_new_single(KnownHost *known, const char *uri, gboolean read_only);
/* The hosts that are declared, borrowed from `desired`; those that are fenced aren't connected. known: of
 * KnownHost *, may be NULL. */
Fleet *fleet_new_declared(const Desired *desired, const GPtrArray *known, gboolean read_only);
/* The hosts that a saved plan names. */
Fleet *fleet_new_planned(const Plan *plan, gboolean read_only);
gboolean desired_has_hosts(const Desired *desired);
void fleet_free(Fleet *fleet);
/* Those that a service knows get what was seen of them. */
void fleet_give_back(Fleet *fleet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fleet, fleet_free)

/* Looks at all of them at once; at what is known of one, the first time only where it may have changed. */
void fleet_observe(Fleet *fleet, const ObserveOptions *options);
/* NULL: there is none of this name (NULL: the only one). */
FleetHost *fleet_host(const Fleet *fleet, const char *name);
/* Declared to be off for certain: it can't run anything. */
gboolean fleet_host_is_fenced(const FleetHost *host);
/* Whether a pool is declared to be the same one on another host. */
gboolean fleet_host_shares(const FleetHost *host, const char *pool, const char *other);
/* Whether one of them is fenced: copies of machines may come back with it. */
gboolean fleet_has_fenced(const Fleet *fleet);
