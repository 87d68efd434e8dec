#include "reconciler/plan/placement.h"

#include <string.h>

#include "reconciler/plan/capacity.h"
#include "reconciler/plan/doubt.h"
#include "reconciler/plan/migration.h"
#include "reconciler/plan/ran.h"
#include "schema/digest.h"

static void placed_free(gpointer data) {
  Placed *placed = data;
  g_free(placed->stays);
  g_free(placed->unfit);
  g_free(placed->remark);
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

static const ActualDomain *ours_on(const FleetHost *host, const char *machine) {
  const ActualDomain *domain = host->actual != NULL ? g_hash_table_lookup(host->actual->domains, machine) : NULL;
  return domain != NULL && domain->owner != NULL ? domain : NULL;
}

const ActualDomain *placed_domain(const Placed *placed) {
  return placed->now != NULL ? ours_on(placed->now, placed->machine->metadata.name) : NULL;
}

gint64 placement_epoch(const ActualDomain *domain) {
  const FactsSpec *facts = &domain->owner->facts;
  return given(facts, FactsSpec, epoch) ? facts->epoch : 0;
}

/* A part of its memory is on each, and only libvirt can bring the rest over. */
static char *half_on_each(const Placed *placed, const FleetHost *source, const FleetHost *target) {
  const HostSpec *spec = target->spec;
  const char *uri = given(spec, HostSpec, peerUri) ? spec->peerUri : spec->uri;
  return g_strdup_printf("its migration from %s to %s broke off in post-copy: a part of its memory is on each, and it can't go on on either alone; stop neither, and bring "
                         "the rest over: on %s 'virsh migrate %s %s --live --p2p --persistent --undefinesource --postcopy --postcopy-resume'; the next "
                         "run goes on then", source->name, target->name, source->name, placed->machine->metadata.name, uri);
}

/* Only one half is left: said only where the host of the other one was asked, or is off. */
static char *half_lost(const Fleet *fleet, const Placed *placed, const FleetHost *host, const ActualDomain *domain) {
  const char *machine = placed->machine->metadata.name;
  const FactsSpec *facts = &domain->owner->facts;
  const char *name = given(facts, FactsSpec, movingTo) ? facts->movingTo : given(facts, FactsSpec, movedFrom) ? facts->movedFrom : NULL;
  const FleetHost *there = name != NULL ? fleet_host(fleet, name) : NULL;
  const ActualDomain *half = there != NULL && there->actual != NULL ? g_hash_table_lookup(there->actual->domains, machine) : NULL;
  if (there == NULL || half == domain || (half != NULL && half->active) || (there->actual == NULL && !fleet_host_is_fenced(there)))
    return g_strdup_printf("its migration broke off in post-copy on %s, and it may run on %s: look there, and bring that host back; nothing is done to it", host->name,
                           name != NULL ? name : "the host that it went to or came from");
  return g_strdup_printf("its migration broke off in post-copy, and the other part of its memory is on %s no more: it can't go on; restart libvirtd (or virtqemud) "
                         "on %s, and stop it there as a power cut would if it is still there ('virsh destroy %s'); the next run starts it%s",
                         there->name, host->name, machine, given(facts, FactsSpec, movingTo) ? ", with disks that were copied as they were when it went over" : "");
}

static char *is_half(const Fleet *fleet, const Placed *placed) {
  const ActualDomain *domain = placed_domain(placed);
  return domain != NULL && actual_is_paused(domain) && actual_post_copy_broke(domain) ? half_lost(fleet, placed, placed->now, domain) : NULL;
}

static char *two_copies(const Fleet *fleet, const Placed *placed, const FleetHost *host, const ActualDomain *domain, const ActualDomain *other) {
  gboolean newer = placement_epoch(domain) > placement_epoch(other);
  const ActualDomain *newest = newer ? domain : other, *older = newer ? other : domain;
  const FleetHost *source = newer ? placed->now : host, *target = newer ? host : placed->now;
  if (actual_post_copy_broke(newest) || (actual_post_copy_broke(older) && actual_is_paused(newest)))
    return half_on_each(placed, source, target);
  if (actual_post_copy_broke(older) && !newest->active)
    return half_lost(fleet, placed, source, older);
  if (placed->stale == NULL && placement_epoch(newest) > placement_epoch(older) && actual_is_at_the_switch(older) && !newest->active)
    return g_strdup_printf("it stands still on %s since it was moved to %s, where it is off, and may have run: when no migration of it goes on any more ('virsh domjobinfo "
                           "%s' on %s), power off what stands still ('virsh destroy %s' there); the next run goes on with that on %s",
                           source->name, target->name, placed->machine->metadata.name, source->name, placed->machine->metadata.name, target->name);
  if (actual_is_migrating(domain) || actual_is_migrating(other))
    return g_strdup_printf("it is moving between %s and %s at this moment: nothing is done to it until that has ended", placed->now->name, host->name);
  if (placed->stale == NULL && actual_executes(older) && !newest->active && ran_there(fleet, target, newest))
    return ran_on_both(placed->machine->metadata.name, source, target);
  return g_strdup_printf("it is on %s and on %s: look which of them is the right one, and undefine the other "
                         "('virsh undefine', without its storage); nothing is done to either", placed->now->name, host->name);
}

/* libvirtd there died when the newer one had arrived and didn't run yet, and it was ended when that came back; so libvirt here let
 * this one go on. Where it stands still here, the newer one may have run long before its libvirtd ended it; so it may where libvirt
 * let both run, if none was seen to. */
static gboolean never_ran(const Fleet *fleet, const ActualDomain *newest, const FleetHost *there, const ActualDomain *older, const FleetHost *here) {
  const FactsSpec *came = &newest->owner->facts, *went = &older->owner->facts;
  return actual_ended_by_libvirtd(newest) && !ran_there(fleet, there, newest) && actual_executes(older) && placement_epoch(newest) == placement_epoch(older) + 1 && given(came, FactsSpec, movedFrom) &&
         g_str_equal(came->movedFrom, here->name) && given(went, FactsSpec, arriving) && given(went, FactsSpec, movingTo) &&
         g_str_equal(went->movingTo, there->name);
}

/* It is off, and noted to stay so: nobody but a person starts it. */
static gboolean is_kept(const ActualDomain *domain) { return !domain->active && given(&domain->owner->facts, FactsSpec, arriving); }

/* An older copy that is kept doesn't stand between two others: they are dealt with first. Of two that are kept the newer one is. */
static gboolean is_beside(const Fleet *fleet, const char *machine, const ActualDomain *domain) {
  guint newer = 0, others = 0;
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const ActualDomain *other = ours_on(fleet->hosts->pdata[i], machine);
    if (other == NULL || other == domain)
      continue;
    newer += placement_epoch(other) > placement_epoch(domain);
    others += placement_epoch(other) > placement_epoch(domain) || !is_kept(other);
  }
  return is_kept(domain) && newer > 0 && others > 1;
}

