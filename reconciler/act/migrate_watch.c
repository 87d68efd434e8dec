/* How a migration ends. What the guest changes is sent again and again; the time that this takes is counted
 * from when everything was sent once, separately for the disks, which come first, and the memory. Meanwhile
 * the pause that is allowed at the end rises to what the file allows. When the time is over, post-copy begins
 * where it is allowed; it needs the disks to be there. Otherwise it is aborted, and the machine stays. */
#include "reconciler/act/migrate.h"
#include "state/fault.h"
#include "state/job_text.h"
#include "state/libvirt/read_job.h"

enum { PAUSE_SECONDS = 5, PATIENT_PAUSES = 12 }; /* until what may not end is given up */

static gint64 give_up_after(void) { return (gint64)fault_patience(PAUSE_SECONDS) * PATIENT_PAUSES * G_USEC_PER_SEC; }

#define STEPS 10               /* in which the downtime rises */
#define QEMU_DOWNTIME 300      /* milliseconds: what QEMU begins with */
#define LOOK_EVERY (250 * 1000) /* microseconds: each look is a question to QEMU, which answers between sending */

/* What the guest writes counts as sent; where each write waits for the target (synchronousWrites), nothing is sent again
 * before all is there: however much it writes, that comes nearer. */
static gboolean disks_sent_once(const Schedule *schedule, const Migration *migration, const ActualJob *job) {
  guint64 once = migration->flags & VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES ? job->disk_total : schedule->first_disks;
  return once > 0 && job->disk_done >= once;
}

/* Milliseconds since which is sent again what was sent. */
static guint64 sent_again_for(Schedule *schedule, const Migration *migration, gint64 now) {
  const ActualJob *job = &migration->last;
  if (!schedule->first_disks)
    schedule->first_disks = job->disk_total;
  if (!schedule->memory && job->iteration > 0) {
    schedule->memory = TRUE;
    schedule->again = 0;
  }
  gboolean once = schedule->memory ? job->iteration > 1 : disks_sent_once(schedule, migration, job);
  if (!schedule->again && once)
    schedule->again = now;
  return schedule->again ? (guint64)(now - schedule->again) / 1000 : 0;
}

/* A longer pause makes it easier to end: from QEMU's own, or a shorter one that the file asks for, to what the file
 * allows. Before the migration has begun this fails, and is tried again. */
static void raise_downtime(virDomainPtr domain, const Migration *migration, guint64 elapsed, guint64 *downtime) {
  guint64 step = MIN(elapsed * STEPS / MAX(migration->timeout, 1), STEPS - 1) + 1;
  guint64 due = MAX(migration->downtime * step / STEPS, MIN(migration->downtime, QEMU_DOWNTIME));
  if (due != (*downtime ? *downtime : QEMU_DOWNTIME) && virDomainMigrateSetMaxDowntime(domain, due, 0) == 0)
    *downtime = due;
}

static void tell(const ActionContext *context, const Action *action, const ActualJob *job, gboolean switched) {
  g_autofree char *rates = job_rates(job);
  g_autofree char *text = g_strdup_printf("%s%s%s", switched ? "post-copy" : job->iteration > 0 ? "memory" : "disks", *rates ? ", " : "", rates);
  if (job->total > 0)
    act_progress(context, action, job->total - MIN(job->remaining, job->total), job->total, text);
}

/* A target that takes nothing: its QEMU stands still, or its storage, while both libvirtds answer. */
static gboolean stands_still(MigrationWatch *watch, const ActualJob *job, gint64 now) {
  const ActualJob *last = &watch->migration->last;
  if (!watch->moved || job->done != last->done || job->remaining != last->remaining || job->disk_done != last->disk_done || job->iteration != last->iteration)
    watch->moved = now;
  return job->total > 0 && now - watch->moved > give_up_after();
}

/* The peer's URI is followed by the source's libvirt alone, all else was asked through another. libvirt knows the machine on the target before
 * anything of it is sent. */
