#include "reconciler/plan/doubt.h"

#include "reconciler/plan/whereabouts.h"

static const char *name_of(const Placed *placed) { return placed->machine->metadata.name; }

static const FleetHost *silent_but(const Fleet *fleet, const FleetHost *but) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host != but && fleet_host_is_silent(host))
      return host;
  }
  return NULL;
}

static const JournalPlace *put(const Placed *placed) {
  return placed->fleet->put != NULL ? g_hash_table_lookup(placed->fleet->put, name_of(placed)) : NULL;
}

#define WAY_OUT "or declare it with fenced: true when it is certainly off"

/* --- a move that may have ended elsewhere --- */

static char *gone_to(const char *to, const FleetHost *there /* NULL: it isn't declared */) {
  return g_strdup_printf("a newer copy of it was made on %s, or a move was to make it, and may run there; that host can't be asked%s%s: bring it back, " WAY_OUT,
                         to, there != NULL ? ": " : " (it isn't declared)", there != NULL ? there->error->message : "");
}

/* It may have gone on from there. */
static char *gone_further(const Placed *placed, const char *to) {
  const FleetHost *unknown = silent_but(placed->fleet, NULL);
  if (unknown == NULL)
    return NULL;
  return g_strdup_printf("a newer copy of it was made on %s, or a move was to make it, and isn't there; it may run on %s, which can't be asked (%s): "
                         "bring that host back, " WAY_OUT, to, unknown->name, unknown->error->message);
}

/* Not where the newer copy is seen: then this one is stale. */
char *doubt_gone(const Placed *placed) {
  const ActualDomain *domain = placed_domain(placed);
  const FactsSpec *facts = domain != NULL ? &domain->owner->facts : NULL;
  if (facts == NULL || !given(facts, FactsSpec, arriving) || !given(facts, FactsSpec, movingTo) || (domain->active && !actual_is_paused(domain)))
    return NULL;
  const FleetHost *there = fleet_host(placed->fleet, facts->movingTo);
  if (there != NULL && (there->actual != NULL || fleet_host_is_fenced(there)))
    return gone_further(placed, facts->movingTo);
  return gone_to(facts->movingTo, there);
}

/* --- a newer copy that was made anew --- */

/* Whether the file may have it run where it doesn't now: started, restored, resumed, or gone back to a snapshot. */
static gboolean may_be_started(const VmSpec *vm, const ActualDomain *domain) {
  if (!given(vm, VmSpec, powerState) || vm->powerState == PowerState_running)
    return !domain->active || actual_is_paused(domain);
  return vm->powerState == PowerState_paused && !domain->active;
}

/* What our history says of another copy, where that isn't older than the one that is seen. */
static const JournalPlace *put_elsewhere(const Placed *placed) {
  const JournalPlace *place = put(placed);
  return place != NULL && fleet_place_counts(placed->fleet, place, placed->now, placed_domain(placed)) ? place : NULL;
}

/* Whether a host that can't be asked may have been given the machine anew, while the one that it is on was given up. What a file
 * places by name is there, unless our history has it on that host. */
static gboolean may_have_made(const Placed *placed, const FleetHost *host) {
  const char *named;
  const StringMap *selector = placement_selector(placed->machine, &named);
  const JournalPlace *place = put_elsewhere(placed);
  gboolean chosen = named == NULL && (selector == NULL || placement_matches(selector, host));
  return chosen || (place != NULL && fleet_host_is(host, place));
}

/* The host of the newer one was asked, and hasn't it. */
static char *newer_is_gone(const Placed *placed, const JournalPlace *place) {
  return g_strdup_printf("a newer copy of it was put on %s and isn't there any more: the one on %s, which lacks what was written since, isn't started; bring the newer "
                         "one back (virsh define), or undefine this one; to go on with it, declare %s with fenced: true",
                         place->host, placed->now->name, place->host);
}

char *doubt_runs(const Placed *placed) {
  const ActualDomain *domain = placed_domain(placed);
  if (domain == NULL || !may_be_started(object_vm(placed->machine), domain))
    return NULL;
  for (guint i = 0; i < placed->fleet->hosts->len; i++) {
    const FleetHost *host = placed->fleet->hosts->pdata[i];
    if (fleet_host_is_silent(host) && may_have_made(placed, host))
      return g_strdup_printf("it doesn't run on %s, and a newer copy of it may run on %s, which can't be asked (%s): it isn't started; bring that host back, "
                             WAY_OUT, placed->now->name, host->name, host->error->message);
  }
  const JournalPlace *place = put_elsewhere(placed);
  if (place != NULL && fleet_place_is_missed(placed->fleet, place, domain))
    return newer_is_gone(placed, place);
  if (place == NULL || !fleet_has_lost(placed->fleet, place))
    return NULL;
  return g_strdup_printf("it doesn't run on %s, and a newer copy of it may run on %s, where it was put last, and which the file doesn't declare any more: it "
                         "isn't started; declare that host, with fenced: true when it is certainly off", placed->now->name, place->host);
}

