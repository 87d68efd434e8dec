/* Hosts that libvirt reaches by ssh (qemu+ssh://). It runs ssh as this user, and ssh would ask on the terminal for a password, a
 * passphrase or about a host's key; of several hosts, all at once, and of a service, nobody. So it is told not to (no_tty,
 * libvirt's documentation of URIs), and what it says when it can't log in comes with what to do. */
#pragma once
#include <glib.h>

/* The URI to connect with, so that nobody is asked anything. Free it. */
char *ssh_uri_unattended(const char *uri);
/* The same as it was given. */
char *ssh_uri_as_given(char *uri /* taken; may be NULL */);
/* Why connecting failed, with what to do about it where it was by ssh. user: who runs ssh, in words. Free it. */
char *ssh_uri_explain(const char *uri, const char *user, const char *failure);
