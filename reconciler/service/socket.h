/* A listener for small requests: one line (or a head that ends with an empty line) in, one text out, then
 * closed. On the default main context; whoever is slow is dropped. */
#pragma once
#include <gio/gio.h>

typedef struct {
  gboolean head;   /* a request ends with an empty line rather than with its first */
  int mode;        /* of a unix socket */
  /* The answer, to be freed. The peer is known on a unix socket; -1 otherwise. */
  char *(*answer)(gpointer data, const char *request, int peer_uid);
  gpointer data;
} SocketProtocol;

typedef struct RequestSocket RequestSocket;
/* Takes the place of a unix socket that nobody answers at any more. */
RequestSocket *request_socket_new(const char *path, const char *host, guint16 port, const SocketProtocol *protocol, GError **error);
void request_socket_free(RequestSocket *socket); /* accepts NULL; removes the unix socket */

/* The other side, for unix sockets: sends a line, waits for the answer. */
char *request_send(const char *path, const char *request, guint timeout_seconds, GError **error);
