/* The end of a move: what it left where it came from is deleted, where it is what was copied and isn't what the machine has now. */
#include "reconciler/act/aside.h"
#include "reconciler/act/move.h"
#include "reconciler/act/move_copied.h"
#include "state/base_volume.h"
#include "state/fault.h"

/* The copy there carries the marker of this move, which goes when that here has gone; it is `marked` anew where it was cleared: it
 * proves that the two aren't one. */
static gboolean change_marker(const ActionContext *there, const char *path, gboolean marked, gboolean *ret_there, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStorageVol) volume = NULL;
  if (!aside_find(there, path, &aside, &volume, error))
    return FALSE;
  *ret_there = volume != NULL;
  if (!volume)
    return TRUE;
  g_autoptr(VirStoragePool) pool = virStoragePoolLookupByVolume(volume);
  const char *name = virStorageVolGetName(volume);
  return pool && volume_refresh(there, pool, error) && (marked ? marker_set(pool, name, error) : marker_clear(pool, name, error));
}

static gboolean set_marker(const ActionContext *there, const char *path, gboolean marked, GError **error) {
  gboolean is_there;
  return change_marker(there, path, marked, &is_there, error) &&
         (is_there || act_refuse(error, "%s isn't on the host that the machine moved to: nothing is deleted", path));
}

/* Storage may have become shared since the move: then what is seen here is the machine's own disk, whose marker comes and goes here
 * as it does there. One that an older move forgot here stays. */
static gboolean is_same_file(const ActionContext *there, const ActionContext *here, virStoragePoolPtr pool, const char *path, gboolean *ret_same, GError **error) {
  g_autofree char *name = g_path_get_basename(path);
  gboolean seen[2];
  for (guint i = 0; i < G_N_ELEMENTS(seen); i++)
    if (!set_marker(there, path, i == 1, error) || !volume_refresh(here, pool, error) || !marker_find(here, pool, name, &seen[i], error))
      return FALSE;
  *ret_same = !seen[0] && seen[1];
  return TRUE;
}

/* As it is now. */
static gboolean find_left(const ActionContext *here, const char *path, Aside *aside, virStoragePoolPtr *ret_pool, virStorageVolPtr *ret_volume, GError **error) {
  g_autoptr(VirStorageVol) known = NULL;
  g_autofree char *name = g_path_get_basename(path);
  *ret_volume = NULL;
  if (!aside_find(here, path, aside, &known, error))
    return FALSE;
  if (!known)
    return TRUE;
  *ret_pool = virStoragePoolLookupByVolume(known);
  return *ret_pool ? volume_find(here, *ret_pool, name, TRUE, ret_volume, NULL, error) : libvirt_fail(error, "cannot see which storage pool has %s", path);
}

/* Written since means nothing where it is the machine's own by now. */
static gboolean check_one(const ActionContext *there, const ActionContext *here, const FactsSpec *facts, const char *path, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStoragePool) pool = NULL;
  g_autoptr(VirStorageVol) volume = NULL;
  g_autoptr(GError) refusal = NULL;
  gboolean same = FALSE;
  if (move_check_copied(here, facts, path, &refusal))
    return TRUE;
  if (!find_left(here, path, &aside, &pool, &volume, error) || (volume && !is_same_file(there, here, pool, path, &same, error)))
    return FALSE;
  if (!same)
    g_propagate_error(error, g_steal_pointer(&refusal));
  return same;
}

gboolean move_check_left(const ActionContext *there, const ActionContext *here, const FactsSpec *facts, GError **error) {
  for (char **path = facts->left; path && *path; path++)
    if (!check_one(there, here, facts, *path, error))
      return FALSE;
  return TRUE;
}

static gboolean delete_here(const ActionContext *there, const ActionContext *here, const FactsSpec *facts, const char *path, GError **error) {
  g_auto(Aside) aside = {0};
  g_autoptr(VirStoragePool) pool = NULL;
  g_autoptr(VirStorageVol) volume = NULL;
  if (!find_left(here, path, &aside, &pool, &volume, error))
    return FALSE;
  if (!volume)
    return TRUE;
  g_autofree char *user = NULL, *doubt = NULL, *base = base_volume_digest(path);
  if (base)
    return act_refuse(error, "%s stays: it is a base image", path);
  gboolean same;
  if (!is_same_file(there, here, pool, path, &same, error))
    return FALSE;
  if (same)
    return TRUE;
  if (!move_check_written(facts, volume, path, error) || !volume_find_user(here, path, FALSE, &user, &doubt, error))
    return FALSE;
  if (user)
    return act_refuse(error, "%s stays: it is used by %s", path, user);
  if (doubt)
    return act_refuse(error, "%s stays: it can't be told whether something else uses it: %s", path, doubt);
  return volume_delete(volume, error) && marker_clear(pool, virStorageVolGetName(volume), error);
}

static gboolean delete_left(const ActionContext *there, const ActionContext *here, const FactsSpec *facts, GError **error) {
  for (char **path = facts->left; path && *path; path++) {
    if (!delete_here(there, here, facts, *path, error))
      return FALSE;
    FAULT("move: volume left behind deleted");
  }
  return TRUE;
}

gboolean move_complete(const ActionContext *there, virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = act_record(domain, error);
  gboolean fine = record != NULL;
  for (char **path = record ? record->facts.left : NULL; path && *path; path++)
    fine = set_marker(there, *path, FALSE, fine ? error : NULL) && fine;
  return fine && move_give_autostart(domain, error);
}

gboolean move_is_whole(const ActionContext *there, virDomainPtr domain, GError **error) {
  g_autoptr(Ownership) record = act_record(domain, error);
  gboolean fine = record != NULL, is_there;
  for (char **path = record ? record->facts.left : NULL; path && *path; path++)
    fine = change_marker(there, *path, FALSE, &is_there, fine ? error : NULL) && fine;
  return fine;
}

/* Where it came from is given up: what it left stays, as its record says. */
static gboolean complete_alone(const ActionContext *context, const Action *action, GError **error) {
  ActionContext there;
  virConnectPtr to = move_peer(context, action, "to", error);
  g_autoptr(VirDomain) domain = NULL;
  if (!to || !move_context(context, action, "to", &there, error) || !move_find_there(to, context->object->name, &domain, error))
    return FALSE;
  return domain ? move_complete(&there, domain, error) : act_stale(error, "the machine isn't on %s", act_arg(action, "to"));
}

/* The machine's record on its new host says what is left on the old one. */
gboolean act_move_finish(const ActionContext *context, const Action *action, GError **error) {
  if (act_arg(action, "here"))
    return complete_alone(context, action, error);
  ActionContext there, here;
  virConnectPtr from = move_peer(context, action, "from", error), to = from ? move_peer(context, action, "to", error) : NULL;
  g_autoptr(VirDomain) domain = NULL;
  if (!to || !move_context(context, action, "to", &there, error) || !move_context(context, action, "from", &here, error) || !move_find_there(to, context->object->name, &domain, error))
    return FALSE;
  if (!domain)
    return act_stale(error, "the machine isn't on %s: what it left stays", act_arg(action, "to"));
  g_autoptr(Ownership) record = act_record(domain, error);
  if (!record)
    return FALSE;
  gboolean fine = delete_left(&there, &here, &record->facts, error);
  fine = move_complete(&there, domain, fine ? error : NULL) && fine;
  aside_sweep(&here);
  aside_sweep(&there);
  return fine && move_forget_left(domain, error);
}

gboolean act_move_seen(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  return domain && move_seen(domain, error);
}
