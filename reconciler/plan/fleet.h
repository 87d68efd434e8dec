/* The hosts of a run: each with its own connection and observation (run/fleet_open.h). One that can't be asked has an
 * error instead; that is its own objects' matter, and nobody else's. A run without declared hosts has
 * one, without a name, so that both are the same code. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/actual.h"
#include "state/journal.h"

typedef struct Connection Connection;

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
  const char *uri;        /* of the connection, as asked; may be NULL */
  KnownHost *known;       /* whose connection it is, borrowed; NULL: its own */
  Actual *actual;         /* NULL: it couldn't be asked */
  GError *error;          /* why */
  gboolean given_up;      /* it was fenced when the saved plan was made */
  gboolean lost;          /* by this run, which doesn't ask it again: it may have no lock on it, or have planned without it */
} FleetHost;

typedef struct {
  GPtrArray *hosts; /* of FleetHost *, by name */
  GHashTable *put; /* machine → JournalPlace *: where our history says it was put last; NULL: there is no history */
  const char *source; /* whose fleet it is, and what that was called before, borrowed; NULL: nobody knows */
  const char *const *formerly;
  gint64 epoch; /* the highest that a record has, or that this controller has seen or given; 0: none */
} Fleet;

/* NULL: there is none of this name (NULL: the only one). */
FleetHost *fleet_host(const Fleet *fleet /* may be NULL */, const char *name);
/* It can't be asked any more: from now on that is its state. */
void fleet_host_lose(FleetHost *host, GError *error /* taken */);
/* Declared to be off for certain: it can't run anything. */
gboolean fleet_host_is_fenced(const FleetHost *host);
/* Whether a pool is declared to be the same one on another host. */
gboolean fleet_host_shares(const FleetHost *host, const char *pool, const char *other);
/* Whether any pool is, of this host, or of any. */
gboolean fleet_host_shares_any(const FleetHost *host);
gboolean fleet_shares_any(const Fleet *fleet);
/* Whether either of two hosts says that the other one has the pool too: for whoever asks who may use its files. */
gboolean fleet_hosts_share(const FleetHost *one, const char *pool, const FleetHost *other);
/* The host of a connection; NULL: none. */
const FleetHost *fleet_host_of(const Fleet *fleet, const Connection *connection);
/* Whether it may run what isn't seen elsewhere: it can't be asked, and isn't fenced. */
gboolean fleet_host_is_silent(const FleetHost *host);
/* Whether it is the host of our history, also under another name. */
gboolean fleet_host_is(const FleetHost *host, const JournalPlace *place);
/* Whether it is the fleet of this source, also by a former name of that. */
gboolean fleet_is_of(const Fleet *fleet, const char *source);
/* Whether this source put a machine on a host that it doesn't declare any more: not by its address, nor by its name as one that can't
 * be asked. */
gboolean fleet_has_lost(const Fleet *fleet, const JournalPlace *place);
/* Whether one of them is fenced: copies of machines may come back with it. */
gboolean fleet_has_fenced(const Fleet *fleet);
/* The highest epoch that a record on its hosts has. */
gint64 fleet_highest_epoch(const Fleet *fleet);
/* That of a copy that shall count more than any other, also one that a fenced host hides: the time (seconds since 1970), which controllers
 * have in common, unless it was set back. */
gint64 fleet_new_epoch(const Fleet *fleet, gint64 now);
gboolean desired_has_hosts(const Desired *desired);
