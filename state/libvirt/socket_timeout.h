/* An end to waiting for a host that is out of reach. Of several threads that wait on one connection, libvirt's client
 * (9.0) ends only the first when keepalive finds the other side dead; the others wait for the socket, that is for as
 * long as the kernel sends again: 15 minutes. So the kernel is told to give up when libvirt does. */
#pragma once
#include <glib.h>

/* For all TCP connections that this process has at the moment: nobody is told which one libvirt opened. */
void socket_timeout_set(guint milliseconds);
