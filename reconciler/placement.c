#include "reconciler/placement.h"

#include <string.h>

#include "schema/digest.h"

static void placed_free(gpointer data) {
  Placed *placed = data;
  g_free(placed->unfit);
  g_free(placed->error);
  g_free(placed);
}

gboolean placement_matches(const StringMap *selector, const FleetHost *host) {
  for (guint i = 0; i < selector->keys->len; i++) {
    const char *label = host->labels != NULL ? string_map_get(host->labels, selector->keys->pdata[i]) : NULL;
    if (g_strcmp0(label, selector->values->pdata[i]) != 0)
      return FALSE;
  }
  return TRUE;
}

static gboolean takes_machines(const FleetHost *host) {
  gboolean maintenance = given(host->spec, HostSpec, maintenance) && host->spec->maintenance;
  return !maintenance && !fleet_host_is_fenced(host);
}

/* Rendezvous hashing: the same machine and hosts give the same choice, and a new host takes its share only. */
static char *rank(const char *machine, const FleetHost *host) {
  g_autofree char *text = g_strconcat(machine, "/", host->name, NULL);
  return digest_of_data(text, strlen(text));
}

static const FleetHost *choose(const Fleet *fleet, const char *machine, const StringMap *selector) {
  const FleetHost *best = NULL;
  g_autofree char *highest = NULL;
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (!takes_machines(host) || host->actual == NULL || (selector != NULL && !placement_matches(selector, host)))
      continue;
    g_autofree char *mine = rank(machine, host);
    if (best == NULL || strcmp(mine, highest) > 0) {
      best = host;
      g_free(highest);
      highest = g_steal_pointer(&mine);
    }
  }
  return best;
}

static const ActualDomain *ours_on(const FleetHost *host, const char *machine) {
  const ActualDomain *domain = host->actual != NULL ? g_hash_table_lookup(host->actual->domains, machine) : NULL;
  return domain != NULL && domain->owner != NULL ? domain : NULL;
}

static gint64 epoch_of(const ActualDomain *domain) {
  const FactsSpec *facts = &domain->owner->facts;
  return given(facts, FactsSpec, epoch) ? facts->epoch : 0;
}

static char *two_copies(const Placed *placed, const FleetHost *host, const ActualDomain *domain, const ActualDomain *other) {
  if (actual_is_migrating(domain) || actual_is_migrating(other))
    return g_strdup_printf("it is moving between %s and %s at this moment: nothing is done to it until that has ended", placed->now->name, host->name);
  return g_strdup_printf("it is on %s and on %s: look which of them is the right one, and undefine the other "
                         "('virsh undefine', without its storage); nothing is done to either", placed->now->name, host->name);
}

/* Of two copies the one that moved last counts, and the other is what a move left behind, or what ran on a host
 * that had been given up. Two of one epoch, or an older one that runs while the newer doesn't, are nobody's to
 * choose between. */
static void find(const Fleet *fleet, Placed *placed) {
  const char *machine = placed->machine->metadata.name;
  for (guint i = 0; i < fleet->hosts->len && placed->error == NULL; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    const ActualDomain *domain = ours_on(host, machine), *other = placed->now != NULL ? ours_on(placed->now, machine) : NULL;
    if (domain == NULL)
      continue;
    gboolean newer = other != NULL && epoch_of(domain) > epoch_of(other);
    const ActualDomain *older = newer ? other : domain;
    const ActualDomain *newest = newer ? domain : other;
    if (other != NULL && (placed->stale != NULL || epoch_of(domain) == epoch_of(other) || (older->active && !actual_executes(newest)))) {
      placed->error = two_copies(placed, host, domain, other);
      return;
    }
    if (other != NULL)
      placed->stale = newer ? placed->now : host;
    if (other == NULL || newer)
      placed->now = host;
  }
}

/* A host that may run it and can't be asked: then it isn't made anywhere else. */
static const FleetHost *silent(const Fleet *fleet) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual == NULL && !fleet_host_is_fenced(host))
      return host;
  }
  return NULL;
}

