/* What only a machine that runs can tell: statistics of the hypervisor, addresses, and what the agent in the guest says.
 * For people: nothing of it is compared, planned or kept, and a guest may say anything. */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef struct {
  char *interface;    /* as its source names it: "eth0" (agent), "vnet3"; may be NULL */
  char *mac;          /* may be NULL */
  char *address;      /* "192.168.1.5/24" */
  const char *source; /* "agent", "lease" or "arp" */
} GuestAddress;

typedef struct {
  GPtrArray *addresses; /* of GuestAddress *: what the agent says, else leases, else what the host saw */
  json_t *statistics;   /* by libvirt's names ("cpu.time"); NULL: it told none */
  json_t *agent;        /* likewise ("hostname", "os.pretty-name"); NULL: there is no answer */
  guint silent_seconds; /* it was asked for so long, and didn't answer (all): its QEMU or its agent hangs; 0: it did */
  char *no_agent;       /* why the agent that it has doesn't answer; NULL: it does, or there is none */
} GuestFacts;

/* On connections of their own, the agent's a writable one, since who doesn't answer holds them up: after 10 s that isn't
 * waited for any more. has_agent: there is one to ask. */
GuestFacts *guest_facts_read(const char *uri /* NULL: libvirt's default */, const char *name, gboolean has_agent);
void guest_facts_free(GuestFacts *facts); /* accepts NULL */