/* Of two copies the one that moved last counts, and the other is what a move left behind, or what ran on a host
 * that had been given up. Two of one epoch, or an older one that runs while the newer doesn't, are nobody's to
 * choose between; nor are two that share a memory. */
static void find(const Fleet *fleet, Placed *placed) {
  const char *machine = placed->machine->metadata.name;
  for (guint i = 0; i < fleet->hosts->len && placed->error == NULL; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    const ActualDomain *domain = ours_on(host, machine), *other = placed_domain(placed);
    if (domain == NULL || is_beside(fleet, machine, domain))
      continue;
    gboolean newer = other != NULL && placement_epoch(domain) > placement_epoch(other);
    const ActualDomain *older = newer ? other : domain;
    const ActualDomain *newest = newer ? domain : other;
    const FleetHost *here = newer ? placed->now : host, *there = newer ? host : placed->now; /* of the older and the newer one */
    if (other != NULL && placed->stale == NULL && never_ran(fleet, newest, there, older, here)) {
      placed->never_ran = there;
      placed->now = here;
      continue;
    }
    if (other != NULL && (placed->stale != NULL || placement_epoch(domain) == placement_epoch(other) || (older->active && (!actual_executes(newest) || actual_in_post_copy(newest))))) {
      placed->error = two_copies(fleet, placed, host, domain, other);
      return;
    }
    if (other != NULL)
      placed->stale = here;
    if (other == NULL || newer)
      placed->now = host;
  }
}

