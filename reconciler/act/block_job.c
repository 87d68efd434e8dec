/* Start, follow, pivot, verify. */
#include "reconciler/act/block_job.h"
#include "state/disk_chain.h"
#include "state/fault.h"
#include "state/life_sign.h"

#define LONGEST_WAIT_MILLISECONDS 250

/* A disk as the live XML shows it. */
typedef struct {
  GPtrArray *layers, *disks;
  const ActualDisk *disk; /* of disks */
} LiveDisk;

static void live_disk_clear(LiveDisk *live) {
  g_clear_pointer(&live->disks, g_ptr_array_unref);
  g_clear_pointer(&live->layers, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LiveDisk, live_disk_clear)

static gboolean read_live(virDomainPtr domain, const char *target, LiveDisk *ret_live, GError **error) {
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, 0, error);
  if (!doc)
    return FALSE;
  ret_live->layers = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  ret_live->disks = disks_read(xmlDocGetRootElement(doc), TRUE, ret_live->layers);
  ret_live->disk = actual_disk(ret_live->disks, target);
  return (ret_live->disk && ret_live->disk->path) ||
         act_stale(error, "domain %s has no disk %s with a file", virDomainGetName(domain), target);
}

static int position(const ActualDisk *disk, const char *path) {
  for (guint i = 0; path && i < disk->chain->len; i++)
    if (g_str_equal(((const ActualVolume *)disk->chain->pdata[i])->path, path))
      return (int)i;
  return -1;
}

/* Whether the chain is as the job shall leave it; stale when it isn't as it shall find it either. */
static gboolean check_chain(virDomainPtr domain, const BlockJob *job, gboolean *ret_done, GError **error) {
  g_auto(LiveDisk) live = { 0 };
  if (!read_live(domain, job->target, &live, error))
    return FALSE;
  int top = position(live.disk, job->top), base = position(live.disk, job->base);
  if (job->base && (base < 0 || (job->kind == BLOCK_JOB_COMMIT && top >= base)))
    return act_stale(error, "disk %s of domain %s isn't based on %s as planned", job->target, virDomainGetName(domain), job->base);
  if (job->kind == BLOCK_JOB_COMMIT)
    *ret_done = top < 0;
  else
    *ret_done = job->base ? base == 1 : live.disk->chain->len == 1;
  return TRUE;
}

static const char *const kind_words[] = {
  [VIR_DOMAIN_BLOCK_JOB_TYPE_UNKNOWN] = "unknown", [VIR_DOMAIN_BLOCK_JOB_TYPE_PULL] = "pull",
  [VIR_DOMAIN_BLOCK_JOB_TYPE_COPY] = "copy", [VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT] = "commit",
  [VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT] = "active-commit", [VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP] = "backup",
};

/* FALSE with error; else whether there is a job, and what libvirt says of it. */
static gboolean job_info(virDomainPtr domain, const char *target, gboolean *ret_runs, virDomainBlockJobInfo *ret_info, GError **error) {
  const char *name = virDomainGetName(domain); /* asking for it forgets the last error */
  int found = virDomainGetBlockJobInfo(domain, target, ret_info, VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES);
  *ret_runs = found > 0;
  return found >= 0 || libvirt_fail(error, "cannot see whether a block job runs on disk %s of domain %s", target, name);
}

gboolean block_job_find(virDomainPtr domain, const char *target, const char **ret_kind, GError **error) {
  virDomainBlockJobInfo info = { 0 };
  gboolean runs;
  if (!job_info(domain, target, &runs, &info, error))
    return FALSE;
  guint kind = (guint)info.type;
  *ret_kind = runs ? kind_words[kind < G_N_ELEMENTS(kind_words) ? kind : 0] : NULL;
  return TRUE;
}

gboolean block_job_abort(virDomainPtr domain, const char *target, GError **error) {
  const char *kind = NULL, *name = virDomainGetName(domain);
  if (!block_job_find(domain, target, &kind, error))
    return FALSE;
  if (!kind || virDomainBlockJobAbort(domain, target, 0) == 0)
    return TRUE;
  libvirt_fail(error, "cannot abort the block job (%s) on disk %s of domain %s", kind, target, name);
  /* It may have ended by itself meanwhile. */
  if (!block_job_find(domain, target, &kind, NULL) || kind)
    return FALSE;
  g_clear_error(error);
  return TRUE;
}

static gboolean is_of_kind(const BlockJob *job, int type) {
  if (job->kind == BLOCK_JOB_PULL)
    return type == VIR_DOMAIN_BLOCK_JOB_TYPE_PULL;
  return type == VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT || type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT;
}

/* A mirror to another layer than ours comes from an earlier plan. */
static gboolean mirrors_elsewhere(virDomainPtr domain, const BlockJob *job, gboolean *ret_elsewhere, GError **error) {
  g_auto(LiveDisk) live = { 0 };
  if (!read_live(domain, job->target, &live, error))
    return FALSE;
  *ret_elsewhere = live.disk->job && g_strcmp0(live.disk->job_path, job->base) != 0;
  return TRUE;
}

