#include "reconciler/status/moving.h"

/* A copy that libvirt receives just now, or that came a moment ago: the one on its way says so, wherever that is. */
static const char *sender(const ActualDomain *domain, const Fleet *fleet, const FleetHost *here) {
  for (guint i = 0; fleet && here && here->name && i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    const ActualDomain *other = host != here && host->actual ? g_hash_table_lookup(host->actual->domains, domain->name) : NULL;
    const FactsSpec *facts = other && other->owner ? &other->owner->facts : NULL;
    if (facts && given(facts, FactsSpec, movingTo) && given(facts, FactsSpec, arriving) && g_str_equal(facts->movingTo, here->name))
      return host->name;
  }
  return NULL;
}

Moving moving_of(const ActualDomain *domain, const Fleet *fleet, const FleetHost *here) {
  Moving moving = {.to = NULL};
  const FactsSpec *facts = domain->owner ? &domain->owner->facts : NULL;
  if (facts && given(facts, FactsSpec, movingTo))
    moving.to = facts->movingTo;
  moving.arriving = facts && given(facts, FactsSpec, arriving);
  moving.from = facts && given(facts, FactsSpec, movedFrom) ? facts->movedFrom : sender(domain, fleet, here);
  return moving;
}

char *moving_text(const Moving *moving) {
  if (moving->to)
    return g_strdup_printf("moving to %s", moving->to);
  return moving->from ? g_strdup_printf("arriving from %s", moving->from) : NULL;
}

/* A run that is over, or that was killed, does nothing. */
static gint64 run_under_way(Journal *journal) {
  g_autoptr(GPtrArray) runs = journal_runs(journal, 1, NULL);
  const JournalRun *run = runs && runs->len > 0 ? runs->pdata[0] : NULL;
  return run && run->running ? run->id : 0;
}

GPtrArray *steps_under_way(Journal *journal) {
  gint64 run = run_under_way(journal);
  return run ? journal_actions(journal, run, NULL) : NULL;
}

const JournalAction *step_of(const GPtrArray *steps, const char *name) {
  g_autofree char *object = g_strconcat("vm/", name, NULL), *of_host = g_strconcat("/", object, NULL);
  for (guint i = 0; steps && i < steps->len; i++) {
    const JournalAction *step = steps->pdata[i];
    if (!step->ended && (g_str_equal(step->object, object) || g_str_has_suffix(step->object, of_host)))
      return step;
  }
  return NULL;
}
