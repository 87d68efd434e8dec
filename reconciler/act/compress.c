#include "reconciler/act/compress.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/act/download.h"
#include "reconciler/act/local_tool.h"
#include "reconciler/act/upload.h"
#include "reconciler/act/volume.h"
#include "reconciler/act/volume_sync.h"
#include "state/fault.h"

typedef struct {
  int plain, compressed; /* private files: qemu-img's descriptors 3 and 4 */
} Files;

static void files_clear(Files *files) {
  if (files->plain >= 0)
    close(files->plain);
  if (files->compressed >= 0)
    close(files->compressed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Files, files_clear)

#define PLAIN "/proc/self/fd/3"
#define COMPRESSED "/proc/self/fd/4"

static char *tool(GError **error) { return local_tool_find("qemu-img", "qemu-utils", error); }

gboolean compress_check(GError **error) {
  g_autofree char *found = tool(error);
  return found != NULL;
}

static gboolean run(const ActionContext *context, const Files *files, const char *const *arguments, GError **error) {
  g_autofree char *found = tool(error);
  g_autoptr(GPtrArray) command = g_ptr_array_new();
  g_ptr_array_add(command, found);
  for (; *arguments; arguments++)
    g_ptr_array_add(command, (char *)*arguments);
  g_ptr_array_add(command, NULL);
  const int fds[] = { files->plain, files->compressed };
  return found && local_tool_run(context, (const char *const *)command->pdata, fds, G_N_ELEMENTS(fds), NULL, error);
}

/* Formats are always named: the content is a guest's. */
static gboolean compress(const ActionContext *context, const Action *action, const Files *files, const char *method, GError **error) {
  g_autofree char *option = g_strconcat("compression_type=", g_str_equal(method, "gzip") ? "zlib" : method, NULL);
  const char *const convert[] = { "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", "-o", option, PLAIN, COMPRESSED, NULL };
  const char *const compare[] = { "compare", "-q", "-f", "raw", "-F", "qcow2", PLAIN, COMPRESSED, NULL };
  act_progress(context, action, 0, 0, "compressing");
  if (!run(context, files, convert, error))
    return FALSE;
  FAULT("compress: compressed");
  act_progress(context, action, 0, 0, "comparing");
  if (run(context, files, compare, error))
    return TRUE;
  g_prefix_error(error, "the compressed image isn't what was compressed: ");
  return FALSE;
}

static gboolean send(const ActionContext *context, const Action *action, int fd, virStoragePoolPtr pool, const char *name, GError **error) {
  struct stat status;
  if (fstat(fd, &status) < 0)
    return act_fail(error, "cannot read a temporary file: %s", g_strerror(errno));
  guint64 bytes = (guint64)status.st_size;
  g_autoptr(VirStorageVol) volume = volume_make(pool, name, "raw", bytes, NULL, NULL, 0, error);
  g_autofree char *sent = NULL;
  FAULT("compress: volume made");
  if (!volume)
    half_made_remove(context, pool, name, FALSE, error ? *error : NULL);
  if (!volume || lseek(fd, 0, SEEK_SET) < 0 || !upload_file(context, action, volume, fd, bytes, &sent, error))
    return FALSE;
  FAULT("compress: sent");
  g_autofree char *found = download_digest(context, action, volume, bytes, "checking the image", error);
  return found && (g_str_equal(found, sent) || act_fail(error, "volume %s doesn't hold what was written to it", name)) && volume_sync(volume, NULL, error);
}

gboolean compress_volume(const ActionContext *context, const Action *action, virStorageVolPtr plain, const char *method, virStoragePoolPtr pool,
                         const char *name, GError **error) {
  g_auto(Files) files = { -1, -1 };
  return (files.plain = local_file_new(local_directory(context), 0, error)) >= 0 && (files.compressed = local_file_new(local_directory(context), 0, error)) >= 0 &&
         download_file(context, action, plain, files.plain, error) && compress(context, action, &files, method, error) &&
         send(context, action, files.compressed, pool, name, error);
}
