#include "reconciler/act/base.h"

#include <string.h>
#include <sys/stat.h>

#include "reconciler/act/download.h"
#include "state/base_volume.h"
#include "state/fault.h"
#include "state/journal.h"

/* What shows a change without reading the content. Not the time of the inode's change: QEMU's security
 * driver gives the file another owner at each start. */
static gboolean identify(virStorageVolPtr volume, FileIdentity *ret_identity, GError **error) {
  g_autoptr(ActualVolume) facts = volume_seen(volume, error);
  if (!facts)
    return FALSE;
  *ret_identity = (FileIdentity){.size = facts->physical, .mtime_ns = facts->mtime_ns};
  return TRUE;
}

static char *key_of(virStorageVolPtr volume) {
  g_autofree char *uri = connection_handle_uri(virStorageVolGetConnect(volume));
  return g_strconcat(uri ? uri : "", " ", virStorageVolGetKey(volume), NULL);
}

void base_remember(const ActionContext *context, virStorageVolPtr volume, const char *sha256) {
  FileIdentity identity;
  g_autofree char *key = key_of(volume);
  if (context->journal && identify(volume, &identity, NULL) && identity.mtime_ns)
    journal_digest_keep(context->journal, key, &identity, sha256);
}

char *volume_digest(const ActionContext *context, const Action *action, virStorageVolPtr volume, GError **error) {
  FileIdentity identity, after;
  if (!identify(volume, &identity, error))
    return NULL;
  g_autofree char *key = key_of(volume);
  char *known = context->journal && identity.mtime_ns ? journal_digest_find(context->journal, key, &identity) : NULL;
  if (known)
    return known;
  g_autofree char *found = download_digest(context, action, volume, identity.size, "checking the base image", error);
  if (!found || !identify(volume, &after, error))
    return NULL;
  if (after.size != identity.size || after.mtime_ns != identity.mtime_ns) {
    act_refuse(error, "it is being changed at this moment");
    return NULL;
  }
  base_remember(context, volume, found);
  FAULT("base: content checked");
  return g_steal_pointer(&found);
}

static gboolean check_content(const ActionContext *context, const Action *action, virStorageVolPtr volume, const char *sha256, GError **error) {
  g_autofree char *found = volume_digest(context, action, volume, error);
  if (!found)
    return FALSE;
  return g_str_equal(found, sha256) ||
         act_refuse(error, "its content has the SHA-256 digest %s: it was changed after machines were built on it, and their "
                    "disks would be read wrongly; put the original file back, then try again", found);
}

gboolean base_check(const ActionContext *context, const Action *action, const char *path, GError **error) {
  virConnectPtr connect = connection_get(context->connection, error);
  g_autofree char *sha256 = base_volume_digest(path);
  if (!connect)
    return FALSE;
  g_autoptr(VirStorageVol) volume = virStorageVolLookupByPath(connect, path);
  if (!volume && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL)
    return act_refuse(error, "the base image %s is in no active storage pool: start its pool, or bring the file back", path);
  if (!volume)
    return libvirt_fail(error, "cannot look up the base image %s", path);
  if (!sha256 || check_content(context, action, volume, sha256, error))
    return TRUE;
  g_prefix_error(error, "the base image %s: ", path);
  return FALSE;
}

gboolean bases_check(const ActionContext *context, const Action *action, GError **error) {
  const char *names = act_arg(action, "bases");
  g_auto(GStrv) paths = names ? g_strsplit(names, "\n", -1) : NULL;
  for (guint i = 0; paths && paths[i]; i++)
    if (!base_check(context, action, paths[i], error))
      return FALSE;
  return TRUE;
}

void base_protect(virStorageVolPtr volume, guint64 bytes) {
  g_autofree char *uri = connection_handle_uri(virStorageVolGetConnect(volume));
  g_autofree char *path = virStorageVolGetPath(volume);
  struct stat status;
  if (!uri || !strstr(uri, ":///") || !path || lstat(path, &status) < 0)
    return;
  if (S_ISREG(status.st_mode) && (guint64)status.st_size == bytes && (status.st_mode & 0222))
    chmod(path, status.st_mode & 0555); /* fails where it isn't ours */
}
