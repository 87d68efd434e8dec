/* Live migration, peer to peer: the source's libvirt talks to the target's. It goes on when this program ends.
 * It is watched, and made to end: rising downtime, then post-copy where that is allowed, else it is aborted
 * and the machine stays where it is. UNSAFE is never used. */
#include <string.h>

#include "reconciler/act/move.h"
#include "state/fault.h"

#define DOWNTIME 500    /* ms, when nothing is said */
#define TIMEOUT 600000  /* ms */
#define STEPS 10        /* in which the downtime rises */

typedef struct {
  virDomainPtr domain;
  const char *peer;
  virTypedParameterPtr params;
  int n_params, most;
  unsigned int flags;
  guint64 downtime, timeout; /* ms */
  gboolean post_copy, seen; /* under way */
  GError *error;
  int done; /* atomic */
} Migration;

static void migration_clear(Migration *migration) {
  virTypedParamsFree(migration->params, migration->n_params);
  g_clear_error(&migration->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Migration, migration_clear)

static gboolean add_text(Migration *migration, const char *key, const char *text, GError **error) {
  return !text || virTypedParamsAddString(&migration->params, &migration->n_params, &migration->most, key, text) == 0 ||
         libvirt_fail(error, "cannot prepare the migration");
}

static gboolean add_disks(Migration *migration, const char *disks, GError **error) {
  g_auto(GStrv) targets = disks ? g_strsplit(disks, ",", -1) : NULL;
  for (char **target = targets; target && *target; target++)
    if (!add_text(migration, VIR_MIGRATE_PARAM_MIGRATE_DISKS, *target, error))
      return FALSE;
  if (targets)
    migration->flags |= VIR_MIGRATE_NON_SHARED_INC;
  return TRUE;
}

static gboolean add_compression(Migration *migration, const char *method, GError **error) {
  if (method)
    migration->flags |= VIR_MIGRATE_COMPRESSED;
  return add_text(migration, VIR_MIGRATE_PARAM_COMPRESSION, method, error);
}

static gboolean add_parallel(Migration *migration, const Action *action, GError **error) {
  guint64 connections = 0;
  if (!act_arg_optional(action, "parallel", &connections, error))
    return FALSE;
  if (!connections)
    return TRUE;
  migration->flags |= VIR_MIGRATE_PARALLEL;
  return virTypedParamsAddInt(&migration->params, &migration->n_params, &migration->most, VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, (int)connections) == 0 ||
         libvirt_fail(error, "cannot prepare the migration");
}

/* libvirt counts MiB/s, rounded up: a limit of less than one is none. */
static gboolean add_bandwidth(Migration *migration, const Action *action, GError **error) {
  guint64 bytes = 0;
  if (!act_arg_optional(action, "bandwidth", &bytes, error))
    return FALSE;
  return !bytes || virTypedParamsAddULLong(&migration->params, &migration->n_params, &migration->most, VIR_MIGRATE_PARAM_BANDWIDTH,
                                           (bytes + (1 << 20) - 1) >> 20) == 0 || libvirt_fail(error, "cannot prepare the migration");
}

static void choose_flags(Migration *migration, const Action *action) {
  const char *transport = act_arg(action, "transport");
  migration->flags |= VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_ABORT_ON_ERROR;
  migration->post_copy = act_arg(action, "postCopy") != NULL;
  if (migration->post_copy)
    migration->flags |= VIR_MIGRATE_POSTCOPY;
  if (act_arg(action, "autoConverge"))
    migration->flags |= VIR_MIGRATE_AUTO_CONVERGE;
  if (g_strcmp0(transport, "tunnelled") == 0)
    migration->flags |= VIR_MIGRATE_TUNNELLED;
  else if (g_strcmp0(transport, "tls") == 0)
    migration->flags |= VIR_MIGRATE_TLS;
}

static gboolean prepare(const ActionContext *context, const Action *action, Migration *migration, GError **error) {
  migration->downtime = DOWNTIME;
  migration->timeout = TIMEOUT;
  migration->peer = act_need(action, "peer", error);
  if (!migration->peer || !act_arg_optional(action, "downtime", &migration->downtime, error) ||
      !act_arg_optional(action, "timeout", &migration->timeout, error))
    return FALSE;
  choose_flags(migration, action);
  g_autofree char *definition = move_definition(context, action, migration->domain, error);
  gboolean fine = definition && add_text(migration, VIR_MIGRATE_PARAM_PERSIST_XML, definition, error) &&
                  add_text(migration, VIR_MIGRATE_PARAM_URI, act_arg(action, "uri"), error) &&
                  add_disks(migration, act_arg(action, "disks"), error) && add_compression(migration, act_arg(action, "compression"), error) &&
                  add_parallel(migration, action, error) && add_bandwidth(migration, action, error);
  if (definition)
    explicit_bzero(definition, strlen(definition));
  return fine;
}

static gpointer run(gpointer data) {
  Migration *migration = data;
  if (virDomainMigrateToURI3(migration->domain, migration->peer, migration->params, (unsigned int)migration->n_params, migration->flags) < 0)
    libvirt_fail(&migration->error, "cannot migrate it");
  g_atomic_int_set(&migration->done, 1);
  return NULL;
}

/* "3. iteration, 12 MiB/s dirtied": what tells whether it will end. */
static void tell(const ActionContext *context, const Action *action, Migration *migration, const char *phase) {
  virTypedParameterPtr values = NULL;
  int n = 0, type = VIR_DOMAIN_JOB_NONE;
  unsigned long long done = 0, total = 0, iteration = 0, dirty = 0, page = 4096;
  if (virDomainGetJobStats(migration->domain, &type, &values, &n, 0) < 0)
    return;
  virTypedParamsGetULLong(values, n, VIR_DOMAIN_JOB_DATA_PROCESSED, &done);
  virTypedParamsGetULLong(values, n, VIR_DOMAIN_JOB_DATA_TOTAL, &total);
  virTypedParamsGetULLong(values, n, VIR_DOMAIN_JOB_MEMORY_ITERATION, &iteration);
  virTypedParamsGetULLong(values, n, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, &dirty);
  virTypedParamsGetULLong(values, n, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, &page);
  virTypedParamsFree(values, n);
  g_autofree char *text = iteration > 1 ? g_strdup_printf("%s, iteration %llu, %llu MiB/s dirtied", phase, iteration, dirty * page >> 20) : g_strdup(phase);
  if (type != VIR_DOMAIN_JOB_NONE) {
    if (!migration->seen)
      FAULT("migrate: under way");
    migration->seen = TRUE;
    act_progress(context, action, done, total, text);
  }
}

/* A longer pause makes it easier to end; how long it may become, the file says. */
static void raise_downtime(Migration *migration, gint64 elapsed, guint *step) {
  guint due = (guint)MIN((guint64)elapsed * STEPS / MAX(migration->timeout, 1), STEPS - 1) + 1;
  if (due <= *step)
    return;
  if (virDomainMigrateSetMaxDowntime(migration->domain, MAX(migration->downtime * due / STEPS, 1), 0) == 0)
    *step = due; /* before it has begun this fails, and is tried again */
}

static void watch(const ActionContext *context, const Action *action, Migration *migration) {
  gint64 began = g_get_monotonic_time();
  gboolean switched = FALSE, aborted = FALSE;
  guint step = 0;
  while (!g_atomic_int_get(&migration->done)) {
    g_usleep(50000);
    gint64 elapsed = (g_get_monotonic_time() - began) / 1000;
    gboolean late = (guint64)elapsed > migration->timeout, cancelled = g_cancellable_is_cancelled(context->cancel);
    if (!switched)
      raise_downtime(migration, elapsed, &step);
    if (late && migration->post_copy && !switched && !cancelled)
      switched = virDomainMigrateStartPostCopy(migration->domain, 0) == 0;
    else if ((cancelled || (late && !migration->post_copy)) && !aborted && !switched)
      aborted = virDomainAbortJob(migration->domain) == 0;
    tell(context, action, migration, switched ? "post-copy" : "migrating");
  }
}

/* Where it is now counts, not what the call said: the connection to the source may have been lost meanwhile. */
static gboolean verify(const ActionContext *context, const Action *action, GError **error) {
  virConnectPtr peer = move_peer(context, action, "to", error);
  g_autoptr(VirDomain) there = NULL;
  if (!peer || !move_find_there(peer, context->object->name, &there, error))
    return FALSE;
  if (!there || virDomainIsActive(there) != 1 || virDomainIsPersistent(there) != 1)
    return act_fail(error, "the migration ended, but the machine isn't on %s as it should be", act_arg(action, "to"));
  return TRUE;
}

gboolean act_domain_migrate(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  g_auto(Migration) migration = {.domain = domain};
  if (!domain || !prepare(context, action, &migration, error) || act_cancelled(context, error))
    return FALSE;
  if (!move_note(domain, act_arg(action, "to"), TRUE, error))
    return FALSE;
  FAULT("migrate: prepared");
  GThread *worker = g_thread_new("migrate", run, &migration);
  watch(context, action, &migration);
  g_thread_join(worker);
  FAULT("migrate: ended");
  if (!migration.error)
    return verify(context, action, error);
  if (act_cancelled(context, error))
    return FALSE;
  g_propagate_error(error, g_steal_pointer(&migration.error));
  return FALSE;
}
