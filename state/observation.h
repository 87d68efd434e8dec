/* An observation as a file, for plans without a hypervisor: what libvirt answered is kept as it
 * was said (XML texts, flags, states), and read again by the functions that read it from a host.
 * Nothing in it is secret that a read-only connection doesn't tell: XML is asked for without
 * VIR_DOMAIN_XML_SECURE.
 *
 * {"formatVersion":1,"program":"reconcile 0.1.0","taken":"2026-…Z","host":{…},"pools":[…],"networks":[…],"domains":[…]} */
#pragma once
#include "state/actual.h"

enum { OBSERVATION_VERSION = 1 };

#define OBSERVATION_ERROR (observation_error_quark())
GQuark observation_error_quark(void);
typedef enum { OBSERVATION_ERROR_SYNTAX, OBSERVATION_ERROR_VERSION, OBSERVATION_ERROR_INVALID } ObservationError;

/* JSON text, to be freed, of what was observed with keep_texts; sorted by name. */
char *observation_save(const Actual *actual, gint64 taken /* microseconds since 1970 */);
/* The text may come from anybody. `what` names it in messages; ret_taken (may be NULL) is when it
 * was taken, as written; free it. */
Actual *observation_load(const char *json, const char *what, char **ret_taken, GError **error);