static const PlacementSpec *placement_for(const Object *machine) {
  const VmSpec *vm = object_vm(machine);
  return given(vm, VmSpec, placement) ? &vm->placement : NULL;
}

const StringMap *placement_selector(const Object *machine, const char **ret_host) {
  const PlacementSpec *placement = placement_for(machine);
  if (ret_host != NULL)
    *ret_host = placement != NULL && given(placement, PlacementSpec, host) ? placement->host : NULL;
  return placement != NULL && given(placement, PlacementSpec, selector) ? placement->selector : NULL;
}

/* Where the file puts it by name. In maintenance a host takes none: what is elsewhere stays there so long. */
static const FleetHost *named(const Fleet *fleet, const Placed *placed, const char *name, char **ret_error) {
  const FleetHost *host = fleet_host(fleet, name);
  if (takes_machines(host))
    return host;
  if (fleet_host_is_fenced(host))
    *ret_error = g_strdup_printf("its host %s is fenced: place it on another one", name);
  else if (placed->now == host)
    *ret_error = g_strdup_printf("it can't leave %s, which is in maintenance, since it is placed there by name: give another host, or a selector", name);
  else if (placed->now == NULL)
    *ret_error = g_strdup_printf("its host %s is in maintenance: place it on another one, or wait", name);
  return *ret_error == NULL ? placed->now : NULL;
}

static const ActualDomain *to_adopt_on(const FleetHost *host, const char *machine) {
  const ActualDomain *domain = host != NULL && host->actual != NULL ? g_hash_table_lookup(host->actual->domains, machine) : NULL;
  return domain != NULL && domain->error == NULL ? domain : NULL;
}

static gboolean have_one_uuid(const ActualDomain *one, const ActualDomain *other) {
  return one->uuid != NULL && other->uuid != NULL && g_ascii_strcasecmp(one->uuid, other->uuid) == 0;
}

/* It is nowhere yet, and a person's machine shall become it: that of the host that is named. Names are a host's own, and on
 * another one it is a stranger's, unless it is the same machine. */
static void find_to_adopt(const Fleet *fleet, Placed *placed) {
  const MetadataSpec *metadata = &placed->machine->metadata;
  if (placed->error != NULL || placed->now != NULL || !given(metadata, MetadataSpec, adopt) || !metadata->adopt)
    return;
  const char *name;
  placement_selector(placed->machine, &name);
  const FleetHost *named = name != NULL ? fleet_host(fleet, name) : NULL;
  const ActualDomain *meant = to_adopt_on(named, metadata->name);
  placed->adopts = meant != NULL ? named : NULL;
  for (guint i = 0; i < fleet->hosts->len && placed->error == NULL; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    const ActualDomain *domain = to_adopt_on(host, metadata->name);
    if (domain == NULL || domain == meant || (meant != NULL && !have_one_uuid(domain, meant)))
      continue;
    if (placed->adopts != NULL)
      placed->error = g_strdup_printf("it shall take over a domain (metadata.adopt), and one of its name%s is on %s and on %s: rename or undefine the other one",
                                      meant != NULL ? " and UUID" : "", placed->adopts->name, host->name);
    if (meant == NULL)
      placed->adopts = host;
  }
}

/* Without choosing: NULL without error is to be chosen. */
static const FleetHost *home_without_choice(const Fleet *fleet, const Placed *placed, char **ret_error) {
  const PlacementSpec *placement = placement_for(placed->machine);
  const StringMap *selector = placement_selector(placed->machine, NULL);
  const FleetHost *now = placed->now != NULL ? placed->now : placed->adopts;
  if (placement != NULL && given(placement, PlacementSpec, host))
    return named(fleet, placed, placement->host, ret_error);
  return now != NULL && takes_machines(now) && (selector == NULL || placement_matches(selector, now)) ? now : NULL;
}

/* Why a host isn't one to choose; NULL: it is. */
static char *why_not(const FleetHost *host, const Placed *placed, const Capacity *capacity) {
  const StringMap *selector = placement_selector(placed->machine, NULL);
  if (fleet_host_is_fenced(host))
    return g_strdup("is fenced");
  if (!takes_machines(host))
    return g_strdup("is in maintenance");
  if (host->actual == NULL)
    return g_strdup("can't be asked");
  if (selector != NULL && !placement_matches(selector, host))
    return g_strdup("hasn't the labels");
  return capacity_refusal(capacity, host, placed->machine, placed_domain(placed));
}

