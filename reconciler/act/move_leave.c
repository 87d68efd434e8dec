/* Copies that are left behind: one of two goes, or is stopped, when the other one is newer and, where it shall run,
 * runs; and what an interrupted move made for a copy that never came. */
#include "reconciler/act/aside.h"
#include "reconciler/act/move.h"
#include "state/fault.h"

typedef struct {
  virDomainPtr older, newer; /* older NULL: it has gone already */
} Copies;

static void copies_clear(Copies *copies) {
  if (copies->older)
    virDomainFree(copies->older);
  if (copies->newer)
    virDomainFree(copies->newer);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Copies, copies_clear)

static gboolean copies_find(const ActionContext *context, const Action *action, Copies *copies, GError **error) {
  virConnectPtr from = move_peer(context, action, "from", error), to = from ? move_peer(context, action, "to", error) : NULL;
  const char *name = context->object->name;
  if (!to || !move_find_there(from, name, &copies->older, error) || !move_find_there(to, name, &copies->newer, error))
    return FALSE;
  if (!copies->older)
    return TRUE;
  if (!copies->newer)
    return act_stale(error, "the machine isn't on %s: the copy on %s stays", act_arg(action, "to"), act_arg(action, "from"));
  gint64 old = move_epoch(copies->older, error), new = old >= 0 ? move_epoch(copies->newer, error) : -1;
  if (new < 0)
    return FALSE;
  return old < new || act_refuse(error, "the copy on %s stays: that on %s isn't newer", act_arg(action, "from"), act_arg(action, "to"));
}

static gboolean executes(int state) { return state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED; }

static gboolean check_executes(virDomainPtr domain, const char *host, GError **error) {
  int state = act_domain_state(domain, NULL, error);
  return state >= 0 && (executes(state) || act_refuse(error, "nothing is done to the older copy: that on %s doesn't run", host));
}

/* Another job, such as somebody's backup, is no reason to let two write to one disk. */
static gboolean is_leaving(virDomainPtr domain, gboolean *ret_leaving, GError **error) {
  virTypedParameterPtr params = NULL;
  int type = VIR_DOMAIN_JOB_NONE, n = 0, operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
  if (virDomainGetJobStats(domain, &type, &params, &n, 0) < 0)
    return libvirt_fail(error, "cannot see whether it is being migrated");
  virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation);
  virTypedParamsFree(params, n);
  *ret_leaving = type != VIR_DOMAIN_JOB_NONE && operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
  return TRUE;
}

/* One that libvirt has paused to move it, and whose migration has ended: it has nothing that the newer one lacks. Nor has one that
 * runs on the same disks. */
static gboolean end_active(const Action *action, const Copies *copies, GError **error) {
  gboolean leaving;
  int reason, state = act_domain_state(copies->older, &reason, error);
  if (state < 0)
    return FALSE;
  if (!act_arg(action, "runs") && (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_MIGRATION))
    return act_refuse(error, "the copy on %s stays: it runs", act_arg(action, "from"));
  if (!check_executes(copies->newer, act_arg(action, "to"), error))
    return FALSE;
  if (!is_leaving(copies->older, &leaving, error))
    return FALSE;
  if (leaving)
    return act_stale(error, "it is being migrated at this moment");
  return virDomainDestroy(copies->older) == 0 || libvirt_fail(error, "cannot end the copy on %s", act_arg(action, "from"));
}

/* What the older copy leaves is what the newer one was made of. */
static gboolean check_left(const ActionContext *context, const Action *action, virDomainPtr newer, GError **error) {
  ActionContext here, there;
  if (!move_context(context, action, "from", &here, error) || !move_context(context, action, "to", &there, error))
    return FALSE;
  g_autoptr(Ownership) record = act_record(newer, error);
  return record && move_check_left(&there, &here, &record->facts, error);
}

/* Its files are left to the end of the move, which knows whether they are the newer one's: UEFI variables too. */
gboolean act_domain_leave(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Copies) copies = {0};
  if (!copies_find(context, action, &copies, error))
    return FALSE;
  if (!copies.older)
    return TRUE;
  if (!move_seen(copies.newer, error)) /* the older one may stay for a reason, and be started */
    return FALSE;
  int active = virDomainIsActive(copies.older);
  if (active < 0)
    return libvirt_fail(error, "cannot see whether the copy on %s is running", act_arg(action, "from"));
  if (active && !end_active(action, &copies, error))
    return FALSE;
  if (!move_has_snapshots(copies.older, copies.newer, error) || !check_left(context, action, copies.newer, error))
    return FALSE;
  g_autoptr(GPtrArray) checkpoints = move_checkpoints(copies.older, error);
  if (!checkpoints || !move_tell_checkpoints(checkpoints, copies.newer, error))
    return FALSE;
  if (virDomainUndefineFlags(copies.older, ACT_UNDEFINE | VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) < 0)
    return libvirt_fail(error, "cannot undefine domain %s on %s", context->object->name, act_arg(action, "from"));
  FAULT("move: undefined here");
  return TRUE;
}

