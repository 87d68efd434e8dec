/* Observation for commands that take names of domains. */
#pragma once
#include "reconciler/command/cli.h"
#include "reconciler/run/fleet_open.h"
#include "state/actual.h"

/* Through a read-only connection. The domains named (all of them when there are no names) come
 * sorted by name: const ActualDomain *, owned by ret_actual. A name that no domain has is an error.
 * With `whole` all others are read too, for what they have in common. */
GPtrArray *observe_named(const Cli *cli, gboolean whole, Actual **ret_actual, GError **error);
/* All domains, sorted: const ActualDomain *. */
GPtrArray *domains_by_name(const Actual *actual);
/* Those of them that the arguments name; all without names. */
GPtrArray *domains_named(const Cli *cli, const Actual *actual);
/* The hosts that --source declares (only --host, where that is given), each looked at as the options say, or with an error.
 * ret_desired owns what they borrow. NULL with error, or with diagnostics alone. */
Fleet *fleet_of_source(const Cli *cli, const ObserveOptions *options, Desired **ret_desired, Diagnostics *diagnostics, GError **error);