/* An interrupted move was to make a copy there, which may run: until that host says otherwise, this one isn't
 * touched. Not where that copy is seen: then this one is stale. */
static char *may_have_gone(const Fleet *fleet, const Placed *placed) {
  const ActualDomain *domain = placed->now != NULL ? ours_on(placed->now, placed->machine->metadata.name) : NULL;
  const FactsSpec *facts = domain != NULL ? &domain->owner->facts : NULL;
  if (facts == NULL || !given(facts, FactsSpec, arriving) || !given(facts, FactsSpec, movingTo) || domain->active)
    return NULL;
  const FleetHost *there = fleet_host(fleet, facts->movingTo);
  if (there != NULL && (there->actual != NULL || fleet_host_is_fenced(there)))
    return NULL;
  return g_strdup_printf("it was being moved to %s when that was interrupted, and may run there; that host can't be asked%s%s: bring it back, "
                         "or declare it with fenced: true when it is certainly off", facts->movingTo, there != NULL ? ": " : " (it isn't declared)",
                         there != NULL ? there->error->message : "");
}

static const FleetHost *home_of(const Fleet *fleet, const Object *machine, const FleetHost *now, char **ret_error) {
  const VmSpec *vm = object_vm(machine);
  const PlacementSpec *placement = given(vm, VmSpec, placement) ? &vm->placement : NULL;
  const StringMap *selector = placement != NULL && given(placement, PlacementSpec, selector) ? placement->selector : NULL;
  if (placement != NULL && given(placement, PlacementSpec, host)) {
    const FleetHost *host = fleet_host(fleet, placement->host);
    if (takes_machines(host))
      return host;
    if (fleet_host_is_fenced(host)) {
      *ret_error = g_strdup_printf("its host %s is fenced: place it on another one", host->name);
      return NULL;
    }
    selector = NULL; /* in maintenance: anywhere that takes it */
  }
  gboolean stays = now != NULL && takes_machines(now) && (selector == NULL || placement_matches(selector, now));
  const FleetHost *home = stays ? now : choose(fleet, machine->metadata.name, selector);
  if (home == NULL)
    *ret_error = g_strdup("no host that can be asked and takes machines fits its placement");
  return home;
}

static void place(const Fleet *fleet, Placed *placed) {
  find(fleet, placed);
  if (placed->error == NULL)
    placed->error = may_have_gone(fleet, placed);
  if (placed->error != NULL)
    return;
  placed->home = home_of(fleet, placed->machine, placed->now, &placed->error);
  if (placed->home != NULL && placed->home->actual == NULL && placed->now == NULL) {
    placed->error = g_strdup_printf("its host %s can't be asked: %s", placed->home->name, placed->home->error->message);
    return;
  }
  const FleetHost *unknown = placed->error == NULL && placed->now == NULL ? silent(fleet) : NULL;
  if (unknown != NULL)
    placed->error = g_strdup_printf("it is on no host that can be asked, but it may be on %s, which can't (%s): it isn't made a second "
                                    "time; bring that host back, or declare it fenced: true when it is certainly off",
                                    unknown->name, unknown->error->message);
}

GPtrArray *placement_of(const Desired *desired, const Fleet *fleet) {
  GPtrArray *all = g_ptr_array_new_with_free_func(placed_free);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    if (object->kind != KIND_VIRTUAL_MACHINE)
      continue;
    Placed *placed = g_new0(Placed, 1);
    placed->machine = object;
    placed->fleet = fleet;
    g_ptr_array_add(all, placed);
    place(fleet, placed);
  }
  return all;
}

const Placed *placed_find(const GPtrArray *placed, const char *machine) {
  for (guint i = 0; placed != NULL && i < placed->len; i++) {
    const Placed *each = placed->pdata[i];
    if (g_str_equal(each->machine->metadata.name, machine))
      return each;
  }
  return NULL;
}
