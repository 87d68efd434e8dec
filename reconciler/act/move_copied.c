#include "reconciler/act/move_copied.h"

#include "reconciler/act/aside.h"
#include "reconciler/plan/facts.h"

/* 0: storage that doesn't tell. -1 with error. */
static gint64 last_written(virStorageVolPtr volume, GError **error) {
  virStorageVolInfo info;
  g_autoptr(ActualVolume) seen = volume_seen(volume, error);
  if (!seen)
    return -1;
  gboolean tells = virStorageVolGetInfo(volume, &info) == 0 && info.type == VIR_STORAGE_VOL_FILE; /* a device's time is its node's */
  return tells ? seen->mtime_ns : 0;
}

typedef struct {
  const char *path;
  gint64 written;
} Copied;

static gboolean note(FactsSpec *facts, gconstpointer data) {
  const Copied *copied = data;
  CopiedFactSpec *fact = facts_need(facts, FactsSpec_copied, copied->path);
  if (given(fact, CopiedFactSpec, written) && fact->written == copied->written)
    return FALSE;
  fact->written = copied->written;
  set_given(fact, CopiedFactSpec, written);
  return TRUE;
}

gboolean move_note_copied(virDomainPtr domain, virStorageVolPtr volume, const char *path, GError **error) {
  Copied copied = {.path = path, .written = last_written(volume, error)};
  return copied.written >= 0 && act_change_facts(domain, note, &copied, error);
}

gboolean move_check_written(const FactsSpec *facts, virStorageVolPtr volume, const char *path, GError **error) {
  const CopiedFactSpec *fact = facts_find(facts, FactsSpec_copied, path);
  if (!fact)
    return TRUE;
  gint64 written = last_written(volume, error);
  return written >= 0 && (written == fact->written || !written || !fact->written || act_refuse(error, "%s stays: it was written after it had been copied, perhaps because the copy that was left behind "
                                                                        "was started; save what the machine lacks of it, then remove it", path));
}

gboolean move_check_copied(const ActionContext *there, const FactsSpec *facts, const char *paths, GError **error) {
  g_auto(GStrv) each = g_strsplit(paths ? paths : "", "\n", -1);
  for (char **path = each; *path; path++) {
    g_auto(Aside) aside = {0};
    g_autoptr(VirStorageVol) volume = NULL;
    if (!aside_find(there, *path, &aside, &volume, error) || (volume && !move_check_written(facts, volume, *path, error)))
      return FALSE;
  }
  return TRUE;
}
