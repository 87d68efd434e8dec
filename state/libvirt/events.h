/* What a host tells while it is watched: events of libvirt that mean drift, trouble or news. They arrive
 * in the thread that runs the default main context (connection_register_events). */
#pragma once
#include "state/libvirt/connection.h"

typedef struct {
  const char *kind;   /* "lifecycle", "io-error", …; "connection" when it is lost */
  const char *object; /* "vm/web-1", "pool/default", "network/lan"; NULL: the host */
  const char *detail; /* "stopped (crashed)"; may be NULL */
  const char *uri;    /* of the connection; may be NULL */
  gboolean lost;      /* the connection is, and with it all further events */
  gboolean look;      /* what was read of the object may not hold any more */
  gboolean trouble;   /* somebody should know */
} HostEvent;
typedef void (*HostEventFunction)(gpointer data, const HostEvent *event);

typedef struct HostEvents HostEvents;
/* Doesn't connect yet. The connection is borrowed. */
HostEvents *host_events_new(Connection *connection, HostEventFunction function, gpointer data);
/* Listens on the connection as it is now, from any thread. ret_anew: it wasn't listened on before, so
 * events may have been missed. FALSE with error when there is no connection. */
gboolean host_events_attach(HostEvents *events, gboolean *ret_anew, GError **error);
/* Listens no more, from any thread; may wait for the daemon. */
void host_events_detach(HostEvents *events);
const char *host_events_uri(const HostEvents *events); /* NULL before the first is attached */
void host_events_free(HostEvents *events); /* accepts NULL; in the thread that gets the events */