gboolean act_move_snapshots(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Copies) copies = {0};
  if (act_arg(action, "told")) {
    g_autoptr(VirDomain) here = act_own_domain(context, error);
    return here && move_forget_coming(here, error);
  }
  if (!copies_find(context, action, &copies, error))
    return FALSE;
  if (!copies.older)
    return act_stale(error, "the copy on %s, which had its snapshots, has gone", act_arg(action, "from"));
  return move_snapshots(copies.older, copies.newer, error);
}

/* Neither its host starts it, nor a run that can't see the newer one. */
static gboolean keep_off(const Action *action, const Copies *copies, GError **error) {
  if (virDomainSetAutostart(copies->older, 0) < 0)
    return libvirt_fail(error, "the older copy on %s can't be kept from starting with its host", act_arg(action, "from"));
  if (!move_note(copies->older, act_arg(action, "to"), TRUE, error))
    return FALSE;
  FAULT("move: older copy kept");
  return TRUE;
}

gboolean act_domain_keep(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Copies) copies = {0};
  ActionContext there;
  if (!copies_find(context, action, &copies, error) || !move_context(context, action, "from", &there, error))
    return FALSE;
  return !copies.older || (keep_off(action, &copies, error) && move_is_whole(&there, copies.older, error));
}

/* What it wrote since may be wanted: its volumes are deleted by nobody but people. */
gboolean act_domain_yield(const ActionContext *context, const Action *action, GError **error) {
  g_auto(Copies) copies = {0};
  ActionContext there, newest;
  if (!copies_find(context, action, &copies, error) || !move_context(context, action, "from", &there, error) || !move_context(context, action, "to", &newest, error))
    return FALSE;
  if (!copies.older)
    return TRUE;
  if (!check_executes(copies.newer, act_arg(action, "to"), error))
    return FALSE;
  move_complete(&newest, copies.newer, NULL); /* nothing of that keeps two running */
  if (!move_forget_left(copies.newer, error)) /* that the older one's files aren't to be deleted, before it is off */
    return FALSE;
  FAULT("move: older copy not to be deleted");
  if (act_arg(action, "runs") && virDomainIsActive(copies.older) == 1 && !end_active(action, &copies, error))
    return FALSE;
  move_is_whole(&there, copies.older, NULL);
  return keep_off(action, &copies, error) && act_domain_shutdown(&there, action, error);
}

/* --- taking a move back --- */

gboolean move_remove_half_made(const ActionContext *there, virStoragePoolPtr pool, const char *name, gboolean certain, GError **error) {
  g_autoptr(VirStorageVol) volume = NULL;
  gboolean half_made;
  if (!volume_find(there, pool, name, TRUE, &volume, NULL, error) || !marker_find(there, pool, name, &half_made, error))
    return FALSE;
  if (!half_made)
    return TRUE;
  g_autofree char *path = volume ? virStorageVolGetPath(volume) : NULL, *user = NULL, *doubt = NULL;
  if (path && !volume_find_user(there, path, FALSE, &user, &doubt, error))
    return FALSE;
  if (user)
    return act_refuse(error, "%s was made by a move that was interrupted, and stays: it is used by %s", path, user);
  if (doubt && certain)
    return act_refuse(error, "%s was made by a move that was interrupted, and stays: it can't be told whether something uses it: %s", path, doubt);
  if (volume && !volume_delete(volume, error))
    return FALSE;
  FAULT("move: half-made volume deleted");
  return marker_clear(pool, name, error);
}

static gboolean remove_volume(const ActionContext *there, const char *pool_name, const char *name, GError **error) {
  g_autoptr(VirStoragePool) pool = volume_pool(there, pool_name, error);
  return pool && move_remove_half_made(there, pool, name, TRUE, error);
}

static gboolean remove_aside(const ActionContext *there, const char *path, GError **error) {
  g_auto(Aside) aside = {0};
  g_autofree char *name = g_path_get_basename(path);
  return aside_open(there, path, &aside, error) && move_remove_half_made(there, aside.pool, name, TRUE, error);
}

