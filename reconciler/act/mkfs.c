#include "reconciler/act/mkfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_IN_TOOL "/proc/self/fd/3"

/* What is fixed of each tool's command line; the label's option comes before the label, the file is last. */
static const struct {
  const char *tool, *package, *label_option;
  const char *options[6];
} makers[DiskFilesystem_N] = {
  [DiskFilesystem_ext4] = { "mkfs.ext4", "e2fsprogs", "-L", { "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard" } },
  [DiskFilesystem_vfat] = { "mkfs.vfat", "dosfstools", "-n", { NULL } },
  [DiskFilesystem_swap] = { "mkswap", "util-linux", "-L", { "--quiet" } },
};

/* The tools are for root, and not on everybody's PATH. */
static char *find_tool(const char *tool) {
  char *found = g_find_program_in_path(tool);
  static const char *const places[] = { "/usr/sbin", "/sbin" };
  for (guint i = 0; !found && i < G_N_ELEMENTS(places); i++) {
    g_autofree char *path = g_build_filename(places[i], tool, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
      found = g_steal_pointer(&path);
  }
  return found;
}

/* Without a name from the beginning, so that nothing is left however this ends. */
static int private_file(guint64 bytes, GError **error) {
  const char *directory = g_get_tmp_dir();
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

static gboolean run(char **command, int fd, GError **error) {
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  int given_away = dup(fd);
  if (given_away < 0)
    return act_fail(error, "cannot give a file to %s: %s", command[0], g_strerror(errno));
  g_subprocess_launcher_take_fd(launcher, given_away, 3);
  g_subprocess_launcher_setenv(launcher, "LC_ALL", "C", TRUE);
  g_autoptr(GSubprocess) process = g_subprocess_launcher_spawnv(launcher, (const char *const *)command, error);
  g_autofree char *said = NULL;
  if (!process || !g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, error))
    return FALSE;
  return g_subprocess_get_successful(process) || act_fail(error, "%s: %s", command[0], said && *said ? g_strstrip(said) : "it failed");
}

int mkfs_file(DiskFilesystem filesystem, const char *label, guint64 bytes, GError **error) {
  const char *name = makers[filesystem].tool;
  g_autofree char *tool = find_tool(name);
  if (!tool) {
    act_refuse(error, "%s isn't installed where reconcile runs: install the package %s", name, makers[filesystem].package);
    return -1;
  }
  g_autoptr(GPtrArray) command = g_ptr_array_new();
  g_ptr_array_add(command, tool);
  for (guint i = 0; makers[filesystem].options[i]; i++)
    g_ptr_array_add(command, (char *)makers[filesystem].options[i]);
  if (label) {
    g_ptr_array_add(command, (char *)makers[filesystem].label_option);
    g_ptr_array_add(command, (char *)label);
  }
  g_ptr_array_add(command, (char *)FILE_IN_TOOL);
  g_ptr_array_add(command, NULL);
  int fd = private_file(bytes, error);
  if (fd >= 0 && run((char **)command->pdata, fd, error))
    return fd;
  if (fd >= 0)
    close(fd);
  return -1;
}
