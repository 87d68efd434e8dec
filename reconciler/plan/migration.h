/* Planning a machine's move to another host: shared by migration.c (the ways), migration_checks.c (what
 * stands in the way), migration_storage.c and migration_state.c (what travels). Pure. */
#pragma once
#include "reconciler/plan/placement.h"
#include "reconciler/plan/build.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const Placed *placed;
  const ActualDomain *domain;
  const VmSpec *vm;       /* as declared */
  const Actual *there;
  const char *to;         /* name of the host */
  gboolean live;
  gboolean starts;        /* one that moves cold is started there */
  GString *disks, *left;  /* targets that are copied; paths that stay behind, one a line */
  GPtrArray *files;       /* of const ActualVolume *: those of the machine that are copied */
  GString *shared;        /* pools that are relied on to be shared, one a line */
  guint64 bytes;          /* that are copied */
  Resolved *resolved;     /* what is declared, made concrete here … */
  GPtrArray *changes;     /* … and FieldChange * to it (move_judge) */
  Action *check;          /* the first action: what it is told grows with the plan */
  const char *last;       /* id of the last action */
} Move;

/* The next action of the move, which waits for the one before. */
Action *move_act(Move *move, ActionKind kind, char *description /* taken */);
void move_set_number(Action *action, const char *key, guint64 value);
/* What the machine is now: as it runs, or as it is defined. */
const VmSpec *move_spec(const Move *move);

/* What an error about it begins with: "it is on A and shall be on B: ". */
char *move_heading(const Placed *placed);
/* Why it can't go while it runs; NULL: it can. bare: its snapshots are gone then. */
const char *move_not_live(const ActualDomain *domain, gboolean bare);
/* Whether it goes while it runs, as far as its devices and its file say; else, whether it may be stopped for that. */
gboolean move_goes_live(const VmSpec *vm, const ActualDomain *domain, gboolean bare);
gboolean move_may_stop(const PlanBuilder *builder, const VmSpec *vm);
/* Why it can't go that way; NULL: nothing that can be known beforehand. Free it. */
char *move_refusal(const Move *move);

/* Looks at all that has to be there before the machine, and plans what can be brought while it still runs: bases,
 * media, kernel and initrd. Returns why that can't be, or NULL. */
char *move_storage(Move *move);
/* Whether a machine only reads one of its disks: a medium, or one that is read-only. */
gboolean move_only_reads(const VmSpec *vm, const char *target);
/* Plans the disks themselves: copied, or prepared for a live migration. */
void move_disks(Move *move);
/* Why a file's pool isn't one on the other host too, or NULL; and that it is what the file says, shared with that one: to be proven. */
char *move_pool_refusal(const Move *move, const ActualVolume *file);
void move_rely_on(const Move *move, const char *pool);

/* Its UEFI variables and TPM (migration_state.c): why they can't go that way, or NULL. */
char *move_state_refusal(const Move *move);
/* Plans what is left to do about them: last before it goes. */
void move_state(Move *move);
/* Its UEFI variables, where they are on storage that is declared to be shared with that host; NULL: they aren't, or there are none. */
const ActualVolume *move_shared_state(const Actual *actual, const FleetHost *now, const ActualDomain *domain, const char *to);
/* Tells an action where they are. */
void move_state_note(const Move *move, Action *action);

/* Its snapshots (migration_snapshots.c). Why they can't go that way; NULL: they can, or there are none. */
char *move_snapshots_refusal(const Move *move);
/* All files of its disks and snapshots, each once: const ActualVolume *, borrowed. ret_unknown (may be NULL): one of a
 * snapshot, of which nothing is known. */
GPtrArray *move_files(const Actual *actual, const ActualDomain *domain, char **ret_unknown);
/* Puts each before what it lies on, and keeps their order else. */
void move_files_from_the_top(GPtrArray *files);
/* Whether a snapshot of the machine names or holds the file, or what it holds lies on that. */
gboolean move_is_kept(const Move *move, const char *path);
/* Who uses a file, that isn't the machine nor one of `files`, as a reason; NULL: nobody. */
char *move_other_user(const Move *move, const GPtrArray *files, const char *path);
/* How it would come to have none, so that it can go while it runs: to be put behind other advice. Empty: it has none. */
char *move_bare_advice(const VmSpec *vm, const ActualDomain *domain);
char *move_snapshot_names(const ActualDomain *domain, const char *separator);
/* The file declares a snapshot that was never taken. */
gboolean move_awaits_snapshots(const VmSpec *vm, const ActualDomain *domain);
/* It arrived, and libvirt there is still to be told of the snapshots that came along; that, in words; and whether it knows
 * all of them already, so that this has only to be noted. */
gboolean move_awaits_notes(const ActualDomain *domain);
char *move_notes_text(const ActualDomain *domain);
gboolean move_has_notes(const ActualDomain *domain);

/* Whether a pool is one with that of its name on the other host. */
gboolean move_is_shared(const Move *move, const char *pool);

/* What differs beside the host (migration_changes.c): why it can never be had, there or here, so that the move isn't begun. NULL: it can. */
char *move_judge(Move *move);
/* Disks that both hosts share grow where it is, before anything stops it. */
void move_grow(Move *move);
/* The same, once its storage is planned: shows what is done on the way.
 * ret_resize: CPU or memory; ret_rest: there is more, which the record must not call applied. */
void move_changes(Move *move, gboolean *ret_resize, gboolean *ret_rest);

/* What is to be true of it where it is before it moves, by this run, which then moves it ("its snapshots are removed"); NULL:
 * nothing. ret_bare: it has no snapshots then. */
const char *move_first(const VmSpec *vm, const ActualDomain *domain, gboolean *ret_bare);

/* The first pool that is too small for what machines bring, as libvirt remembers it from when it looked last. pool NULL: none, or
 * what is known of it is from now. */
typedef struct {
  const FleetHost *host;
  ActualPool *pool;
} MoveShort;
MoveShort moves_short_pool(const Plan *plan, const Fleet *fleet);
/* What all machines together bring to a host's pool must fit: those that don't become errors. */
void moves_check_space(Plan *plan, const Fleet *fleet);
