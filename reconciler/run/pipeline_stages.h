/* The stages of a run, for pipeline.c alone: each fills in its part, or stops the run. */
#pragma once
#include "reconciler/act/host_lock.h"
#include "reconciler/plan/fleet_plan.h"
#include "reconciler/run/execute.h"
#include "reconciler/run/fleet_open.h"
#include "reconciler/run/pipeline.h"
#include "reconciler/run/silence.h"

typedef struct {
  const RunOptions *options;
  const RunEvents *events;
  RunResult *result;
  Fleet *fleet;          /* NULL: the run has stopped before it had one */
  Observation *saved;    /* --against: instead of the hosts; NULL: they are asked */
  SilenceWatch *silence; /* of the only host; NULL: nobody wants to know, or its connection tells */
  HostLocks *locks;       /* on the hosts of a fleet, once there is something to do */
  GPtrArray *placed;      /* where the machines of a fleet belong */
  Journal *journal;
  const Desired *desired; /* of the source; NULL with a saved plan */
  Desired *read;          /* the same where this run has read it */
  char *source, *revision;
  guint round;            /* how often this run has looked again at what its actions brought to light */
} Pipeline;

/* Both return FALSE, for the stage to return. A refusal ends with the exit status 3. */
gboolean pipeline_stop(Pipeline *pipeline, int exit_status, GError *error /* taken */);
gboolean pipeline_refuse(Pipeline *pipeline, char *message /* taken */);
FleetHost *pipeline_only_host(const Pipeline *pipeline); /* NULL: a fleet's plan */
gboolean pipeline_is_fleet(const Pipeline *pipeline);

/* Source and hosts, side by side (pipeline_read.c). */
extern const ObserveOptions pipeline_everything;
gboolean pipeline_read(Pipeline *pipeline);

/* The plan, of one host or of all (pipeline_plan.c). */
gboolean pipeline_plan(Pipeline *pipeline);
/* Where machines of this source were put, for its fleet (pipeline_places.c); then, once hosts were looked at, what that has shown of it.
 * FALSE: the run has stopped. */
gboolean pipeline_recall(Pipeline *pipeline, const char *source /* as long as the fleet */);
gboolean pipeline_note_places(Pipeline *pipeline);
/* Warns of former places of the source that nothing remembers. */
void pipeline_check_formerly(Pipeline *pipeline);
/* Asks for the checkpoints of the machines that the plan of a host deletes, and adds them to what is known of it (pipeline_deleted.c).
 * TRUE: that is news, and the host is to be planned again. */
gboolean pipeline_ask_checkpoints(const Pipeline *pipeline, const FleetHost *host, const Plan *plan);
/* Takes out of a plan what may not be done on this host, or what the hypervisor judges to be wrong; the rest goes on. */
gboolean pipeline_judge(Pipeline *pipeline, const FleetHost *host, Plan *plan, GError **error);

/* Plans in files (pipeline_saved.c). */
gboolean pipeline_load_plan(Pipeline *pipeline);
gboolean pipeline_check_plan(Pipeline *pipeline); /* the one that was loaded: that it still holds */
gboolean pipeline_save_plan(Pipeline *pipeline);

/* The epochs of copies (pipeline_epochs.c): those that there are, once hosts were looked at; those that a plan gives, before it does; why
 * one that a saved plan gives isn't above all others any more, or NULL. */
gboolean pipeline_know_epochs(Pipeline *pipeline, GError **error);
gboolean pipeline_note_epochs(Pipeline *pipeline, const Plan *plan, GError **error);
char *pipeline_stale_epoch(const Pipeline *pipeline);

/* Whether machines may be made on a fleet: by what the source says now that they are seen to be nowhere (pipeline_confirm.c). A saved plan
 * is refused where that declares other hosts than it knows, or another place for them. */
gboolean pipeline_confirm(Pipeline *pipeline);

/* Stops the run where the plan may not be applied. */
gboolean pipeline_permit(Pipeline *pipeline, const Plan *plan);

/* Acts (pipeline_apply.c); on a fleet after it has been locked, and planned once more. */
gboolean pipeline_lock_fleet(Pipeline *pipeline);
void pipeline_apply(Pipeline *pipeline);
/* What the execution has brought to light, in the same run (pipeline_follow.c). */
void pipeline_follow(Pipeline *pipeline, Execution *execution);
