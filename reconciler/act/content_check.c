#include "reconciler/act/content_check.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "reconciler/act/aside.h"
#include "reconciler/act/download.h"
#include "reconciler/act/local_tool.h"
#include "schema/value.h"
#include "state/libvirt/volume_file.h"

#define LEFT_FREE (G_GUINT64_CONSTANT(64) << 20) /* bytes */

enum { DIFFERENT = 1 }; /* as qemu-img compare exits; above that is trouble */

typedef struct {
  const ActionContext *context;
  const Action *action;
  GArray *files; /* of int: qemu-img's descriptors, from 3 on */
} Check;

static void check_clear(Check *check) {
  for (guint i = 0; i < check->files->len; i++)
    close(g_array_index(check->files, int, i));
  g_array_unref(check->files);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Check, check_clear)

/* The journal is there too: it must not find its file system full. */
static gboolean check_room(const ActionContext *context, guint64 bytes, GError **error) {
  const char *directory = local_directory(context);
  struct statvfs status;
  guint64 available = statvfs(directory, &status) == 0 ? (guint64)status.f_bavail * status.f_frsize : G_MAXUINT64;
  if (bytes + LEFT_FREE <= available)
    return TRUE;
  g_autofree char *need = bytes_format_short(bytes), *least = bytes_format_short(LEFT_FREE), *have = bytes_format_short(available);
  return act_refuse(error, "what is compared has to be brought to %s, which takes up to %s and must leave %s, and there is %s available: make room, or give another "
                    "directory by --state-dir", directory, need, least, have);
}

static gboolean size_of(virStorageVolPtr volume, const char *path, guint64 *ret_bytes, GError **error) {
  virStorageVolInfo info;
  if (virStorageVolGetInfo(volume, &info) < 0)
    return libvirt_fail(error, "cannot read the size of %s", path);
  *ret_bytes = info.allocation;
  return TRUE;
}

/* -1: it can't be read where it is. */
static int open_here(virStorageVolPtr volume) {
  g_autoptr(ActualVolume) told = connection_is_remote(virStorageVolGetConnect(volume)) ? NULL : volume_seen(volume, NULL);
  return told ? volume_file_open(told) : -1;
}

static gboolean add_file(Check *check, const char *path, GError **error) {
  g_auto(Aside) aside = { 0 };
  g_autoptr(VirStorageVol) volume = NULL;
  if (!aside_find(check->context, path, &aside, &volume, error))
    return FALSE;
  if (!volume)
    return act_stale(error, "there is no %s any more", path);
  int fd = open_here(volume);
  gboolean brought = fd < 0;
  guint64 bytes = 0;
  if (brought && (!size_of(volume, path, &bytes, error) || !check_room(check->context, bytes, error)))
    return FALSE;
  if (brought && (fd = local_file_new(local_directory(check->context), 0, error)) < 0)
    return FALSE;
  g_array_append_val(check->files, fd);
  return !brought || download_file(check->context, check->action, volume, fd, error);
}

/* The format is always named: the content is a guest's, who may write any header. */
static void add_layer(GString *image, const char *format, guint file) {
  g_string_append_printf(image, "{\"driver\":\"%s\",\"file\":{\"driver\":\"file\",\"filename\":\"/proc/self/fd/%u\"}", format, 3 + file);
}

static const char *format_of(const ActualDisk *disk, guint i) {
  const ActualVolume *layer = disk->chain->pdata[i], *above = i > 0 ? disk->chain->pdata[i - 1] : NULL;
  const char *read_as = above ? above->backing_format : disk->format;
  return read_as ? read_as : layer->format;
}

static gboolean is_plain(const char *format) { return g_strcmp0(format, "raw") == 0 || g_strcmp0(format, "qcow2") == 0; }

/* The chain as qemu-img's name of an image; each file is opened on the way. */
static char *describe_disk(Check *check, const ActualDisk *disk, GError **error) {
  g_autoptr(GString) image = g_string_new("json:");
  gboolean raw = FALSE; /* which lies on nothing, whatever its header says */
  guint n = 0;
  for (guint i = 0; i < disk->chain->len && !raw; i++, n++) {
    const ActualVolume *layer = disk->chain->pdata[i];
    const char *format = format_of(disk, i);
    if (!add_file(check, layer->path, error))
      return NULL;
    if (i > 0)
      g_string_append(image, ",\"backing\":");
    add_layer(image, format, check->files->len - 1);
    raw = g_str_equal(format, "raw");
  }
  g_string_append(image, raw ? "" : ",\"backing\":null"); /* no header leads elsewhere */
  while (n-- > 0)
    g_string_append_c(image, '}');
  return g_strdup(image->str);
}

