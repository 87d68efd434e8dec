#include "reconciler/source/git/ssh.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reconciler/source/git_source.h"

#define MAX_WORDS 4096 /* bytes kept of what ssh says */

struct Ssh {
  GPid pid;
  int input, output, errors;
  gboolean ended; /* it has nothing more to say */
  GString *words;
  char *host, *known_hosts;
};

/* ssh expands some of what is in the name of a file. */
static gboolean add_file(GPtrArray *argv, const char *option, const char *path, GError **error) {
  if (path == NULL)
    return TRUE;
  if (*path != '/' || strpbrk(path, "\"$\r\n") != NULL) {
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_INVALID,
                "%s: give an absolute path without \" and $ to ssh", path);
    return FALSE;
  }
  g_auto(GStrv) parts = g_strsplit(path, "%", -1);
  g_autofree char *escaped = g_strjoinv("%%", parts);
  g_ptr_array_add(argv, g_strdup("-o"));
  g_ptr_array_add(argv, g_strdup_printf("%s=\"%s\"", option, escaped));
  return TRUE;
}

static void add_all(GPtrArray *argv, const char *const *words) {
  for (; *words != NULL; words++)
    g_ptr_array_add(argv, g_strdup(*words));
}

static GPtrArray *command(const GitUrl *url, const SshFiles *files, GError **error) {
  g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
  add_all(argv, (const char *[]){"ssh", "-T", "-x", "-a", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
                                 "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15", "-o", "PermitLocalCommand=no",
                                 "-o", "ClearAllForwardings=yes", "-o", "ControlPath=none", NULL});
  if (!add_file(argv, "IdentityFile", files->key, error) || !add_file(argv, "UserKnownHostsFile", files->known_hosts, error))
    return NULL;
  if (files->key != NULL) /* that key, rather than one that the agent happens to have */
    add_all(argv, (const char *[]){"-o", "IdentitiesOnly=yes", NULL});
  if (files->known_hosts != NULL)
    add_all(argv, (const char *[]){"-o", "GlobalKnownHostsFile=/dev/null", NULL});
  if (url->port != 0) {
    g_ptr_array_add(argv, g_strdup("-p"));
    g_ptr_array_add(argv, g_strdup_printf("%u", url->port));
  }
  if (url->user != NULL) {
    g_ptr_array_add(argv, g_strdup("-l"));
    g_ptr_array_add(argv, g_strdup(url->user));
  }
  /* The other side has a shell; ssh://host/~user/x means a home directory, as for git. */
  const char *path = g_str_has_prefix(url->path, "/~") ? url->path + 1 : url->path;
  g_autofree char *quoted_path = g_shell_quote(path);
  g_autofree char *remote = g_strconcat("git-upload-pack ", quoted_path, NULL);
  add_all(argv, (const char *[]){"--", url->host, remote, NULL});
  g_ptr_array_add(argv, NULL);
  return g_steal_pointer(&argv);
}

Ssh *ssh_start(const GitUrl *url, const SshFiles *files, GError **error) {
  g_autoptr(GPtrArray) argv = command(url, files, error);
  if (argv == NULL)
    return NULL;
  Ssh *ssh = g_new0(Ssh, 1);
  if (!g_spawn_async_with_pipes(NULL, (char **)argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH, NULL, NULL,
                                &ssh->pid, &ssh->input, &ssh->output, &ssh->errors, error)) {
    g_free(ssh);
    return NULL;
  }
  ssh->words = g_string_new(NULL);
  ssh->host = g_strdup(url->host);
  ssh->known_hosts = g_strdup(files->known_hosts);
  return ssh;
}

/* FALSE at the end. What is too much to keep is read nevertheless, so that ssh goes on. */
static gboolean listen_to(Ssh *ssh) {
  char buffer[1024];
  gssize n = read(ssh->errors, buffer, sizeof(buffer));
  if (n > 0 && ssh->words->len < MAX_WORDS)
    g_string_append_len(ssh->words, buffer, n);
  return n > 0 || (n < 0 && errno == EINTR);
}

gssize ssh_read(Ssh *ssh, char *buffer, gsize size) {
  for (;;) {
    struct pollfd fds[] = {{.fd = ssh->output, .events = POLLIN}, {.fd = ssh->errors, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      return -1;
    if (fds[1].revents != 0 && !listen_to(ssh)) {
      close(ssh->errors);
      ssh->errors = -1; /* poll passes over it */
    }
    gssize n = fds[0].revents != 0 ? read(ssh->output, buffer, size) : -1;
    ssh->ended |= n == 0;
    if (n >= 0 || (fds[0].revents != 0 && errno != EINTR))
      return n;
  }
}

gboolean ssh_write(Ssh *ssh, const char *data, gsize length) {
  while (length > 0) {
    gssize n = write(ssh->input, data, length);
    if (n < 0 && errno != EINTR)
      return FALSE;
    data += n > 0 ? n : 0;
    length -= n > 0 ? (gsize)n : 0;
  }
  return TRUE;
}

/* The last line that isn't the closing "Could not read": it has the reason. */
static char *last_words(const Ssh *ssh) {
  g_auto(GStrv) lines = g_strsplit(ssh->words->str, "\n", -1);
  for (guint i = g_strv_length(lines); i > 0; i--) {
    const char *line = g_strstrip(lines[i - 1]);
    if (*line != '\0')
      return g_strndup(line, 300);
  }
  return NULL;
}

static char *advice(const Ssh *ssh) {
  const char *words = ssh->words->str, *known = ssh->known_hosts != NULL ? ssh->known_hosts : "~/.ssh/known_hosts";
  if (strstr(words, "REMOTE HOST IDENTIFICATION HAS CHANGED") != NULL)
    return g_strdup_printf("the host key of %s isn't the one in %s: somebody may be between; if the key was changed on purpose, "
                           "replace it there", ssh->host, known);
  if (strstr(words, "Host key verification failed") != NULL)
    return g_strdup_printf("the host key of %s isn't known: get it with ssh-keyscan, compare its fingerprint with what the "
                           "server's owner says, and add it to %s", ssh->host, known);
  g_autofree char *last = last_words(ssh);
  if (strstr(words, "UNPROTECTED PRIVATE KEY FILE") != NULL)
    return g_strdup("the key file can be read by others, so ssh doesn't use it: chmod 600");
  if (strstr(words, "Permission denied") != NULL)
    return g_strdup_printf("%s accepts none of our keys (%s): name a key without a passphrase that may read the repository",
                           ssh->host, last);
  return g_steal_pointer(&last);
}

char *ssh_end(Ssh *ssh) {
  close(ssh->input);
  close(ssh->output);
  if (!ssh->ended)
    kill(ssh->pid, SIGTERM);
  while (ssh->errors >= 0 && listen_to(ssh)) {
  }
  while (waitpid(ssh->pid, NULL, 0) < 0 && errno == EINTR) {
  }
  char *why = advice(ssh);
  if (ssh->errors >= 0)
    close(ssh->errors);
  g_string_free(ssh->words, TRUE);
  g_free(ssh->host);
  g_free(ssh->known_hosts);
  g_free(ssh);
  return why;
}
