/* The guest's agent (qemu-guest-agent), as far as snapshots need it: freezing file systems. */
#pragma once
#include "reconciler/act/common.h"

/* Seconds that an agent has for an answer; freezing writes out what the guest has in memory. libvirt
 * itself would wait for ever (virDomainAgentSetResponseTimeout). */
#define AGENT_SECONDS 60

/* Whether an agent listens, as the live XML says of its channel. */
gboolean agent_is_connected(xmlDoc *live);
/* Gives the agent its time limit, and takes it back to libvirt's default. */
void agent_limit(virDomainPtr domain);
void agent_unlimit(virDomainPtr domain);
/* Sees to it that no file system stays frozen after something went wrong: tries once or, with `patient` (a command
 * that froze was sent, and hasn't been answered), until the agent has thawed, nobody listens any more or
 * AGENT_SECONDS are over. FALSE with error: they may be frozen still. */
gboolean agent_thaw(virDomainPtr domain, gboolean patient, GError **error);
