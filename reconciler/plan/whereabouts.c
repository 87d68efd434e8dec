#include "reconciler/plan/whereabouts.h"

typedef struct {
  const FleetHost *host; /* where our copy is; NULL: none */
  const ActualDomain *copy;
  gboolean absent;       /* the host of our history was asked, and has none of its name */
  gboolean unsure;       /* of what there is, or which of them counts */
} Seen;

/* By its address, which is the same whatever the file calls it; what was noted without is known by its name. */
static gboolean is_the_host(const FleetHost *host, const JournalPlace *place) {
  return place->uri != NULL ? g_strcmp0(host->uri, place->uri) == 0 : g_strcmp0(host->name, place->host) == 0;
}

static void look_at(const FleetHost *host, const char *machine, const JournalPlace *place, Seen *seen) {
  const ActualDomain *domain = host->actual != NULL ? g_hash_table_lookup(host->actual->domains, machine) : NULL;
  if (fleet_host_is_silent(host) || (domain != NULL && domain->owner == NULL && (domain->error != NULL || is_the_host(host, place))))
    seen->unsure = TRUE;
  else if (domain == NULL)
    seen->absent = seen->absent || (host->actual != NULL && is_the_host(host, place));
  else if (domain->owner != NULL) {
    seen->unsure = seen->unsure || seen->host != NULL;
    seen->host = host;
    seen->copy = domain;
  }
}

static gboolean is_on_its_way(const FactsSpec *facts) { return given(facts, FactsSpec, movingTo) || given(facts, FactsSpec, arriving); }

/* The record of the only copy says that it is the one that was put there, or that it left from there. */
static gboolean is_from_there(const Fleet *fleet, const JournalPlace *place, const FactsSpec *facts) {
  return fleet_has_lost(fleet, place) && (g_strcmp0(facts->home, place->host) == 0 || g_strcmp0(facts->movedFrom, place->host) == 0);
}

gboolean fleet_place_is_over(const Fleet *fleet, const char *machine, const JournalPlace *place, const FleetHost **ret_now) {
  Seen seen = {.host = NULL};
  *ret_now = NULL;
  if (!fleet_is_of(fleet, place->source))
    return FALSE;
  for (guint i = 0; i < fleet->hosts->len; i++)
    look_at(fleet->hosts->pdata[i], machine, place, &seen);
  if (seen.unsure || (seen.host != NULL && is_on_its_way(&seen.copy->owner->facts)))
    return FALSE;
  if (seen.host == NULL)
    return seen.absent;
  *ret_now = seen.host;
  gboolean same = g_strcmp0(seen.host->name, place->host) == 0 && g_strcmp0(seen.host->uri, place->uri) == 0;
  return !same && (seen.absent || is_the_host(seen.host, place) || is_from_there(fleet, place, &seen.copy->owner->facts));
}
