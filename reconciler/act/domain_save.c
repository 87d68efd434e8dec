/* Hibernation: memory to disk by libvirt's managed save, and throwing such an image away. */
#include "reconciler/act/common.h"

typedef struct {
  virDomainPtr domain;
  GError *error; /* libvirt's errors belong to the thread that had them */
  int done;      /* atomic */
} Save;

static gpointer save(gpointer data) {
  Save *work = data;
  const char *name = virDomainGetName(work->domain);
  if (virDomainManagedSave(work->domain, 0) < 0)
    libvirt_fail(&work->error, "cannot save domain %s", name);
  g_atomic_int_set(&work->done, 1);
  return NULL;
}

/* Progress until the save has ended; aborts it when cancelled: the machine then runs on. */
static void watch(const ActionContext *context, const Action *action, Save *work) {
  gboolean aborted = FALSE;
  for (guint tick = 0; !g_atomic_int_get(&work->done); tick++) {
    g_usleep(50000);
    if (g_cancellable_is_cancelled(context->cancel) && !aborted)
      aborted = virDomainAbortJob(work->domain) == 0;
    virDomainJobInfo info;
    if (tick % 4 == 0 && virDomainGetJobInfo(work->domain, &info) == 0 && info.type != VIR_DOMAIN_JOB_NONE)
      act_progress(context, action, info.dataProcessed, info.dataTotal, "saving");
  }
}

gboolean act_domain_hibernate(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  int active = domain ? virDomainIsActive(domain) : -1, saved = domain ? virDomainHasManagedSaveImage(domain, 0) : -1;
  if (!domain)
    return FALSE;
  const char *name = context->object->name;
  if (active < 0 || saved < 0)
    return libvirt_fail(error, "cannot read the state of domain %s", name);
  if (!active)
    return saved ? TRUE : act_stale(error, "domain %s isn't running any more", name);
  if (act_cancelled(context, error))
    return FALSE;
  Save work = { .domain = domain };
  GThread *worker = g_thread_new("save", save, &work);
  watch(context, action, &work);
  g_thread_join(worker);
  if (work.error) {
    if (act_cancelled(context, error))
      g_clear_error(&work.error);
    else
      g_propagate_error(error, work.error);
    return FALSE;
  }
  return virDomainHasManagedSaveImage(domain, 0) == 1 ||
         act_fail(error, "domain %s was saved, but libvirt has no image of it", name);
}

gboolean act_domain_discard_save(const ActionContext *context, const Action *action G_GNUC_UNUSED, GError **error) {
  g_autoptr(VirDomain) domain = act_own_domain(context, error);
  if (!domain)
    return FALSE;
  int saved = virDomainHasManagedSaveImage(domain, 0);
  if (saved < 0)
    return libvirt_fail(error, "cannot read the state of domain %s", context->object->name);
  if (!saved || virDomainManagedSaveRemove(domain, 0) == 0)
    return TRUE;
  return libvirt_fail(error, "cannot remove the saved state of domain %s", context->object->name);
}
