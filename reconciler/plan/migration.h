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
  GString *shared;        /* pools that are relied on to be shared, one a line */
  guint64 bytes;          /* that are copied */
  const char *last;       /* id of the last action */
} Move;

/* The next action of the move, which waits for the one before. */
Action *move_act(Move *move, ActionKind kind, char *description /* taken */);
void move_set_number(Action *action, const char *key, guint64 value);
/* What the machine is now: as it runs, or as it is defined. */
const VmSpec *move_spec(const Move *move);

/* Why it can't go while it runs; NULL: it can. */
const char *move_not_live(const ActualDomain *domain);
/* Whether it goes while it runs, as far as its devices and its file say; else, whether it may be stopped for that. */
gboolean move_goes_live(const VmSpec *vm, const ActualDomain *domain);
gboolean move_may_stop(const PlanBuilder *builder, const VmSpec *vm);
/* Why it can't go that way; NULL: nothing that can be known beforehand. Free it. */
char *move_refusal(const Move *move);

/* Looks at all that has to be there before the machine, and plans what can be brought while it still runs: bases,
 * media, kernel and initrd. Returns why that can't be, or NULL. */
char *move_storage(Move *move);
/* Plans the disks themselves: copied, or prepared for a live migration. */
void move_disks(Move *move);

/* Its UEFI variables and TPM (migration_state.c): why they can't go that way, or NULL. */
char *move_state_refusal(const Move *move);
/* Plans what is left to do about them: last before it goes. */
void move_state(Move *move);
/* Tells an action where they are. */
void move_state_note(const Move *move, Action *action);

/* What differs beside the host (migration_changes.c), once its storage is planned: shows what is done on the way.
 * ret_resize: CPU or memory; ret_rest: there is more, which the record must not call applied. */
void move_changes(Move *move, gboolean *ret_resize, gboolean *ret_rest);

/* What all machines together bring to a host's pool must fit: those that don't become errors. */
void moves_check_space(Plan *plan, const Fleet *fleet);