/* Its definition alone: what it has of disks is half-made. */
static gboolean remove_never_ran(const Action *action, virDomainPtr here, virDomainPtr there, GError **error) {
  const char *to = act_arg(action, "to");
  if (!act_arg(action, "neverRan"))
    return act_stale(error, "there is a machine of this name on %s", to);
  int reason, state = act_domain_state(there, &reason, error), state_here = state < 0 ? -1 : act_domain_state(here, NULL, error);
  gint64 old = state_here < 0 ? -1 : move_epoch(here, error), new = old < 0 ? -1 : move_epoch(there, error);
  g_autoptr(Ownership) record = new < 0 ? NULL : act_record(there, error);
  if (!record)
    return FALSE;
  if (given(&record->facts, FactsSpec, ran))
    return act_stale(error, "the copy on %s was seen to run", to);
  if (state != VIR_DOMAIN_SHUTOFF || reason != VIR_DOMAIN_SHUTOFF_DAEMON || new != old + 1 || !executes(state_here))
    return act_stale(error, "it isn't certain any more that the copy on %s never ran", to);
  if (virDomainUndefineFlags(there, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM) < 0)
    return libvirt_fail(error, "cannot undefine the copy on %s, which never ran", to);
  FAULT("move: undefined there");
  return TRUE;
}

/* libvirt there has no copy any more, and nothing is sent: the one that libvirt paused here is the machine. */
static gboolean check_at_the_switch(virDomainPtr here, GError **error) {
  virDomainJobInfo job;
  int reason, state = act_domain_state(here, &reason, error);
  if (state < 0)
    return FALSE;
  if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_MIGRATION)
    return act_stale(error, "it isn't paused by a migration any more");
  if (virDomainGetJobInfo(here, &job) < 0)
    return libvirt_fail(error, "cannot see whether it is being migrated");
  return job.type == VIR_DOMAIN_JOB_NONE || act_stale(error, "it is being migrated at this moment");
}

static gboolean resume(virDomainPtr here, GError **error) {
  int state = act_domain_state(here, NULL, error);
  if (state < 0 || state == VIR_DOMAIN_RUNNING)
    return state >= 0;
  if (!check_at_the_switch(here, error))
    return FALSE;
  if (virDomainResume(here) < 0)
    return libvirt_fail(error, "its migration broke off, and it can't be made to run on here");
  FAULT("move: runs on here");
  return TRUE;
}

static gboolean power_off(virDomainPtr here, const Action *action, GError **error) {
  if (!check_at_the_switch(here, error) || !act_note_restart(here, action, TRUE, error))
    return FALSE;
  if (virDomainDestroy(here) < 0)
    return libvirt_fail(error, "it can't be powered off");
  FAULT("move: powered off here");
  return TRUE;
}

/* Whatever comes back somewhere counts less from before this copy is anything again. Its memory may be older than its disks: the plan says. */
static gboolean count_and_run_on(virDomainPtr here, const Action *action, GError **error) {
  guint64 epoch = 0;
  if (!act_arg_optional(action, "epoch", &epoch, error) || !move_outdate(here, (gint64)epoch, error))
    return FALSE;
  if (act_arg(action, "off"))
    return power_off(here, action, error);
  return !act_arg(action, "resume") || resume(here, error);
}

/* The host is certainly off. */
static gboolean give_up(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) here = act_own_domain(context, error);
  return here && count_and_run_on(here, action, error) && move_give_autostart(here, error) && move_note(here, act_arg(action, "to"), FALSE, error);
}

gboolean act_move_undo(const ActionContext *context, const Action *action, GError **error) {
  if (act_arg(action, "lost"))
    return give_up(context, action, error);
  const char *volumes = act_arg(action, "volumes"), *nvram = act_arg(action, "nvram");
  ActionContext there;
  virConnectPtr peer = move_peer(context, action, "to", error);
  g_autoptr(VirDomain) here = peer ? act_own_domain(context, error) : NULL, other = NULL;
  if (!here || !move_context(context, action, "to", &there, error) || !move_find_there(peer, context->object->name, &other, error))
    return FALSE;
  if (other && !remove_never_ran(action, here, other, error))
    return FALSE;
  if (!count_and_run_on(here, action, error))
    return FALSE;
  g_auto(GStrv) each = volumes ? g_strsplit(volumes, "\n", -1) : NULL;
  for (char **pair = each; pair && pair[0] && pair[1]; pair += 2)
    if (!remove_volume(&there, pair[0], pair[1], error))
      return FALSE;
  if (nvram && !remove_aside(&there, nvram, error))
    return FALSE;
  aside_sweep(context);
  aside_sweep(&there);
  return move_give_autostart(here, error) && move_note(here, NULL, FALSE, error);
}
