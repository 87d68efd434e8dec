#include "reconciler/act/mkfs.h"

#include <unistd.h>

#include "reconciler/act/local_tool.h"

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

int mkfs_file(DiskFilesystem filesystem, const char *label, guint64 bytes, GError **error) {
  g_autofree char *tool = local_tool_find(makers[filesystem].tool, makers[filesystem].package, error);
  if (!tool)
    return -1;
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
  int fd = local_file_new(g_get_tmp_dir(), bytes, error);
  if (fd >= 0 && local_tool_run(NULL, (const char *const *)command->pdata, &fd, 1, NULL, error))
    return fd;
  if (fd >= 0)
    close(fd);
  return -1;
}
