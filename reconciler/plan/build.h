/* Putting a plan together: objects, actions in order, and what waits for what. */
#pragma once
#include "reconciler/plan/compare.h"
#include "reconciler/plan/uses.h"

typedef struct {
  const PlanInput *input;
  Plan *plan;
  Uses *uses;
  GHashTable *compared; /* of compare_machines */
  GHashTable *ready; /* object id → id of the action after which it can be used */
  GHashTable *failed; /* object id → why nothing may rely on it */
  guint next;        /* number of the next action */
  guint64 scratch;   /* what its actions take in the state directory */
} PlanBuilder;

/* A new entry in the plan. place may be empty. */
PlanObject *build_object(PlanBuilder *builder, Kind kind, const char *name, ChangeKind change, const Object *declared);
void build_error(PlanBuilder *builder, PlanObject *object, char *message /* taken */);
void build_note(PlanObject *object, char *note /* taken */);

/* The next action of an object; arguments are key, value pairs up to NULL (pairs with a NULL
 * value are left out). It waits for `after` (may be NULL). Description is taken. */
Action *build_action(PlanBuilder *builder, const PlanObject *object, ActionKind kind, const char *after,
                     char *description, ...) G_GNUC_NULL_TERMINATED;
/* Makes it the last one of the plan. */
void build_last(PlanBuilder *builder, Action *action);
void build_wait(Action *action, const char *after /* may be NULL */);
void build_wait_end(Action *action, const char *after); /* however that ends */
void build_wait_all(Action *action, const GPtrArray *actions); /* for each Action * but itself */
/* From now on, who uses the object waits for this action. */
void build_ready(PlanBuilder *builder, Kind kind, const char *name, const Action *action);
/* The action after which an object can be used; NULL: at once. */
const char *build_needs(const PlanBuilder *builder, Kind kind, const char *name);
/* Why an object can't be relied on; NULL: it can. */
const char *build_failed(const PlanBuilder *builder, Kind kind, const char *name);

/* What is brought to where the program runs takes room in the state directory. Why there isn't enough for all that the plan
 * brings, or NULL. `instead`: what else helps, as ", leave out compress"; or "". */
char *build_scratch(PlanBuilder *builder, guint64 bytes, const char *doing, const char *instead);

/* The machine was taken from this source by another, and is declared here still: two sources would take it from each other
 * for ever. Why nothing is done to it, or NULL. */
char *build_contested(const PlanBuilder *builder, const ActualDomain *domain);
/* The first of the changes (FieldChange *) that may never be made, as an error; NULL: none. */
char *build_refusal(const GPtrArray *changes);

/* Whether a pool or network is and shall be started, and with the host. */
typedef struct {
  gboolean exists, ours, active, autostarts; /* now */
  gboolean state_given, autostart_given; /* by the file: */
  PoolState state;
  gboolean autostart;
} Activity;
/* To be made, or left half made by a run that was interrupted. */
gboolean activity_is_new(const Activity *activity);
/* The file says that the pool or network of this name, started or not, isn't to be. */
gboolean activity_is_to_stop(const PlanBuilder *builder, Kind kind, const char *name);
Action *plan_activity(PlanBuilder *builder, const PlanObject *object, const Activity *activity, Action *last);

/* The stages, each in a file of its own, called kind by kind. */
void plan_storage_pool(PlanBuilder *builder, const Object *object);
/* What a pool can't give: unknown, failed, or stopped. NULL: it can be used. */
char *plan_pool_trouble(PlanBuilder *builder, const char *pool);
void plan_image(PlanBuilder *builder, const Object *object);
void plan_volume(PlanBuilder *builder, const Object *object);
void plan_network(PlanBuilder *builder, const Object *object);
void plan_vm(PlanBuilder *builder, const Object *object);
/* Machines of a fleet that leave this host, and what earlier moves left behind. */
void plan_migrations(PlanBuilder *builder);
void plan_orphans(PlanBuilder *builder);
void plan_collect(PlanBuilder *builder);

/* Gives an action that starts a machine or grows a disk the base images that must be what they were: those in
 * the chains of `disks` (of ActualDisk *; may be NULL), and those that `sources` (of DiskSource *; may be NULL)
 * are made on. */
void plan_bases(const PlanBuilder *builder, Action *action, const GPtrArray *disks, const GPtrArray *sources);

/* What a machine needs of the other objects (vm_needs.c). Why one of its networks can't be used, or NULL; found:
 * NULL when it is to be created. */
char *plan_network_trouble(PlanBuilder *builder, const VmSpec *vm, const ActualDomain *found);
/* Has the action wait for what the machine uses. Why that can't be had, or NULL. */
char *plan_wait_for_others(PlanBuilder *builder, const PlanObject *object, const GPtrArray *sources, Action *action);
/* Why it couldn't be started, were it off; NULL: nothing is known of it. */
char *plan_start_trouble(PlanBuilder *builder, const VmSpec *vm);
/* What plan_wait_for_others does, of a start: pools and networks that this plan starts. existing: NULL when it is to be created. */
void plan_wait_to_start(PlanBuilder *builder, const VmSpec *vm, const ActualDomain *existing, Action *action);

/* What it would newly share with machines that no file declares (shared.c): noted. Why that can't be, or NULL. */
char *plan_shared(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources);
/* Gives the action that defines it the files that it takes and will write to: a layer that no pool knows yet may lie upon one. */
void plan_taken(const PlanBuilder *builder, Action *define, const ActualDomain *found, const GPtrArray *sources);