static const FleetHost *choose(const Fleet *fleet, const Placed *placed, const Capacity *capacity, char **ret_error) {
  const FleetHost *best = NULL;
  g_autofree char *highest = NULL;
  g_autoptr(GString) reasons = g_string_new(NULL);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    g_autofree char *reason = why_not(host, placed, capacity), *mine = rank(placed->machine->metadata.name, host);
    if (reason != NULL)
      g_string_append_printf(reasons, "%s%s %s", reasons->len > 0 ? "; " : "", host->name, reason);
    else if (best == NULL || strcmp(mine, highest) > 0) {
      best = host;
      g_free(highest);
      highest = g_steal_pointer(&mine);
    }
  }
  g_autofree char *leaves = placed->now != NULL ? g_strdup_printf("it can't leave %s", placed->now->name) : NULL;
  if (best == NULL)
    *ret_error = g_strdup_printf("%s%sno host fits its placement (%s)", leaves != NULL ? leaves : "", leaves != NULL ? ": " : "", reasons->str);
  return best;
}

/* Those that stay and those that the file puts somewhere take their room first. */
static void place_without_choice(const Fleet *fleet, Placed *placed, Capacity *capacity) {
  find(fleet, placed);
  find_to_adopt(fleet, placed);
  if (placed->error == NULL)
    placed->error = is_half(fleet, placed);
  if (placed->error == NULL)
    placed->error = ran_and_undefined(placed);
  if (placed->error == NULL)
    placed->error = doubt_gone(placed);
  if (placed->error == NULL)
    placed->error = doubt_runs(placed);
  if (placed->error == NULL)
    placed->home = home_without_choice(fleet, placed, &placed->error);
  const FleetHost *takes = placed->home != NULL ? placed->home : placed->error != NULL ? placed->now : NULL;
  g_autofree char *full = takes != NULL && takes != placed->now ? capacity_refusal(capacity, takes, placed->machine, placed_domain(placed)) : NULL;
  if (full != NULL) {
    placed->error = g_strdup_printf("its host %s %s", takes->name, full);
    placed->home = NULL;
    takes = placed->now;
  }
  if (takes != NULL)
    capacity_add(capacity, takes, placed->machine, placed_domain(placed));
}

static void place_by_choice(const Fleet *fleet, Placed *placed, Capacity *capacity) {
  placed->home = choose(fleet, placed, capacity, &placed->error);
  const FleetHost *takes = placed->home != NULL ? placed->home : placed->now;
  if (takes != NULL)
    capacity_add(capacity, takes, placed->machine, placed_domain(placed));
}

/* Gladly, but not at any price. */
static gboolean goes_easily(const VmSpec *vm, const ActualDomain *domain) {
  gboolean cold = given(vm, VmSpec, migration) && given(&vm->migration, MigrationSpec, mode) && vm->migration.mode == MigrationMode_cold;
  return !domain->active || cold || move_goes_live(vm, domain, FALSE);
}

#define REST (24 * 3600) /* before it is stopped for the same again */

/* It was shut down for that lately, and had to be started again where it is. */
static char *went_in_vain(const Placed *placed, const FactsSpec *facts, const FleetHost *to, gint64 now) {
  if (!given(facts, FactsSpec, vainTo) || !g_str_equal(facts->vainTo, to->name) || facts->vainAt > now || now >= facts->vainAt + REST)
    return NULL;
  return g_strdup_printf("it stays on %s: it was shut down to go back to %s, which failed, and is tried again a day after that; place it there by name to see why",
                         placed->now->name, to->name);
}

