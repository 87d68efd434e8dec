/* The whole pipeline in one function: source → desired, host → actual, diff → plan →
 * execute → report. A dry run, one apply, a saved plan and the service are this function,
 * stopped or entered at another place. */
#pragma once
#include "reconciler/act/act.h"
#include "reconciler/plan/plan.h"
#include "reconciler/rules/rules.h"
#include "state/journal.h"
#include "state/observe.h"

typedef struct {
  const char *source;       /* file, directory or git URL; NULL: "." */
  const char *uri;          /* NULL: libvirt's default */
  const char *state_dir;    /* NULL: default */
  const char *host;         /* only this host of a fleet; NULL: all */
  const char *plan_in;      /* --plan FILE */
  const char *plan_out;     /* --plan-out FILE */
  const char *against;      /* --against FILE: a saved observation instead of a host; dry run only */
  gboolean dry_run, preflight, prune;
  gboolean forbid_extra;    /* no raw device XML, whoever wrote it */
  guint allow;              /* bits of Impact beyond none, live, next-start */
  guint prune_percent;      /* most of what we own that one run may delete; 0: default 30 */
  gboolean prune_by_day;    /* what was deleted in the last 24 hours counts too */
  gboolean collect;         /* delete base images that nothing uses … */
  guint64 collect_age;      /* … and nobody touched for so many milliseconds */
  guint jobs;               /* parallel objects; 0: default 4 */
  GCancellable *cancel;
  const Rules *rules;       /* of the configuration: what may be done now; NULL: what `allow` says, whole or not at all */
  /* What a service keeps from run to run: borrowed. NULL: the run opens and reads it itself. */
  GPtrArray *known;         /* of KnownHost *: the hosts; each is told what this run saw of it */
  Journal *journal;         /* JOURNAL_WRITE */
  const Desired *desired;   /* instead of reading `source`; with identity, and revision or NULL */
  /* The source of `identity`, asked anew: NULL with error. NULL: the run reads `source` again, or what a saved plan names. */
  Desired *(*read_again)(gpointer data, GError **error);
  gpointer read_again_data;
  const char *revision;
  const char *cause;        /* why a service makes this run; NULL: somebody runs it */
  const char *const *formerly; /* names and addresses that the source had before it moved; NULL: it hasn't */
  const char *identity;     /* name under which machines remember the source; NULL: what the source says */
} RunOptions;

typedef enum { RESULT_PENDING, RESULT_DONE, RESULT_FAILED, RESULT_SKIPPED, RESULT_REFUSED, RESULT_CANCELLED } ResultKind;
typedef struct {
  const Action *action;
  ResultKind kind;
  char *message; /* error or reason; of what is done: a remark; or NULL */
  gint64 milliseconds;
} ActionResult;

/* What the run tells while it works; called from the run's own thread, one at a time. */
typedef struct {
  void (*planned)(gpointer data, const Plan *plan);
  void (*started)(gpointer data, const Plan *plan, const Action *action);
  void (*progress)(gpointer data, const Action *action, guint64 done, guint64 total, const char *phase);
  void (*ended)(gpointer data, const Plan *plan, const ActionResult *result);
  void (*silent)(gpointer data, const char *message); /* the only host has stopped to answer: from another thread */
  gpointer data;
} RunEvents;

typedef struct {
  Diagnostics *diagnostics; /* of the source */
  Desired *desired;         /* of the source, where the run has read it */
  Actual *actual;           /* what the plan was made from; NULL when there were errors before, for a fleet and for a service */
  char *taken;              /* when the saved observation was taken; NULL: the host was looked at */
  Plan *plan;               /* NULL when there were errors before */
  GPtrArray *results;       /* of ActionResult *, in the plan's order; NULL on a dry run */
  int exit_status;          /* 0, 1, 2, 3 as on the command line */
  GError *error;            /* what stopped the run, if anything did */
  gint64 opens;             /* when a maintenance window opens that something waits for; 0: nothing does */
} RunResult;
void run_result_free(RunResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RunResult, run_result_free)

RunResult *pipeline_run(const RunOptions *options, const RunEvents *events);