/* Volumes of its disks (disks.c): new ones, and growth of those that it has. Why they can't be had, or NULL. */
char *plan_disk_volumes(PlanBuilder *builder, PlanObject *object, const GPtrArray *sources, GPtrArray *actions);
char *plan_disk_growth(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* Whether a change is the size of a disk that the machine has; and why that can't be had, or NULL. running: the machine runs
 * when it is grown. */
gboolean plan_is_growth(const FieldChange *change);
/* Why libvirt can't grow a volume itself, as it is; NULL: it can. */
char *plan_looks_otherwise(const ActualVolume *volume /* or NULL */);
char *plan_growth_refusal(const PlanBuilder *builder, const Object *desired, const ActualDomain *found, const FieldChange *change, gboolean running);
/* The action that grows it where it is, for which nothing was refused. */
Action *plan_growth(PlanBuilder *builder, const PlanObject *object, const Object *desired, const ActualDomain *found, const FieldChange *change);
/* Notes what newly says how a disk is made that is there already. */
void plan_disks_as_made(PlanBuilder *builder, PlanObject *object, const ActualDomain *found);
/* Notes where the content is of those that leave the file: a new target for an old disk begins with a blank one. */
void plan_disks_left(PlanObject *object, const ActualDomain *found);

/* Stages of a machine that is there: each appends its actions and has them wait for all before.
 * Layers (depth.c). */
void plan_chain(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* What an interrupted run left (settle.c): a helper domain that holds a disk, first of all; volumes, before the
 * power; and after it, what disks were before they were replaced. */
Action *plan_helper_end(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* Why a device can't leave a machine that is hibernated; NULL: none does, or the machine comes back, or the memory is discarded, first, and
 * nothing else is planned (ret_complete). */
char *plan_saved_memory(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions,
                        gboolean *ret_complete);
/* Has it come back from its saved memory; what that lacks of the file is done then (power.c). */
void plan_restore(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions);
void plan_settle(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* A disk of a machine that is off, whose file may not hold all that it says (reconciler/act/layer_pulled.h), is made whole before
 * anything else looks at it; or of one that `actions` shut down. FALSE: there is none. */
gboolean plan_flattened(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* A layer on a disk that may lack something would hide that, and nobody is given it as a whole: noted, and looked at again in the
 * same run, when this plan has seen to the disk. `found` may be NULL. */
gboolean plan_waits_for_flush(PlanObject *object, const ActualDomain *found, const char *what, const char *name);
/* Takes such disks' actions, and what comes after them, out of a running machine's: where it is shut down, they come after that. */
GPtrArray *plan_settle_off(const ActualDomain *found, GPtrArray *actions);
void plan_retired(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* Why a disk can't be replaced now, since it was before; NULL: it wasn't, or that is settled by then. */
char *plan_retired_wait(const ActualDomain *found, const char *target);

/* Snapshots of a machine (snapshots.c). Declared ones are taken first of all; `found` NULL: after it was
 * defined. Returns why it can't be, or NULL; appends its actions, which wait for all in `actions` before. */
char *plan_snapshots_taken(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, GPtrArray *actions);
/* One by the clock: nothing waits for it, and it for nothing. NULL: none is due, or it can't be taken (noted). */
Action *plan_snapshots_due(PlanBuilder *builder, PlanObject *object, const ActualDomain *found);
/* Those of ours that are declared no more, or had their time; after `due` (may be NULL) and all of `actions`. */
void plan_snapshots_removed(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const Action *due, GPtrArray *actions);
/* Why something else needs a snapshot's layers, or what they are based on; NULL: it can be removed. `gone`: what earlier
 * actions of the plan remove, paths of layers and names; plan_snapshot_gone adds to it, and to `action`, which removes the
 * snapshot, the room that this takes. */
char *plan_snapshot_kept(PlanBuilder *builder, const ActualDomain *found, const ActualSnapshot *snapshot, GHashTable *gone);
void plan_snapshot_gone(const ActualDomain *found, const ActualSnapshot *snapshot, Action *action, GHashTable *gone);
/* Disks that shall have another format (convert.c): shows that, and returns why one can't (NULL: all can); and
 * the actions, where the machine is off at this point of the plan. found may be NULL. */
char *plan_convert_fields(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources);
void plan_convert(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions);

/* Exports that weren't written yet (exports.c). found NULL: to be created. Returns why one can't be, or NULL. */
char *plan_exports(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions);

/* Live changes of a running machine, as actions after the one with the id `after` (NULL: none), which are added to ret_actions. */
void plan_live_changes(PlanBuilder *builder, PlanObject *object, const ActualDomain *domain, const char *after, GPtrArray *ret_actions);
/* Going back to a snapshot, as the file asks for or as was begun. Returns why it can't be, or NULL; `ret_alone`: this
 * run does nothing else to the machine, since what it is then is known only then. */
char *plan_revert(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions,
                  gboolean *ret_alone);
/* How a machine is shut down, as arguments of an action that does; unless_told: whether it is powered off in the end when
 * its file doesn't say. Returns it in words. Free it. */
char *plan_shutdown(const VmSpec *vm, gboolean unless_told, Action *action);
/* Whether the machine may be restarted for changes that wait for its next start. */
gboolean plan_may_restart(const PlanBuilder *builder, const VmSpec *vm);
/* The power state; waits for all of `before`. Restarts when that is allowed and due. */
void plan_power(PlanBuilder *builder, PlanObject *object, const ActualDomain *existing, const GPtrArray *sources, GPtrArray *before);