/* --- one that is seen nowhere --- */

/* It is in the file still, at another address: that may be another machine. */
static char *lost_host(const Placed *placed, const JournalPlace *place) {
  const FleetHost *same = fleet_host(placed->fleet, place->host);
  g_autofree char *at = place->uri != NULL ? g_strdup_printf(" (%s)", place->uri) : g_strdup("");
  return g_strdup_printf("it is on no host that can be asked, and it was put on %s%s last, which the file doesn't declare any more%s%s: it isn't made a "
                         "second time; declare %s, with fenced: true when it is certainly off or hasn't the machine any more, until it is made elsewhere",
                         place->host, at, same != NULL ? ": its address is now " : "", same != NULL && same->uri != NULL ? same->uri : "",
                         same != NULL ? "the old address under another name" : "that host");
}

/* The source's libvirt may have followed the peer's URI to another host. */
static char *astray(const Placed *placed, const JournalPlace *place) {
  for (guint i = 0; place->sent && i < placed->fleet->hosts->len; i++) {
    const FleetHost *host = placed->fleet->hosts->pdata[i];
    if (fleet_host_is(host, place) && host->actual != NULL)
      return g_strdup_printf("a migration of it to %s broke off, and it is on no host: it may run where %s's peerUri, or its uri, leads to from the host that it was "
                             "on; it isn't made a second time. Look for it there; declare %s with fenced: true, until it is made, when it is certainly nowhere",
                             host->name, host->name, host->name);
  }
  return NULL;
}

static gboolean has_uuid(const ActualDomain *domain, const char *uuid) {
  return uuid != NULL && domain->uuid != NULL && g_ascii_strcasecmp(domain->uuid, uuid) == 0;
}

/* Ours, and our record is gone: who made it has no other way to that UUID. */
static gboolean has_our_uuid(const ActualDomain *domain, const Object *machine, const Desired *desired) {
  const VmSpec *vm = object_vm(machine);
  if (given(vm, VmSpec, uuid))
    return has_uuid(domain, vm->uuid);
  g_autofree char *ours = derive_vm_uuid(desired_fleet(desired), machine->metadata.name), *before = derive_vm_uuid(NULL, machine->metadata.name);
  return has_uuid(domain, ours) || has_uuid(domain, before);
}

static const ActualDomain *of_this_name(const Placed *placed, const FleetHost *host) {
  return host->actual != NULL ? g_hash_table_lookup(host->actual->domains, name_of(placed)) : NULL;
}

static char *without_record(const Placed *placed, const Desired *desired) {
  for (guint i = 0; i < placed->fleet->hosts->len; i++) {
    const FleetHost *host = placed->fleet->hosts->pdata[i];
    const ActualDomain *domain = host != placed->home ? of_this_name(placed, host) : NULL;
    if (domain != NULL && domain->owner == NULL && has_our_uuid(domain, placed->machine, desired))
      return g_strdup_printf("a domain of its name and with its UUID is on %s, without our record: it isn't made a second time on %s; place it on %s and take it "
                             "over there (metadata.adopt: true), or undefine that one ('virsh undefine', without its storage)", host->name, placed->home->name, host->name);
  }
  return NULL;
}

char *doubt_new(const Placed *placed, const Desired *desired) {
  const FleetHost *home = placed->home, *unknown = silent_but(placed->fleet, NULL);
  const JournalPlace *place = put(placed);
  if (home->actual == NULL)
    return g_strdup_printf("its host %s can't be asked: %s", home->name, home->error->message);
  if (unknown != NULL)
    return g_strdup_printf("it is on no host that can be asked, but it may be on %s, which can't (%s): it isn't made a second "
                           "time; bring that host back, or declare it fenced: true when it is certainly off", unknown->name, unknown->error->message);
  if (place != NULL && fleet_has_lost(placed->fleet, place))
    return lost_host(placed, place);
  char *sent = place != NULL ? astray(placed, place) : NULL;
  if (sent != NULL)
    return sent;
  if (placed->adopts != NULL && placed->adopts != home)
    return g_strdup_printf("the domain that it shall take over (metadata.adopt) is on %s, and it is placed on %s: place it on %s; once it is taken over, it can be "
                           "moved", placed->adopts->name, home->name, placed->adopts->name);
  return without_record(placed, desired);
}

/* --- one that can't be read --- */

char *doubt_name(const Placed *placed, const FleetHost *here) {
  for (guint i = 0; i < placed->fleet->hosts->len; i++) {
    const FleetHost *host = placed->fleet->hosts->pdata[i];
    const ActualDomain *domain = host != here ? of_this_name(placed, host) : NULL;
    if (domain != NULL && domain->owner == NULL && domain->error != NULL)
      return g_strdup_printf("a domain of its name is on %s too, which may be a copy of it, and can't be read: %s", host->name, domain->error);
  }
  return NULL;
}
