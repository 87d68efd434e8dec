/* libvirt's event loop, on GLib's default main context, as libvirt's own is (virEventRegisterDefaultImpl), and with one thing
 * more: when libvirt stops to watch a connection's socket, that is shut down. It does so where the connection has to end, be it
 * that keepalive found the other side silent. Of several threads that wait for answers then, its client (9.0) wakes only
 * the first, and the next ones wait for the socket: of a daemon that hangs as long as that does, and of a host out of reach as
 * long as the kernel sends again (15 minutes). Once it is shut down there is nothing to wait for.
 * (libvirt-event.h; virNetClientMarkClose, virNetClientIOEventLoop) */
#pragma once
#include <glib.h>

/* Once, before the first connection. Somebody has to run the default main context. */
void event_loop_register(void);
/* Shuts down the sockets of a connection, NULL: of all: whatever waits for an answer of them fails. */
void event_loop_shut(gconstpointer connection);
/* Stream sockets that this thread has libvirt watch from now on are that connection's; NULL: nobody's. */
void event_loop_opening(gconstpointer connection);
