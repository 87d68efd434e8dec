/* The plan: what differs, and the ordered actions that mend it. A value: made by the pure
 * stages, printed, saved, loaded, and all that execute reads. */
#pragma once
#include "schema/document.h"

typedef enum { IMPACT_NONE, IMPACT_LIVE, IMPACT_NEXT_START, IMPACT_RESTART, IMPACT_DATA_LOSS, IMPACT_N } Impact;
extern const char *const impact_words[IMPACT_N + 1]; /* "none", "live", "next-start", "restart", "data-loss" */

typedef enum {
#define ACTION(id, name, function, impact, help) ACTION_##id,
#include "reconciler/plan/actions.def"
#undef ACTION
  ACTION_N
} ActionKind;
extern const char *const action_words[ACTION_N + 1]; /* "pool-define", … */
extern const Impact action_least_impact[ACTION_N];    /* what its row says */

typedef struct {
  ActionKind kind;
  char *id;          /* "a1": unique in the plan, stable for the same input; "b1": of what followed */
  char *object;      /* as plan_object_id says: "vm/web-1" */
  Impact impact;
  GPtrArray *after;  /* of char *: ids of actions that must have ended well */
  GPtrArray *regardless; /* of char *: those in `after` that need only have ended, however that was; NULL: none */
  StringMap *args;   /* what the action needs beyond its object; see reconciler/plan/actions.def */
  char *description; /* one line for people, present tense: "grow disk vda from 10GiB to 20GiB" */
  gboolean permitted; /* the object's own spec permits the impact (powerState, updatePolicy) */
} Action;

/* Whether an action can't do without the success of one that it comes after. */
gboolean action_needs_success(const Action *action, const Action *before);
/* To another host: there it has the next epoch. */
gboolean action_moves(const Action *action);
/* A stopped machine's disk gets a new volume with the same content. */
gboolean action_replaces_disk(const Action *action);

typedef enum { CHANGE_NONE, CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE, CHANGE_ORPHAN, CHANGE_ERROR, CHANGE_N } ChangeKind;
extern const char *const change_words[CHANGE_N + 1]; /* "none", "create", … */

/* One field that differs. Secrets are shown as "(secret)". */
typedef struct {
  char *path;          /* "memory.size", "disks[vda].ioLimits.read", "disks[vdb]" for a whole item */
  char *from, *to;     /* canonical text; NULL: unset */
  const Field *field;  /* row; NULL in a loaded plan */
  const char *list;    /* path of the list or device group it belongs to: "disks"; interned; NULL: none */
  char *match;         /* match value of the item: "vda", a MAC; NULL: not of a list */
  Effect effect;       /* how it takes effect here, context considered */
  Call call;           /* with EFFECT_LIVE_CALL */
  gboolean whole;      /* the whole item (list) or device (group) appears or goes */
  gboolean persistent; /* the definition differs */
  gboolean live;       /* the running machine differs */
  gboolean pending;    /* waits for the next start */
  char *why;           /* EFFECT_NEVER: the reason; else NULL or a remark */
} FieldChange;
void field_change_free(FieldChange *change);
/* "none", "live", "next-start", "never"; and how live it is: "call", "update", "replug", else NULL. */
const char *effect_word(Effect effect);
const char *effect_via(Effect effect);

/* Why some or all that was planned for an object isn't done now (reconciler/rules/rules.h); its notes say more. */
typedef enum { HOLD_NONE, HOLD_SUSPENDED, HOLD_BACKOFF, HOLD_FORBIDDEN, HOLD_WINDOW, HOLD_OTHER, HOLD_N } HoldKind;
extern const char *const hold_words[HOLD_N + 1]; /* "none", "suspended", … */

typedef struct {
  Kind kind;
  char *name;
  char *host;             /* of the fleet; NULL: the only one */
  ChangeKind change;
  HoldKind hold;          /* not saved */
  gboolean passing;       /* the error is over by itself, and libvirt tells when; not saved */
  gboolean follows;       /* what this brings to light is looked at and done in the same run; not saved */
  Impact shown;           /* … and may be so much, as its notes say; not saved */
  gboolean adopt;         /* it is taken over: only our record is written for that */
  GPtrArray *fields;      /* of FieldChange * */
  char *error;            /* CHANGE_ERROR: what is wrong, and what to do next */
  GPtrArray *notes;       /* of char *: remarks, such as pending restarts and orphans' fate */
  char *place;            /* file:line of the declaration; NULL for orphans */
  Object *declared;       /* as the files say, profiles merged, MACs derived: what our record keeps; not changed any more */
  Object *desired;        /* resolved on this host: paths, formats, type, UUID; NULL for orphans */
  char *fingerprint;      /* of the object when planned; "absent" when it wasn't there */
  GPtrArray *needs;       /* of PlanNeed *, until the plan of all hosts is linked; NULL: none; not saved */
} PlanObject;
void plan_object_free(PlanObject *object);
/* A pool or network of another host that has to be started before a machine can come there. */
typedef struct { char *host, *id, *otherwise; } PlanNeed; /* otherwise: the error where it won't be */
void plan_need(PlanObject *object, Kind kind, const char *host, const char *name, char *otherwise /* taken */);
/* "vm/web-1", in a fleet "kvm-1/vm/web-1"; free it. */
char *plan_object_id(const PlanObject *object);

/* A host of a fleet's plan. */
typedef struct {
  char *name, *connection;
  guint jobs, migrations; /* its limits; 0: not given */
  HostSpec *spec;         /* what of its declaration the actions need: pools that it shares; NULL: nothing */
  gboolean unasked;       /* it couldn't be asked, or is fenced: nothing is done there */
  gboolean fenced;        /* as it was declared when planned: a saved plan counts it as given up */
} PlanHost;

typedef struct {
  char *source, *revision; /* identity of the source, and its commit (NULL for a directory) */
  gboolean rewritten;      /* the commit doesn't follow from the one before: nothing is deleted for it */
  char *connection;        /* the URI; NULL for a fleet */
  GPtrArray *hosts;        /* of PlanHost *, of a fleet, by name; else empty */
  GPtrArray *objects;      /* of PlanObject *, by kind, then name */
  GPtrArray *actions;      /* of Action *, in a total, stable order that respects `after` */
  char *refused;           /* the whole plan may not be applied: why (deletion guard, space) */
  char *short_pool;        /* the pool that has too little space for it; not saved */
} Plan;
Plan *plan_new(void);
void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)
const PlanObject *plan_object(const Plan *plan, const char *object_id);
void action_free(Action *action);
/* Takes out what was planned for an object: it is brought in line as a whole or not at all. */
void plan_drop_actions(Plan *plan, const char *object_id);
/* Makes an error of an object, with the reason: nothing of what was planned for it is done. */
void plan_reject(Plan *plan, PlanObject *object, char *error /* taken */);

typedef struct { guint create, update, delete, adopt, unchanged, errors, orphans, pending, actions; } PlanSummary;
PlanSummary plan_summary(const Plan *plan);
/* Whether there is nothing to do: an adoption is something to do, too. */
gboolean plan_in_sync(const Plan *plan);

/* As in the command line's fixed format, plus what applying it later needs. */
char *plan_to_json(const Plan *plan);
Plan *plan_from_json(const char *text, const char *what, GError **error);
