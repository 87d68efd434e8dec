#include "reconciler/plan/ran.h"

gboolean ran_since_it_came(const ActualDomain *copy) {
  const FactsSpec *facts = &copy->owner->facts;
  return given(facts, FactsSpec, movedFrom) && (given(facts, FactsSpec, ran) || actual_executes(copy));
}

gboolean ran_is_news(const ActualDomain *copy) { return ran_since_it_came(copy) && !given(&copy->owner->facts, FactsSpec, ran); }

static const JournalPlace *seen_running(const Fleet *fleet, const char *machine) {
  const JournalPlace *place = fleet->put != NULL ? g_hash_table_lookup(fleet->put, machine) : NULL;
  return place != NULL && place->ran && fleet_is_of(fleet, place->source) ? place : NULL;
}

gboolean ran_there(const Fleet *fleet, const FleetHost *there, const ActualDomain *copy) {
  const JournalPlace *place = seen_running(fleet, copy->name);
  return ran_since_it_came(copy) || (place != NULL && place->epoch == placement_epoch(copy) && fleet_host_is(there, place));
}

const FleetHost *ran_and_gone(const Fleet *fleet, const ActualDomain *older) {
  const JournalPlace *place = seen_running(fleet, older->name);
  for (guint i = 0; place != NULL && place->epoch > placement_epoch(older) && i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (fleet_host_is(host, place) && host->actual != NULL && !g_hash_table_contains(host->actual->domains, older->name))
      return host;
  }
  return NULL;
}

/* --- what is said of it --- */

/* Whichever goes, what the move copied for it goes too. */
char *ran_on_both(const char *machine, const FleetHost *source, const FleetHost *target) {
  return g_strdup_printf("it runs on %s, and the newer copy of it, which was seen to run on %s, is off there: each may have written what the other lacks; nothing is "
                         "done to either. Save what you need of both, and then keep one: to go on with that on %s, 'virsh undefine %s' on %s; to go on with that on %s, "
                         "'virsh destroy %s' and 'virsh undefine %s' on %s; the next run goes on with the one that is left, and deletes the files that the move copied for "
                         "the other", source->name, target->name, source->name, machine, target->name, target->name, machine, machine, source->name);
}

/* Only a person, or what isn't ours, undefines a newer copy that ran. What is here is from before that. */
char *ran_and_undefined(const Placed *placed) {
  const ActualDomain *domain = placed_domain(placed);
  gboolean stands = domain != NULL && (actual_is_at_the_switch(domain) || !domain->active);
  const FleetHost *there = placed->stale == NULL && stands ? ran_and_gone(placed->fleet, domain) : NULL;
  if (there == NULL)
    return NULL;
  const char *machine = placed->machine->metadata.name, *here = placed->now->name;
  g_autofree char *out = domain->active
    ? g_strdup_printf("power off what stands still, and start it from its disks ('virsh destroy %s' and 'virsh start %s' on %s): the next run goes on with it",
                      machine, machine, here)
    : g_strdup_printf("start this one by hand ('virsh start %s' on %s): the next run goes on with it", machine, here);
  return g_strdup_printf("it %s on %s since it was moved away, and the newer copy of it, which was seen to run on %s, is there no more: it isn't %s from "
                         "before that. Look for that copy, and save what it wrote on %s if it is wanted, since the next run deletes what the move made there; then %s",
                         domain->active ? "stands still" : "is off", here, there->name, domain->active ? "let run on" : "started", there->name, out);
}
