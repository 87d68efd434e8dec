#include "reconciler/plan/whereabouts.h"

#include "reconciler/plan/ran.h"

/* --- epochs that are given --- */

static gint64 epoch_argument(const Action *action) {
  const char *epoch = string_map_get(action->args, "epoch");
  return epoch != NULL ? g_ascii_strtoll(epoch, NULL, 10) : JOURNAL_NO_EPOCH;
}

/* Of the copy that is there; what comes before in the same plan may have given it another than it had. */
static gint64 epoch_there(const Plan *plan, const FleetHost *host, const char *id) {
  const PlanObject *object = plan_object(plan, id);
  const ActualDomain *domain = object != NULL && host != NULL && host->actual != NULL ? g_hash_table_lookup(host->actual->domains, object->name) : NULL;
  if (domain == NULL || domain->owner == NULL)
    return JOURNAL_NO_EPOCH;
  gint64 epoch = placement_epoch(domain);
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *each = plan->actions->pdata[i];
    if (g_str_equal(each->object, id))
      epoch = MAX(epoch, epoch_argument(each));
  }
  return epoch;
}

gint64 epoch_given(const Plan *plan, const FleetHost *host, const Action *action) {
  if (action->kind == ACTION_DOMAIN_DEFINE)
    return MAX(epoch_argument(action), 0);
  gint64 epoch = action_moves(action) || action->kind == ACTION_MOVE_UNDO ? epoch_there(plan, host, action->object) : JOURNAL_NO_EPOCH;
  return action_moves(action) && epoch != JOURNAL_NO_EPOCH ? MIN(epoch, G_MAXINT64 - 1) + 1 : epoch;
}

/* --- what counts --- */

/* By its address, which is the same whatever the file calls it; what was noted without is known by its name. */
static gboolean is_the_host(const FleetHost *host, const JournalPlace *place) {
  return place->uri != NULL ? g_strcmp0(host->uri, place->uri) == 0 : g_strcmp0(host->name, place->host) == 0;
}

/* Of what isn't at its address any more, the copy is it whose host has that name, or had it when our record was written. */
static gboolean is_there(const Fleet *fleet, const JournalPlace *place, const FleetHost *host, const FactsSpec *facts) {
  gboolean named = g_strcmp0(host->name, place->host) == 0 || g_strcmp0(facts->home, place->host) == 0;
  return is_the_host(host, place) || (named && fleet_has_lost(fleet, place));
}

/* It was put there by a move of this copy, of which that says that nothing of it was there yet. */
static gboolean didnt_arrive(const JournalPlace *place, const ActualDomain *copy) {
  const FactsSpec *facts = &copy->owner->facts;
  return place->epoch == placement_epoch(copy) + 1 && given(facts, FactsSpec, movingTo) && g_str_equal(facts->movingTo, place->host) &&
         !given(facts, FactsSpec, arriving);
}

/* What an older version noted says nothing of epochs: then the record tells where it came from. */
gboolean fleet_place_counts(const Fleet *fleet, const JournalPlace *place, const FleetHost *host, const ActualDomain *copy) {
  const FactsSpec *facts = &copy->owner->facts;
  gint64 epoch = placement_epoch(copy);
  gboolean there = is_there(fleet, place, host, facts);
  if (place->epoch == JOURNAL_NO_EPOCH)
    return !there && g_strcmp0(facts->movedFrom, place->host) != 0;
  return place->epoch == epoch ? !there : place->epoch > epoch && !didnt_arrive(place, copy);
}

/* One move newer is what an interrupted move leaves, of which records tell. */
gboolean fleet_place_is_missed(const Fleet *fleet, const JournalPlace *place, const ActualDomain *copy) {
  if (place->epoch == JOURNAL_NO_EPOCH || place->epoch - 1 <= placement_epoch(copy))
    return FALSE;
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (is_the_host(host, place))
      return host->actual != NULL && !fleet_host_is_fenced(host) && !g_hash_table_contains(host->actual->domains, copy->name);
  }
  return FALSE;
}

/* --- a look --- */