static gboolean goes_astray(MigrationWatch *watch) {
  if (watch->arrives || watch->migration->last.total == 0)
    return FALSE;
  virConnectPtr peer = move_peer(watch->context, watch->action, "to", NULL);
  g_autoptr(VirDomain) there = NULL;
  gboolean told = peer != NULL && move_find_there(peer, watch->context->object->name, &there, NULL);
  watch->arrives = !told || there != NULL;
  return !watch->arrives;
}

static void follow(virDomainPtr domain, MigrationWatch *watch, gboolean stood) {
  Migration *migration = watch->migration;
  if (goes_astray(watch)) {
    watch->schedule.aborted = migration->stray = virDomainAbortJob(domain) == 0;
    return;
  }
  Schedule *schedule = &watch->schedule;
  guint64 elapsed = sent_again_for(schedule, migration, g_get_monotonic_time());
  gboolean late = elapsed > migration->timeout, may_switch = (migration->flags & VIR_MIGRATE_POSTCOPY) && schedule->memory;
  raise_downtime(domain, migration, elapsed, &schedule->downtime);
  if (g_cancellable_is_cancelled(watch->context->cancel) || stood || (late && !may_switch)) {
    schedule->aborted = virDomainAbortJob(domain) == 0;
    migration->stood = schedule->aborted && stood;
    migration->gave_up = schedule->aborted && late && !stood;
  } else if (late) {
    schedule->switched = virDomainMigrateStartPostCopy(domain, 0) == 0;
    if (schedule->switched)
      FAULT("migrate: in post-copy");
  }
}

/* Why libvirt may never end the call; NULL: it will. In post-copy the target's QEMU can stand still, and its libvirtd
 * with it; and what connects to the target, before anything is sent, isn't watched by anybody (9.0). To be freed. */
static char *may_not_end(virDomainPtr domain, const MigrationWatch *watch) {
  const char *to = act_arg(watch->action, "to");
  int state = VIR_DOMAIN_NOSTATE, reason = 0;
  if (watch->schedule.switched)
    return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED
               ? g_strdup_printf("it broke off in post-copy, and %s doesn't answer libvirt here: the next run says what to do", to) : NULL;
  if (watch->migration->stood)
    return g_strdup_printf("nothing of it was taken on %s any more, and libvirt here doesn't end what was aborted: look at QEMU and the storage there; the next run ends it", to);
  g_autoptr(GError) trouble = watch->migration->last.total == 0 ? move_trouble(watch->context, watch->action, "to") : NULL;
  return trouble != NULL ? g_strdup_printf("libvirt here still waits for %s, which can't be asked (%s): nothing was sent, and the machine runs here; when "
                                           "that host answers, libvirt may go on by itself, and the next run ends it", to, trouble->message) : NULL;
}

static gboolean is_lost(virDomainPtr domain, MigrationWatch *watch, gint64 now) {
  g_autofree char *why = may_not_end(domain, watch);
  if (why == NULL)
    watch->lost = 0;
  else if (watch->lost == 0)
    watch->lost = now;
  else if (watch->migration->lost == NULL && now - watch->lost > give_up_after())
    watch->migration->lost = g_steal_pointer(&why);
  return watch->migration->lost != NULL;
}

gboolean migration_look(virDomainPtr domain, gpointer migration_watch) {
  MigrationWatch *watch = migration_watch;
  gint64 now = g_get_monotonic_time();
  ActualJob job;
  if (now < watch->next)
    return TRUE;
  if (is_lost(domain, watch, now))
    return FALSE;
  if (!read_job(domain, &job)) /* not begun yet, or over */
    return TRUE;
  watch->next = now + LOOK_EVERY;
  if (!watch->seen)
    FAULT("migrate: under way");
  watch->seen = TRUE;
  if (!watch->sending && job.iteration > 0)
    FAULT("migrate: memory is sent");
  watch->sending |= job.iteration > 0;
  if (!watch->schedule.switched && !watch->schedule.aborted) {
    gboolean stood = stands_still(watch, &job, now);
    watch->migration->last = job;
    follow(domain, watch, stood);
  }
  tell(watch->context, watch->action, &job, watch->schedule.switched);
  return TRUE;
}
