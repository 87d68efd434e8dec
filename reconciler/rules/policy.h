/* The host's own policy over what files may ask: what goes beyond is refused by name, object by object.
 * Pure, but for the function that says where links lead: over what is declared (profiles merged) and what is observed. */
#pragma once
#include "reconciler/plan/plan.h"
#include "state/actual.h"

/* Where a path leads to, through links; to be freed. */
typedef char *(*ResolvePath)(const char *path);

/* What the object asks beyond the policy: "disks[vda].path: /etc/shadow isn't below …"; NULL: nothing.
 * resolve NULL: paths are judged by their words, where the host isn't this one. */
char *policy_refusal(const PolicySpec *policy, ResolvePath resolve, const Object *declared);

/* What a host asks that is declared beyond policy.hosts. It is no matter of one object: all of the plan
 * depends on where it is carried out. NULL: all hosts are allowed, or none is declared. */
char *policy_hosts_refusal(const PolicySpec *policy /* NULL: no host is allowed */, const Desired *desired);

/* Rejects the plan's objects that go beyond it, those too that would take the sum of all machines beyond
 * the host's limits: what a machine has already counts first, then machines by name while they fit. */
void policy_apply(const PolicySpec *policy, ResolvePath resolve, Plan *plan, const Actual *actual);