typedef struct {
  const FleetHost *host; /* where the newest copy of ours is; NULL: none */
  const ActualDomain *copy;
  gboolean tied;         /* another one has its epoch */
  gboolean asked;        /* the host of our history was, and says what it has */
  gboolean unsure;       /* of what there is, or there are several */
} Seen;

static void look_at(const FleetHost *host, const char *machine, const JournalPlace *place, Seen *seen) {
  const ActualDomain *domain = host->actual != NULL ? g_hash_table_lookup(host->actual->domains, machine) : NULL;
  gboolean there = place != NULL && host->actual != NULL && is_the_host(host, place);
  if (fleet_host_is_silent(host) || (domain != NULL && domain->owner == NULL && (domain->error != NULL || there))) {
    seen->unsure = TRUE;
    return;
  }
  seen->asked = seen->asked || there;
  if (domain == NULL || domain->owner == NULL)
    return;
  gint64 epoch = placement_epoch(domain), best = seen->copy != NULL ? placement_epoch(seen->copy) : JOURNAL_NO_EPOCH;
  seen->unsure = seen->unsure || seen->copy != NULL;
  seen->tied = epoch == best || (seen->tied && epoch < best);
  if (epoch > best) {
    seen->host = host;
    seen->copy = domain;
  }
}

static gboolean is_on_its_way(const FactsSpec *facts) { return given(facts, FactsSpec, movingTo) || given(facts, FactsSpec, arriving); }

static gboolean is_noted(const JournalPlace *place, const JournalPlace *now) {
  return g_strcmp0(place->host, now->host) == 0 && g_strcmp0(place->uri, now->uri) == 0 && place->epoch == now->epoch && (place->ran || !now->ran) &&
         !place->sent;
}

/* The copy that was put there. */
static gboolean is_it(const JournalPlace *place, const Seen *seen) {
  return place->epoch == placement_epoch(seen->copy) && is_the_host(seen->host, place);
}

/* Also of what was noted without an epoch: there it is; and of the copy that was put there, that it was seen there, or to run, meanwhile. */
static gboolean is_newer(const JournalPlace *place, const Seen *seen) {
  if (is_it(place, seen))
    return place->sent || (ran_since_it_came(seen->copy) && !place->ran);
  return place->epoch != JOURNAL_NO_EPOCH ? placement_epoch(seen->copy) > place->epoch : is_the_host(seen->host, place);
}

static gboolean is_elsewhere(const Fleet *fleet, const JournalPlace *place, const Seen *seen) {
  if (seen->unsure || is_on_its_way(&seen->copy->owner->facts))
    return FALSE;
  gboolean missed = fleet_place_is_missed(fleet, place, seen->copy) && !actual_executes(seen->copy); /* what runs was decided for */
  return (seen->asked && !missed) || (fleet_has_lost(fleet, place) && !fleet_place_counts(fleet, place, seen->host, seen->copy));
}

gboolean fleet_place_is_over(const Fleet *fleet, const char *machine, const JournalPlace *place, JournalPlace *ret_now) {
  Seen seen = {.host = NULL};
  if (place != NULL && !fleet_is_of(fleet, place->source))
    return FALSE;
  for (guint i = 0; i < fleet->hosts->len; i++)
    look_at(fleet->hosts->pdata[i], machine, place, &seen);
  *ret_now = (JournalPlace){.epoch = JOURNAL_NO_EPOCH, .source = (char *)fleet->source};
  if (seen.copy == NULL)
    return place != NULL && seen.asked && !seen.unsure && !place->sent;
  ret_now->host = seen.host->name;
  ret_now->uri = (char *)seen.host->uri;
  ret_now->epoch = placement_epoch(seen.copy);
  ret_now->ran = ran_since_it_came(seen.copy) || (place != NULL && place->ran && is_it(place, &seen));
  if (seen.tied || (place != NULL && is_noted(place, ret_now)))
    return FALSE;
  gboolean of_it = fleet_is_of(fleet, seen.copy->owner->source);
  return place == NULL ? of_it : (of_it && is_newer(place, &seen)) || is_elsewhere(fleet, place, &seen);
}
