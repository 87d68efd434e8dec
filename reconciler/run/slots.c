#include "reconciler/run/slots.h"

#define JOBS 4       /* where nothing is said, also in the help of the fields */
#define MIGRATIONS 2

typedef struct {
  guint most_jobs, most_moves;
  guint jobs, moves; /* now */
} HostSlots;

struct Slots {
  GHashTable *hosts;  /* name ("" for the only one) → HostSlots * */
  GHashTable *moving; /* PlanObject * → HostSlots * of the host that it moves to: both hosts' places are taken */
  guint most, jobs;
};

static HostSlots *add_host(Slots *slots, const char *name, guint jobs, guint moves) {
  HostSlots *host = g_new0(HostSlots, 1);
  host->most_jobs = jobs;
  host->most_moves = moves;
  slots->most += jobs;
  g_hash_table_insert(slots->hosts, (gpointer)name, host);
  return host;
}

Slots *slots_new(const Plan *plan, guint jobs) {
  Slots *slots = g_new0(Slots, 1);
  slots->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  slots->moving = g_hash_table_new(g_direct_hash, g_direct_equal);
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *host = plan->hosts->pdata[i];
    add_host(slots, host->name, host->jobs != 0 ? host->jobs : jobs != 0 ? jobs : JOBS, host->migrations != 0 ? host->migrations : MIGRATIONS);
  }
  if (plan->hosts->len == 0)
    add_host(slots, "", jobs != 0 ? jobs : JOBS, MIGRATIONS);
  if (jobs != 0)
    slots->most = MIN(slots->most, jobs);
  return slots;
}

void slots_free(Slots *slots) {
  if (slots == NULL)
    return;
  g_hash_table_unref(slots->hosts);
  g_hash_table_unref(slots->moving);
  g_free(slots);
}

guint slots_most(const Slots *slots) { return slots->most; }

gboolean slots_full(const Slots *slots) { return slots->jobs >= slots->most; }

static HostSlots *host_of(const Slots *slots, const char *name) { return g_hash_table_lookup(slots->hosts, name != NULL ? name : ""); }

/* The host that a step moves its machine to; NULL: it doesn't. What comes after it has arrived needs no place. */
static HostSlots *moves_to(const Slots *slots, const Action *action) {
  switch (action->kind) {
  case ACTION_MOVE_CHECK:
  case ACTION_MOVE_BASE:
  case ACTION_MOVE_FILE:
  case ACTION_MOVE_PREPARE:
  case ACTION_MOVE_VOLUME:
  case ACTION_DOMAIN_MIGRATE:
  case ACTION_DOMAIN_ARRIVE:
    return host_of(slots, string_map_get(action->args, "to"));
  default:
    return NULL;
  }
}

static gboolean has_job(const HostSlots *host) { return host == NULL || host->jobs < host->most_jobs; }
static gboolean has_move(const HostSlots *host) { return host->moves < host->most_moves; }

gboolean slots_take(Slots *slots, const PlanObject *object, const Action *action) {
  HostSlots *here = host_of(slots, object->host), *there = moves_to(slots, action);
  gboolean enters = here != NULL && there != NULL && !g_hash_table_contains(slots->moving, object);
  if (slots_full(slots) || !has_job(here) || !has_job(there) || (enters && (!has_move(here) || !has_move(there))))
    return FALSE;
  slots->jobs++;
  if (here != NULL)
    here->jobs++;
  if (there != NULL)
    there->jobs++;
  if (enters) {
    here->moves++;
    there->moves++;
    g_hash_table_insert(slots->moving, (gpointer)object, there);
  }
  return TRUE;
}

void slots_give(Slots *slots, const PlanObject *object, const Action *action) {
  HostSlots *here = host_of(slots, object->host), *there = moves_to(slots, action);
  slots->jobs--;
  if (here != NULL)
    here->jobs--;
  if (there != NULL)
    there->jobs--;
}

void slots_rest(Slots *slots, const PlanObject *object) {
  HostSlots *here = host_of(slots, object->host), *there = g_hash_table_lookup(slots->moving, object);
  if (there == NULL)
    return;
  here->moves--;
  there->moves--;
  g_hash_table_remove(slots->moving, object);
}
