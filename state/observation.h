/* An observation as a file, for plans without a hypervisor: what libvirt answered is kept as it
 * was said (XML texts, flags, states), and read again by the functions that read it from a host.
 * Nothing in it is secret that a read-only connection doesn't tell: XML is asked for without
 * VIR_DOMAIN_XML_SECURE.
 *
 * {"formatVersion":1,"program":"reconcile 0.1.0","taken":"2026-…Z","host":{…},"pools":[…],"networks":[…],"domains":[…]}
 * or, of the hosts that a source declares, {…,"hosts":{"kvm-1":{"host":{…},"pools":[…],…},"kvm-2":{"error":"why it couldn't be asked"}}} */
#pragma once
#include "state/actual.h"

enum { OBSERVATION_VERSION = 1 };

#define OBSERVATION_ERROR (observation_error_quark())
GQuark observation_error_quark(void);
typedef enum { OBSERVATION_ERROR_SYNTAX, OBSERVATION_ERROR_VERSION, OBSERVATION_ERROR_INVALID } ObservationError;

/* One host of several: one of both. */
typedef struct {
  Actual *actual;
  char *error; /* why it couldn't be asked */
} ObservedHost;
void observed_host_free(gpointer observed_host);

typedef struct {
  char *taken;       /* when, as written */
  Actual *actual;    /* of one host, without a name; NULL: of several */
  GHashTable *hosts; /* name → ObservedHost *; NULL: of one */
} Observation;
void observation_free(Observation *observation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Observation, observation_free)

/* JSON text, to be freed, of what was observed with keep_texts; sorted by name. */
char *observation_save(const Actual *actual, gint64 taken /* microseconds since 1970 */);
char *observation_save_hosts(GHashTable *hosts /* name → ObservedHost * */, gint64 taken);
/* The text may come from anybody. `what` names it in messages. */
Observation *observation_load(const char *json, const char *what, GError **error);
