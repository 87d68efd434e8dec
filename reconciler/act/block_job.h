/* One block job on one disk of a domain that has a QEMU (running, paused, or a helper of
 * offline.h), from its start to its end.
 *
 * COMMIT writes what the layers from `top` down to just above `base` hold into `base`; they leave
 * the chain. Both are always named: without a base libvirt would merge into the lowest layer, which
 * others may use. When top is the disk's top layer, QEMU mirrors from then on and is pivoted to base.
 * PULL copies into the disk's top layer what the layers between it and `base` hold (base NULL: all).
 *
 * The job lives in QEMU: it goes on when this process or libvirtd dies. block_job_run takes up a
 * running one of the same kind, and does nothing where the chain is as wanted already. A job is
 * done when the chain in the live XML says so; that it can be pivoted is what the XML says
 * (<mirror ready='yes'>), which is not the same as 100 %. Cancelled, it is aborted: the chain is
 * then what it was (what was copied until then is redundant and harmless). */
#pragma once
#include "reconciler/act/common.h"

typedef enum { BLOCK_JOB_COMMIT, BLOCK_JOB_PULL } BlockJobKind;

typedef struct {
  BlockJobKind kind;
  const char *target;    /* of the disk in the domain */
  const char *top;       /* COMMIT: path of the uppermost layer that goes */
  const char *base;      /* COMMIT: path of the layer that takes it up; PULL: of what stays below, NULL: nothing */
  guint64 bandwidth;     /* bytes per second; 0: unlimited */
} BlockJob;

/* Whoever calls has made sure that base may be written to (layer_merge.h) and that a running job is ours. */
gboolean block_job_run(const ActionContext *context, const Action *action, virDomainPtr domain, const BlockJob *job, GError **error);

/* libvirt's word for the job that runs on a disk: "pull", "copy", "commit", "active-commit", "backup";
 * NULL without error: none. Not to be freed. */
gboolean block_job_find(virDomainPtr domain, const char *target, const char **ret_kind, GError **error);
/* Ends a running job without effect, if there is one; waits until it has gone. */
gboolean block_job_abort(virDomainPtr domain, const char *target, GError **error);
