/* git-upload-pack on another host, through OpenSSH's client: it knows all kinds of keys, agents,
 * certificates, known_hosts files and jump hosts, and says what is wrong. Nothing is asked on a
 * terminal, and no host key is taken on trust. */
#pragma once
#include "reconciler/source/git/url.h"

typedef struct {
  const char *key, *known_hosts; /* NULL: ssh's own choice */
} SshFiles;

typedef struct Ssh Ssh;
Ssh *ssh_start(const GitUrl *url, const SshFiles *files, GError **error);
gssize ssh_read(Ssh *ssh, char *buffer, gsize size); /* bytes; 0 at the end; -1 */
gboolean ssh_write(Ssh *ssh, const char *data, gsize length);
/* Ends it. What it said about why, as advice; NULL: nothing. */
char *ssh_end(Ssh *ssh);
