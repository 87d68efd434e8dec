#include "reconciler/act/long_call.h"

#include "state/life_sign.h"

typedef struct {
  virDomainPtr domain;
  LongCall call;
  gpointer data;
  GError *error; /* libvirt's errors belong to the thread that had them */
  GMutex lock;
  GCond ended;
  gboolean done;
} Work;

static gpointer run(gpointer data) {
  Work *work = data;
  work->call(work->domain, work->data, &work->error);
  g_mutex_lock(&work->lock);
  work->done = TRUE;
  g_cond_signal(&work->ended);
  g_mutex_unlock(&work->lock);
  return NULL;
}

/* Whether it has, within so many microseconds. */
static gboolean has_ended(Work *work, gint64 wait) {
  gint64 until = g_get_monotonic_time() + wait;
  g_mutex_lock(&work->lock);
  while (!work->done && g_cond_wait_until(&work->ended, &work->lock, until))
    ;
  gboolean done = work->done;
  g_mutex_unlock(&work->lock);
  return done;
}

gboolean long_call_watched(const ActionContext *context, virDomainPtr domain, LongCall call, gpointer data,
                           LongWatch watch, gpointer watch_data, GError **error) {
  unsigned char uuid[VIR_UUID_BUFLEN];
  g_autoptr(Connection) alone = connection_new(connection_uri(context->connection), FALSE);
  virConnectPtr handle = connection_get(alone, error);
  g_autoptr(VirDomain) same = handle && virDomainGetUUID(domain, uuid) == 0 ? virDomainLookupByUUID(handle, uuid) : NULL;
  if (!same)
    return handle ? libvirt_fail(error, "cannot look up domain %s", context->object->name) : FALSE;
  Work work = {.domain = same, .call = call, .data = data};
  g_mutex_init(&work.lock);
  g_cond_init(&work.ended);
  life_long_call(TRUE);
  GThread *worker = g_thread_new("long call", run, &work);
  for (guint tick = 0; !has_ended(&work, tick < 20 ? 5000 : 50000); tick++)
    if (!watch(domain, watch_data))
      connection_give_up(alone);
  g_thread_join(worker);
  life_long_call(FALSE);
  g_mutex_clear(&work.lock);
  g_cond_clear(&work.ended);
  if (work.error)
    g_propagate_error(error, work.error);
  return !work.error;
}

typedef struct {
  const ActionContext *context;
  const Action *action;
  const char *phase;
  gboolean aborted;
  guint tick;
} Watch;

/* Aborting is tried again while it doesn't work: the job may not have begun. */
static gboolean look(virDomainPtr domain, gpointer data) {
  Watch *watch = data;
  if (g_cancellable_is_cancelled(watch->context->cancel) && !watch->aborted)
    watch->aborted = virDomainAbortJob(domain) == 0;
  virDomainJobInfo info;
  if (watch->tick++ % 4 == 0 && virDomainGetJobInfo(domain, &info) == 0 && info.type != VIR_DOMAIN_JOB_NONE)
    act_progress(watch->context, watch->action, info.dataProcessed, info.dataTotal, watch->phase);
  return TRUE;
}

gboolean long_call(const ActionContext *context, const Action *action, virDomainPtr domain, const char *phase,
                   LongCall call, gpointer data, GError **error) {
  Watch watch = {.context = context, .action = action, .phase = phase};
  g_autoptr(GError) failure = NULL;
  if (act_cancelled(context, error))
    return FALSE;
  if (long_call_watched(context, domain, call, data, look, &watch, &failure))
    return TRUE;
  if (!act_cancelled(context, error))
    g_propagate_error(error, g_steal_pointer(&failure));
  return FALSE;
}