/* libvirtd died while it began one, and believes its own note of it rather than QEMU, which has none. Only another QEMU helps. */
static gboolean check_believed(virDomainPtr domain, const BlockJob *job, GError **error) {
  g_auto(LiveDisk) live = { 0 };
  if (!read_live(domain, job->target, &live, error))
    return FALSE;
  return !live.disk->job || act_refuse(error, "libvirt takes disk %s of domain %s for one with a block job (%s), and has none: it died when one was begun. "
                                       "Shut the machine down and start it again", job->target, virDomainGetName(domain), live.disk->job);
}

/* A job that runs already, of an interrupted run: with the bandwidth of today it goes on. */
static gboolean take_up(virDomainPtr domain, const BlockJob *job, gboolean *ret_runs, GError **error) {
  const char *name = virDomainGetName(domain);
  virDomainBlockJobInfo info = { 0 };
  gboolean elsewhere = FALSE;
  if (!job_info(domain, job->target, ret_runs, &info, error))
    return FALSE;
  if (!*ret_runs)
    return check_believed(domain, job, error);
  if (!is_of_kind(job, info.type))
    return act_refuse(error, "a block job (%s) runs on disk %s of domain %s: wait for it, or end it ('virsh blockjob %s %s --abort')",
                      kind_words[(guint)info.type < G_N_ELEMENTS(kind_words) ? info.type : 0], job->target, name, name, job->target);
  if (!mirrors_elsewhere(domain, job, &elsewhere, error))
    return FALSE;
  if (elsewhere) {
    *ret_runs = FALSE;
    return block_job_abort(domain, job->target, error);
  }
  /* It may end at this moment: then there is nothing to limit. */
  virDomainBlockJobSetSpeed(domain, job->target, job->bandwidth, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES);
  return TRUE;
}

static gboolean start(virDomainPtr domain, const BlockJob *job, GError **error) {
  g_auto(LiveDisk) live = { 0 };
  if (!read_live(domain, job->target, &live, error))
    return FALSE;
  const char *name = virDomainGetName(domain);
  int result;
  if (job->kind == BLOCK_JOB_PULL) {
    result = job->base ? virDomainBlockRebase(domain, job->target, job->base, job->bandwidth, VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES)
                       : virDomainBlockPull(domain, job->target, job->bandwidth, VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES);
  } else {
    guint flags = VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES;
    if (position(live.disk, job->top) == 0)
      flags |= VIR_DOMAIN_BLOCK_COMMIT_ACTIVE;
    result = virDomainBlockCommit(domain, job->target, job->base, job->top, job->bandwidth, flags);
  }
  if (result < 0)
    return libvirt_fail(error, "cannot start to %s disk %s of domain %s", job->kind == BLOCK_JOB_PULL ? "flatten" : "merge layers of",
                        job->target, name);
  FAULT("block job: started");
  return TRUE;
}

/* An active commit whose layers are equal: now the machine goes over to base. */
static gboolean pivot_when_ready(virDomainPtr domain, const BlockJob *job, gboolean *ret_pivoted, GError **error) {
  g_auto(LiveDisk) live = { 0 };
  if (!read_live(domain, job->target, &live, error))
    return FALSE;
  *ret_pivoted = live.disk->job_ready;
  if (!live.disk->job_ready)
    return TRUE;
  FAULT("block job: ready");
  const char *name = virDomainGetName(domain);
  if (LIFE_LONG(virDomainBlockJobAbort(domain, job->target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)) < 0) /* QEMU flushes base first */
    return libvirt_fail(error, "cannot let disk %s of domain %s go over to %s", job->target, name, job->base);
  FAULT("block job: pivoted");
  return TRUE;
}

/* A fiftieth of the time so far: its end is noticed soon, compared to what it took. */
static guint next_wait(gint64 began) {
  gint64 milliseconds = (g_get_monotonic_time() - began) / 1000 / 50;
  return (guint)CLAMP(milliseconds, 5, LONGEST_WAIT_MILLISECONDS);
}

/* Until no job runs any more. */
static gboolean follow(const ActionContext *context, const Action *action, virDomainPtr domain, const BlockJob *job, GError **error) {
  for (gint64 began = g_get_monotonic_time();;) {
    virDomainBlockJobInfo info = { 0 };
    gboolean runs, pivoted = FALSE;
    if (!job_info(domain, job->target, &runs, &info, error))
      return FALSE;
    if (!runs)
      return TRUE;
    act_progress(context, action, info.cur, info.end, job->kind == BLOCK_JOB_PULL ? "flattening" : "merging");
    if (info.type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT && !pivot_when_ready(domain, job, &pivoted, error))
      return FALSE;
    if (!pivoted && !act_sleep(context, next_wait(began), error)) {
      block_job_abort(domain, job->target, NULL); /* what can't be aborted is taken up by the next run */
      return FALSE;
    }
  }
}

gboolean block_job_run(const ActionContext *context, const Action *action, virDomainPtr domain, const BlockJob *job, GError **error) {
  gboolean runs = FALSE, done = FALSE;
  if (!take_up(domain, job, &runs, error) || (runs && !follow(context, action, domain, job, error)) ||
      !check_chain(domain, job, &done, error))
    return FALSE;
  if (done)
    return TRUE;
  if (act_cancelled(context, error) || !start(domain, job, error) || !follow(context, action, domain, job, error) ||
      !check_chain(domain, job, &done, error))
    return FALSE;
  return done || act_fail(error, "the block job on disk %s of domain %s ended without effect (is there space? QEMU's log of the domain "
                          "may say more); the disk is as it was", job->target, virDomainGetName(domain));
}
