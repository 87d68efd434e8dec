#include "reconciler/act/long_call.h"

#include "state/fault.h"
#include "state/life_sign.h"

/* A look that takes longer has asked a QEMU that hangs, and with it libvirt's long call. */
enum { LOOK_SECONDS = 10, PATIENT_LOOKS = 12 };

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
  g_cond_broadcast(&work->ended);
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

typedef struct {
  virDomainPtr domain;
  LongWatch watch;
  gpointer data;
  Work *work;
  Connection *alone;
  gint64 since;  /* when the present look was begun; 0: none is. Under the work's lock … */
  gboolean over; /* … as this */
} Looks;

static void begin_look(Looks *looks, gint64 since) {
  g_mutex_lock(&looks->work->lock);
  looks->since = since;
  g_mutex_unlock(&looks->work->lock);
}

static gpointer look_on(gpointer data) {
  Looks *looks = data;
  for (guint tick = 0; !has_ended(looks->work, tick < 20 ? 5000 : 50000); tick++) {
    begin_look(looks, g_get_monotonic_time());
    gboolean hopeful = looks->watch(looks->domain, looks->data);
    begin_look(looks, 0);
    if (!hopeful)
      connection_give_up(looks->alone);
  }
  g_mutex_lock(&looks->work->lock);
  looks->over = TRUE;
  g_cond_broadcast(&looks->work->ended);
  g_mutex_unlock(&looks->work->lock);
  return NULL;
}

/* The same of the looks: the last one may have no answer though the call has ended. */
static gboolean are_over(Looks *looks, gint64 wait) {
  gint64 until = g_get_monotonic_time() + wait;
  g_mutex_lock(&looks->work->lock);
  while (!looks->over && g_cond_wait_until(&looks->work->ended, &looks->work->lock, until))
    ;
  gboolean over = looks->over;
  g_mutex_unlock(&looks->work->lock);
  return over;
}

static gboolean is_stuck(Looks *looks) {
  g_mutex_lock(&looks->work->lock);
  gint64 since = looks->since;
  g_mutex_unlock(&looks->work->lock);
  return since && g_get_monotonic_time() - since > (gint64)fault_patience(LOOK_SECONDS) * PATIENT_LOOKS * G_USEC_PER_SEC;
}

static virDomainPtr same_domain(Connection *connection, virDomainPtr domain, const char *name, GError **error) {
  unsigned char uuid[VIR_UUID_BUFLEN];
  virConnectPtr handle = connection_get(connection, error);
  virDomainPtr same = handle && virDomainGetUUID(domain, uuid) == 0 ? virDomainLookupByUUID(handle, uuid) : NULL;
  if (!same && handle)
    libvirt_fail(error, "cannot look up domain %s", name);
  return same;
}

gboolean long_call_watched(const ActionContext *context, virDomainPtr domain, LongCall call, gpointer data,
                           LongWatch watch, gpointer watch_data, GError **error) {
  const char *uri = connection_uri(context->connection), *name = context->object->name;
  g_autoptr(Connection) alone = connection_new(uri, FALSE), beside = connection_new(uri, FALSE);
  g_autoptr(VirDomain) same = same_domain(alone, domain, name, error), looked_at = same ? same_domain(beside, domain, name, error) : NULL;
  if (!looked_at)
    return FALSE;
  Work work = {.domain = same, .call = call, .data = data};
  Looks looks = {.domain = looked_at, .watch = watch, .data = watch_data, .work = &work, .alone = alone};
  gboolean stuck = FALSE;
  g_mutex_init(&work.lock);
  g_cond_init(&work.ended);
  life_long_call(TRUE);
  GThread *worker = g_thread_new("long call", run, &work);
  GThread *looker = g_thread_new("looks", look_on, &looks);
  while (!are_over(&looks, 500000))
    if (is_stuck(&looks)) {
      stuck = TRUE;
      connection_give_up(beside);
      connection_give_up(alone);
    }
  g_thread_join(worker);
  g_thread_join(looker);
  life_long_call(FALSE);
  g_mutex_clear(&work.lock);
  g_cond_clear(&work.ended);
  if (stuck && work.error) {
    g_clear_error(&work.error);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "libvirt has no answer from the machine's QEMU, which hangs: look at it and at its storage ('virsh domstate %s')", name);
    return FALSE;
  }
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