static char *describe_volume(Check *check, const char *path, const char *format, GError **error) {
  g_autoptr(GString) image = g_string_new("json:");
  if (!add_file(check, path, error))
    return NULL;
  add_layer(image, format, check->files->len - 1);
  g_string_append(image, g_str_equal(format, "qcow2") ? ",\"backing\":null}" : "}");
  return g_strdup(image->str);
}

static char *tool(GError **error) { return local_tool_find("qemu-img", "qemu-utils", error); }

static gboolean check_formats(const ActualDisk *disk, GError **error) {
  for (guint i = 0; i < disk->chain->len; i++) {
    const ActualVolume *layer = disk->chain->pdata[i];
    const char *format = format_of(disk, i);
    if (!is_plain(format))
      return act_refuse(error, "%s has format %s: its content can't be compared with what is made of it", layer->path, format ? format : "unknown");
    if (g_str_equal(format, "raw"))
      return TRUE;
  }
  return TRUE;
}

/* A file that is written to this moment has never the times that libvirt told: what it looks like has to do, until the machine is off. */
static gboolean looks_ours(virStorageVolPtr volume, const char *path) {
  struct stat seen;
  return !connection_is_remote(virStorageVolGetConnect(volume)) && lstat(path, &seen) == 0 && S_ISREG(seen.st_mode) && seen.st_nlink == 1 &&
         access(path, R_OK) == 0;
}

/* 0 where the layer is read where it is. */
static gboolean bytes_to_bring(const ActionContext *context, gboolean running, const char *path, guint64 *ret_bytes, GError **error) {
  g_auto(Aside) aside = { 0 };
  g_autoptr(VirStorageVol) volume = NULL;
  *ret_bytes = 0;
  if (!aside_find(context, path, &aside, &volume, error))
    return FALSE;
  if (!volume)
    return act_stale(error, "there is no %s any more", path);
  int fd = running ? -1 : open_here(volume);
  if (fd < 0)
    return (running && looks_ours(volume, path)) || size_of(volume, path, ret_bytes, error);
  close(fd);
  return TRUE;
}

/* What is made of the layers takes about as much as they do. */
static gboolean check_room_for_all(const DiskLayers *layers, GError **error) {
  guint64 sum = 0;
  for (guint i = 0; i < layers->chain.disk->chain->len; i++) {
    guint64 bytes;
    if (!bytes_to_bring(layers->context, layers->now->active, chain_layer(&layers->chain, i)->path, &bytes, error))
      return FALSE;
    sum += bytes;
  }
  return sum == 0 || check_room(layers->context, 2 * sum, error);
}

gboolean content_check_possible(const DiskLayers *layers, GError **error) {
  g_autofree char *found = tool(error);
  return found && check_formats(layers->chain.disk, error) && check_room_for_all(layers, error);
}

gboolean content_check(const ActionContext *context, const Action *action, const DiskLayers *layers, const char *path, const char *format, GError **error) {
  g_auto(Check) check = { context, action, g_array_new(FALSE, FALSE, sizeof(int)) };
  g_autofree char *found = check_formats(layers->chain.disk, error) ? tool(error) : NULL;
  g_autofree char *disk = found ? describe_disk(&check, layers->chain.disk, error) : NULL;
  g_autofree char *volume = disk ? describe_volume(&check, path, format, error) : NULL;
  if (!volume)
    return FALSE;
  const char *const command[] = { found, "compare", "-U", disk, volume, NULL }; /* -U: the disk is held */
  int status;
  act_progress(context, action, 0, 0, "comparing");
  if (local_tool_run(context, command, (const int *)check.files->data, check.files->len, &status, error))
    return TRUE;
  g_prefix_error(error, "%s %s disk %s of domain %s%s, which stays as it is: ", path, status == DIFFERENT ? "doesn't hold what" : "can't be compared with",
                 layers->chain.disk->target, layers->now->name, status == DIFFERENT ? " does" : "");
  return FALSE;
}
