/* Snapshots by the clock: what is due, and which ones have had their time. Pure.
 *
 * Their names say when they were planned, in UTC: PREFIX-YYYYMMDDTHHMMSSZ. That is the time that counts, not
 * libvirt's: a host's clock may differ. Times that were missed are made up for once. A snapshot whose time is
 * more than one interval ahead was taken by a clock that was wrong: it counts as the oldest. */
#pragma once
#include "state/actual.h"

/* NULL: the machine has none. */
const SnapshotPolicySpec *policy_of(const VmSpec *vm);
char *policy_name(const SnapshotPolicySpec *policy, gint64 now); /* free it */
/* Seconds since 1970; FALSE: it isn't a name of this policy. */
gboolean policy_time(const SnapshotPolicySpec *policy, const char *name, gint64 *ret_time);

/* Of a machine's snapshots those that are the policy's (by our record), the oldest first: const ActualSnapshot *.
 * None where policy or machine are NULL. */
GPtrArray *policy_snapshots(const SnapshotPolicySpec *policy, const ActualDomain *found, gint64 now);
/* Whether one is due, and how many of the oldest go (once the new one is taken, where one is due). */
gboolean policy_is_due(const SnapshotPolicySpec *policy, const GPtrArray *snapshots, gint64 now);
guint policy_surplus(const SnapshotPolicySpec *policy, const GPtrArray *snapshots, gboolean due);
