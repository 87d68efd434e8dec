/* The configuration file of the service: one mapping (ServiceSpec), decoded and diagnosed as
 * declarations are, with its own rules. What isn't given has its default afterwards; in `policy`
 * a rule that isn't given is no rule. */
#pragma once
#include "schema/diag.h"
#include "schema/spec.h"

/* FALSE when there were errors. Relative paths count from the file's folder. `spec` is zeroed
 * before; clear it with spec_clear in either case. */
gboolean configuration_decode(const char *file, const char *data, gsize length, ServiceSpec *spec, Diagnostics *diagnostics);

/* "22:00" to minutes since midnight. */
gboolean time_of_day_parse(const char *text, guint *ret_minutes);

/* Most bytes of the path of a unix socket: the room in sun_path. What is longer would be cut off silently. */
enum { SOCKET_PATH_MOST = 107 };

/* "unix:/run/x.sock" or "127.0.0.1:9177", "[::1]:9177", "localhost:9177": only the loopback. One of
 * ret_path and ret_host is set, to be freed. */
gboolean listen_address_parse(const char *text, char **ret_path, char **ret_host, guint16 *ret_port);
