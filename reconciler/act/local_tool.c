#include "reconciler/act/local_tool.h"
#include "state/life_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Some are for root, and not on everybody's PATH. */
char *local_tool_find(const char *tool, const char *package, GError **error) {
  char *found = g_find_program_in_path(tool);
  static const char *const places[] = { "/usr/sbin", "/sbin" };
  for (guint i = 0; !found && i < G_N_ELEMENTS(places); i++) {
    g_autofree char *path = g_build_filename(places[i], tool, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
      found = g_steal_pointer(&path);
  }
  if (!found)
    act_refuse(error, "%s isn't installed where reconcile runs: install the package %s", tool, package);
  return found;
}

const char *local_directory(const ActionContext *context) {
  return context->journal ? journal_dir(context->journal) : g_get_tmp_dir();
}

/* Without a name from the beginning, so that nothing is left however this ends. */
int local_file_new(const char *directory, guint64 bytes, GError **error) {
  int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    g_autofree char *name = g_build_filename(directory, "reconcile-XXXXXX", NULL);
    fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
      unlink(name);
  }
  if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
    return fd;
  act_fail(error, "cannot make a temporary file in %s: %s", directory, g_strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

/* As text; NULL: nothing. Free it. */
static char *words_of(GBytes *said) {
  g_autofree char *text = said && g_bytes_get_size(said) > 0 ? g_utf8_make_valid(g_bytes_get_data(said, NULL), (gssize)g_bytes_get_size(said)) : NULL;
  return text && *g_strstrip(text) ? g_steal_pointer(&text) : NULL;
}

static gboolean fail_with(const char *tool, GBytes *out, GBytes *err, GError **error) {
  g_autofree char *complaint = words_of(err), *otherwise = complaint ? NULL : words_of(out);
  return act_fail(error, "%s: %s", tool, complaint ? complaint : otherwise ? otherwise : "it failed");
}

gboolean local_tool_run(const ActionContext *context, const char *const *command, const int *fds, guint n_fds, int *ret_status, GError **error) {
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  if (ret_status)
    *ret_status = -1;
  for (guint i = 0; i < n_fds; i++) {
    int given_away = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
    if (given_away < 0)
      return act_fail(error, "cannot give a file to %s: %s", command[0], g_strerror(errno));
    g_subprocess_launcher_take_fd(launcher, given_away, 3 + (int)i);
  }
  g_subprocess_launcher_setenv(launcher, "LC_ALL", "C", TRUE);
  g_autoptr(GSubprocess) process = g_subprocess_launcher_spawnv(launcher, command, error);
  g_autoptr(GBytes) out = NULL, err = NULL;
  if (!process)
    return FALSE;
  life_long_call(TRUE);
  gboolean ended = g_subprocess_communicate(process, NULL, context ? context->cancel : NULL, &out, &err, error);
  life_long_call(FALSE);
  if (!ended) {
    g_subprocess_force_exit(process);
    g_subprocess_wait(process, NULL, NULL);
    return FALSE;
  }
  if (ret_status && g_subprocess_get_if_exited(process))
    *ret_status = g_subprocess_get_exit_status(process);
  return g_subprocess_get_successful(process) || fail_with(command[0], out, err, error);
}
