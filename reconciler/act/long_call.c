#include "reconciler/act/long_call.h"

typedef struct {
  virDomainPtr domain;
  LongCall call;
  gpointer data;
  GError *error; /* libvirt's errors belong to the thread that had them */
  int done;      /* atomic */
} Work;

static gpointer run(gpointer data) {
  Work *work = data;
  work->call(work->domain, work->data, &work->error);
  g_atomic_int_set(&work->done, 1);
  return NULL;
}

/* Until it has ended. Aborting is tried again while it doesn't work: the job may not have begun. */
static void watch(const ActionContext *context, const Action *action, const char *phase, Work *work) {
  gboolean aborted = FALSE;
  for (guint tick = 0; !g_atomic_int_get(&work->done); tick++) {
    g_usleep(tick < 20 ? 5000 : 50000);
    if (g_cancellable_is_cancelled(context->cancel) && !aborted)
      aborted = virDomainAbortJob(work->domain) == 0;
    virDomainJobInfo info;
    if (tick % 4 == 0 && virDomainGetJobInfo(work->domain, &info) == 0 && info.type != VIR_DOMAIN_JOB_NONE)
      act_progress(context, action, info.dataProcessed, info.dataTotal, phase);
  }
}

gboolean long_call(const ActionContext *context, const Action *action, virDomainPtr domain, const char *phase,
                   LongCall call, gpointer data, GError **error) {
  if (act_cancelled(context, error))
    return FALSE;
  Work work = { .domain = domain, .call = call, .data = data };
  GThread *worker = g_thread_new(phase, run, &work);
  watch(context, action, phase, &work);
  g_thread_join(worker);
  if (!work.error)
    return TRUE;
  if (act_cancelled(context, error))
    g_clear_error(&work.error);
  else
    g_propagate_error(error, work.error);
  return FALSE;
}
