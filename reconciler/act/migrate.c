/* Live migration, peer to peer: the source's libvirt talks to the target's, and goes on when this program ends.
 * After a failure the machine is where it was, and what was made for it on the target is gone. */
#include "reconciler/act/migrate.h"

#include <libvirt/virterror.h>

#include "reconciler/act/long_call.h"
#include "schema/value.h"
#include "state/fault.h"
#include "state/libvirt/ssh_uri.h"

static gboolean run(virDomainPtr domain, gpointer data, GError **error) {
  Migration *migration = data;
  if (virDomainMigrateToURI3(domain, migration->peer, migration->params, (unsigned int)migration->n_params, migration->flags) == 0)
    return TRUE;
  const virError *last = virGetLastError();
  gboolean connecting = last && last->domain == VIR_FROM_RPC;
  libvirt_fail(error, "cannot migrate it");
  migration->unreached = connecting && migration->last.total == 0 && virConnectIsAlive(virDomainGetConnect(domain)) == 1;
  return FALSE;
}

/* The target tells how long the pause at the end was; of post-copy it can't. */
static void tell_end(const ActionContext *context, virDomainPtr there, gboolean post_copy) {
  virTypedParameterPtr values = NULL;
  int n = 0, type = 0;
  unsigned long long pause = 0;
  if (post_copy)
    act_remark(context, "it didn't converge, and went over in post-copy");
  else if (virDomainGetJobStats(there, &type, &values, &n, VIR_DOMAIN_JOB_STATS_COMPLETED) == 0 &&
           virTypedParamsGetULLong(values, n, VIR_DOMAIN_JOB_DOWNTIME, &pause) == 1)
    act_remark(context, "paused for %llu ms", pause);
  virTypedParamsFree(values, n);
}

/* Where it is now counts, not what the call said: the connection to the source may have been lost meanwhile. */
static gboolean verify(const ActionContext *context, const Action *action, gboolean post_copy, const GPtrArray *checkpoints, GError **error) {
  virConnectPtr peer = move_peer(context, action, "to", error);
  g_autoptr(VirDomain) there = NULL;
  if (!peer || !move_find_there(peer, context->object->name, &there, error))
    return FALSE;
  if (!there || virDomainIsActive(there) != 1 || virDomainIsPersistent(there) != 1)
    return act_fail(error, "the migration ended, but the machine isn't on %s as it should be: look where %s leads to from %s", act_arg(action, "to"),
                    act_arg(action, "peer"), context->object->host);
  tell_end(context, there, post_copy);
  g_autoptr(GError) untold = NULL;
  if (!move_tell_checkpoints(checkpoints, there, &untold)) /* the older copy has gone: no later run can */
    act_remark(context, "%s", untold->message);
  return move_give_autostart(there, error);
}

static gboolean did_not_converge(const Migration *migration, GError **error) {
  const ActualJob *job = &migration->last;
  g_autofree char *dirty = bytes_format_short(job->dirty_rate), *rate = bytes_format_short(job->memory_rate);
  if (job->iteration == 0)
    return act_fail(error, "the guest writes to its disks faster than they can be sent: the migration was given up, and the machine goes on here; "
                           "the next run tries again. More bandwidth or synchronousWrites (spec.migration) helps");
  return act_fail(error, "the guest changes its memory faster (%s/s) than it can be sent (%s/s), in %" G_GUINT64_FORMAT " rounds: the migration was "
                         "given up, and the machine goes on here; the next run tries again. More bandwidth, maxDowntime or timeout, autoConverge or "
                         "postCopy (spec.migration) help", dirty, rate, job->iteration);
}

/* What works from here needn't work from one host to the other. */
static void fail_between_daemons(const ActionContext *context, const Action *action, const GError *failure, GError **error) {
  const char *here = context->object->host, *to = act_arg(action, "to");
  g_autofree char *user = g_strdup_printf("the user of libvirt's daemon on %s, mostly root", here);
  g_autofree char *message = ssh_uri_explain(act_arg(action, "peer"), user, failure->message);
  g_set_error(error, failure->domain, failure->code, "%s; it is the daemon on %s that connects to %s, by its peerUri or else its uri: give it one that "
              "works there", message, here, to);
}

static gboolean failed(const ActionContext *context, const Action *action, virDomainPtr domain, const Migration *migration, GError *failure, GError **error) {
  if (migration->lost) /* as libvirt may go on with it, all stays as it is for it */
    return act_fail(error, "%s", migration->lost);
  if (move_take_back(context, action) && move_note(domain, act_arg(action, "to"), FALSE, NULL))
    move_give_autostart(domain, NULL);
  if (act_cancelled(context, error))
    return FALSE;
  if (migration->stray)
    return act_fail(error, "libvirtd on %s reaches another host than %s by %s: the migration was given up, and the machine goes on here; correct that host's "
                           "peerUri, or its uri, or what that name leads to", context->object->host, act_arg(action, "to"), act_arg(action, "peer"));
  if (migration->stood)
    return act_fail(error, "nothing of it was taken on %s any more: the migration was given up, and the machine goes on here; look whether QEMU and the storage "
                           "there still answer ('virsh domstate %s', 'virsh domjobinfo %s' there)", act_arg(action, "to"), context->object->name, context->object->name);
  if (migration->gave_up)
    return did_not_converge(migration, error);
  if (migration->unreached)
    fail_between_daemons(context, action, failure, error);
  else
    g_propagate_error(error, g_error_copy(failure));
  return FALSE;
}

gboolean act_domain_migrate(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  g_autoptr(GError) failure = NULL;
  g_auto(Migration) migration = {.peer = NULL};
  g_autoptr(GPtrArray) checkpoints = domain ? move_checkpoints(domain, error) : NULL;
  if (!checkpoints || !migration_prepare(context, action, domain, &migration, error) || act_cancelled(context, error))
    return FALSE;
  if (!move_note(domain, act_arg(action, "to"), TRUE, error) || !move_take_autostart(domain, error))
    return FALSE;
  FAULT("migrate: prepared");
  MigrationWatch watch = {.context = context, .action = action, .migration = &migration};
  gboolean fine = long_call_watched(context, domain, run, &migration, migration_look, &watch, &failure);
  FAULT("migrate: ended");
  if (!fine && !migration.lost && g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    migration.lost = g_strdup(failure->message);
  return fine ? verify(context, action, watch.schedule.switched, checkpoints, error) : failed(context, action, domain, &migration, failure, error);
}