/* The host of its first choice is the highest of those that fit. What it takes where it is stays counted: that isn't free yet. */
static void fail_back(const Fleet *fleet, Placed *placed, Capacity *capacity, gint64 now) {
  const PlacementSpec *placement = placement_for(placed->machine);
  const ActualDomain *domain = placed_domain(placed);
  if (placement == NULL || !given(placement, PlacementSpec, failBack) || !placement->failBack || domain == NULL || placed->error != NULL ||
      placed->home != placed->now || placed->stale != NULL || !goes_easily(object_vm(placed->machine), domain))
    return;
  g_autofree char *error = NULL, *mine = rank(placed->machine->metadata.name, placed->now);
  const FleetHost *best = choose(fleet, placed, capacity, &error);
  g_autofree char *highest = best != NULL ? rank(placed->machine->metadata.name, best) : NULL;
  if (best == NULL || strcmp(highest, mine) <= 0)
    return;
  if (domain->active && (placed->stays = went_in_vain(placed, &domain->owner->facts, best, now)) != NULL)
    return;
  placed->home = best;
  placed->back = TRUE;
  capacity_add(capacity, best, placed->machine, domain);
}

static void stay_first(Placed *placed) {
  const ActualDomain *domain = placed_domain(placed);
  if (placed->error != NULL || domain == NULL || placed->home == placed->now)
    return;
  placed->first = move_first(object_vm(placed->machine), domain, &placed->bare);
  if (placed->first == NULL)
    return;
  placed->later = placed->home;
  placed->home = placed->now;
}

GPtrArray *placement_of(const Desired *desired, const Fleet *fleet, gint64 now) {
  GPtrArray *all = g_ptr_array_new_with_free_func(placed_free);
  g_autoptr(Capacity) capacity = capacity_new(desired, fleet);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    if (object->kind != KIND_VIRTUAL_MACHINE)
      continue;
    Placed *placed = g_new0(Placed, 1);
    placed->machine = object;
    placed->fleet = fleet;
    g_ptr_array_add(all, placed);
    place_without_choice(fleet, placed, capacity);
  }
  for (guint i = 0; i < all->len; i++) {
    Placed *placed = all->pdata[i];
    if (placed->error == NULL && placed->home == NULL)
      place_by_choice(fleet, placed, capacity);
    fail_back(fleet, placed, capacity, now);
    if (placed->error == NULL)
      placed->error = doubt_name(placed, placed->now != NULL ? placed->now : placed->home);
    if (placed->error == NULL && placed->now == NULL)
      placed->error = doubt_new(placed, desired);
    stay_first(placed);
  }
  return all;
}

static const PlanObject *planned_move(const Plan *plan, const Placed *placed) {
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    if (object->kind == KIND_VIRTUAL_MACHINE && g_strcmp0(object->host, placed->now->name) == 0 && g_str_equal(object->name, placed->machine->metadata.name))
      return object;
  }
  return NULL;
}

/* For a move that was interrupted then, and hasn't sent anything: it can run again where it is. */
static gboolean was_stopped(const Placed *placed) {
  const ActualDomain *domain = placed_domain(placed);
  const VmSpec *vm = object_vm(placed->machine);
  const FactsSpec *facts = domain != NULL && domain->owner != NULL ? &domain->owner->facts : NULL;
  return facts != NULL && !domain->active && given(facts, FactsSpec, restarting) && !given(facts, FactsSpec, arriving) && placed->stale == NULL &&
         (!given(vm, VmSpec, powerState) || vm->powerState == PowerState_running);
}

gboolean placement_keep_refused(const GPtrArray *placed, const Plan *plan) {
  gboolean any = FALSE;
  for (guint i = 0; i < placed->len; i++) {
    Placed *each = placed->pdata[i];
    gboolean moves = each->error == NULL && each->now != NULL && each->home != each->now && (each->back || was_stopped(each));
    const PlanObject *object = moves ? planned_move(plan, each) : NULL;
    if (object == NULL || object->error == NULL)
      continue;
    g_autofree char *heading = move_heading(each);
    const char *why = object->error + (g_str_has_prefix(object->error, heading) ? strlen(heading) : 0);
    each->stays = each->back ? g_strdup_printf("it stays on %s, since %s, where it would go back to, refuses it: %s", each->now->name, each->home->name, why)
                             : g_strdup_printf("it was shut down to be moved to %s, and runs on %s again, since it can't: %s", each->home->name, each->now->name, why);
    each->home = each->now;
    any = TRUE;
  }
  return any;
}

const Placed *placed_find(const GPtrArray *placed, const char *machine) {
  for (guint i = 0; placed != NULL && i < placed->len; i++) {
    const Placed *each = placed->pdata[i];
    if (g_str_equal(each->machine->metadata.name, machine))
      return each;
  }
  return NULL;
}
