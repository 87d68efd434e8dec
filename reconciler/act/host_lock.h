/* One controller of a fleet at a time: whoever changes it holds a lock on each host that can be asked, so that two
 * that see at least one host both can't decide at the same time where a machine is made, started or moved.
 *
 * libvirt itself is the engine. On each host a domain of one name, `reconcile-lock`, is started paused: it never
 * executes, and libvirt makes names unique. It ends with our connection (VIR_DOMAIN_START_AUTODESTROY), so also when
 * this process is killed, its machine dies or the link is cut. libvirtd forgets that when it is restarted. So what
 * counts is who has the domain's console open, which libvirt gives to one client only and frees with that client's
 * connection, libvirtd's own end included: a lock whose console is free is nobody's, and is replaced. Whoever lost
 * its connection has lost the lock, and does nothing more on that host: the connection isn't made again.
 *
 * Observation leaves the domain out, as it does helpers (state/helper.h). Dry runs, and runs that find nothing to do,
 * take no lock. */
#pragma once
#include <gio/gio.h>
#include "reconciler/plan/fleet.h"

typedef struct HostLocks HostLocks;

/* Waits for others up to `wait` milliseconds. NULL with EXECUTE_ERROR_STALE: who holds it since when; _REFUSED: why nobody may.
 * A host on which it can't be had for another reason is lost to this run, as is one that couldn't be asked: it may come back
 * without a lock. What was seen of the hosts before may have changed since. */
HostLocks *host_locks_take(Fleet *fleet, guint wait, GCancellable *cancel, GError **error);
void host_locks_free(HostLocks *locks); /* before the fleet */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostLocks, host_locks_free)
