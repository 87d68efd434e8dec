/* Before anything is touched, the hypervisor itself judges the planned definitions: each is
 * turned into QEMU's arguments (virConnectDomainXMLToNative), which parses, fills in and
 * validates as a define and start would, and changes nothing (but for interfaces, which it would
 * open: those are judged by the define). Machines of one shape (equal but
 * for names, addresses and paths) are judged once. Needs a writable connection. */
#pragma once
#include "reconciler/act/act.h"

/* Of the plan's objects that are the host's: object id → what the hypervisor says against it. Empty: nothing. NULL with error when it
 * couldn't be asked. */
GHashTable *preflight(const FleetHost *host, const Plan *plan, GCancellable *cancel, GError **error);
