/* What the machines of a fleet take of their hosts, against the hosts' limits (limits.cpus, limits.memory). Counted are
 * machines as they are declared, running or not, and others as long as they run. Pure. */
#pragma once
#include "reconciler/plan/fleet.h"

typedef struct Capacity Capacity;
/* Of what isn't declared; machines are added as they are placed. Borrows both. */
Capacity *capacity_new(const Desired *desired, const Fleet *fleet);
void capacity_free(Capacity *capacity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Capacity, capacity_free)

/* `domain`: as it is now; NULL: nowhere. */
void capacity_add(Capacity *capacity, const FleetHost *host, const Object *machine, const ActualDomain *domain);
/* Why a host has no room for it: "has 1GiB of 4GiB of memory left (limits.memory)"; NULL: it has. Free it. */
char *capacity_refusal(const Capacity *capacity, const FleetHost *host, const Object *machine, const ActualDomain *domain);
