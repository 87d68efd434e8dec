/* What earlier moves of a machine left behind, and interrupted ones began. All of it is planned where the machine
 * is now, so that it is done in order: the newest copy runs before an older one goes. */
#include "reconciler/plan/moved.h"

#include "reconciler/plan/migration.h"
#include "reconciler/plan/moved_memory.h"
#include "reconciler/plan/ran.h"
#include "state/base_volume.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const Placed *placed;
  const ActualDomain *domain; /* the newest copy */
  const FactsSpec *facts;
  const char *last;           /* id of the last action; NULL: none yet */
} Rest;

static Action *act(Rest *rest, ActionKind kind, const char *from, const char *to, char *description /* taken */) {
  Action *action = build_action(rest->builder, rest->object, kind, rest->last, description, "from", from, "to", to, NULL);
  rest->last = action->id;
  rest->object->change = CHANGE_UPDATE;
  return action;
}

/* After all that the plan does to the machine so far: it must have been started. */
static Action *act_last(Rest *rest, ActionKind kind, const char *from, char *description /* taken */) {
  g_autofree char *id = plan_object_id(rest->object);
  guint before = rest->builder->plan->actions->len;
  Action *action = act(rest, kind, from, rest->placed->now->name, description);
  for (guint i = 0; i < before; i++) {
    const Action *each = rest->builder->plan->actions->pdata[i];
    if (g_str_equal(each->object, id))
      build_wait(action, each->id);
  }
  return action;
}

static PlanObject *planned(const PlanBuilder *builder, const char *name) {
  for (guint i = 0; i < builder->plan->objects->len; i++) {
    PlanObject *object = builder->plan->objects->pdata[i];
    if (object->kind == KIND_VIRTUAL_MACHINE && g_str_equal(object->name, name))
      return object;
  }
  return NULL;
}

/* --- volumes left where it came from --- */

/* Whether nothing more can be done about what is on a host: it is given up, or nobody says how to reach it. */
static gboolean is_given_up(const FleetHost *host) { return host == NULL || fleet_host_is_fenced(host); }

/* Whether files of a copy on that host carry the markers of the move that brought it still, as until it is finished. */
static gboolean is_marked(const FleetHost *host, const FactsSpec *facts) {
  for (char **path = facts->left; given(facts, FactsSpec, left) && *path != NULL; path++) {
    const ActualVolume *file = g_hash_table_lookup(host->actual->volumes_by_path, *path);
    const ActualPool *pool = file != NULL && file->pool != NULL ? g_hash_table_lookup(host->actual->pools, file->pool) : NULL;
    g_autofree char *marker = g_strconcat(file != NULL ? file->name : "", INCOMPLETE_SUFFIX, NULL);
    if (pool != NULL && g_hash_table_contains(pool->volumes, marker))
      return TRUE;
  }
  return FALSE;
}

/* Where the older copy can't be seen. Else that is dealt with at once. */
static void note_seen(Rest *rest) {
  const FleetHost *from = given(rest->facts, FactsSpec, movedFrom) ? fleet_host(rest->placed->fleet, rest->facts->movedFrom) : NULL;
  if (ran_is_news(rest->domain) && (from == NULL || from->actual == NULL))
    act(rest, ACTION_MOVE_SEEN, rest->facts->movedFrom, rest->placed->now->name, g_strdup_printf("note that it was seen to run since it came from %s", rest->facts->movedFrom));
}

static char *finish(Rest *rest) {
  if (!given(rest->facts, FactsSpec, movedFrom))
    return NULL;
  const char *from = rest->facts->movedFrom;
  const FleetHost *host = fleet_host(rest->placed->fleet, from);
  if (host != NULL && host->actual != NULL) {
    act_last(rest, ACTION_MOVE_FINISH, from, g_strdup_printf("delete what was copied from %s", from));
    return NULL;
  }
  if (is_given_up(host) && (is_marked(rest->placed->now, rest->facts) || given(rest->facts, FactsSpec, autostarts))) {
    Action *action = act_last(rest, ACTION_MOVE_FINISH, from, g_strdup("note that what it has here is whole"));
    string_map_set(action->args, "here", "true");
  }
  g_autofree char *left = given(rest->facts, FactsSpec, left) && rest->facts->left[0] != NULL ? g_strjoinv(", ", rest->facts->left) : NULL;
  if (left != NULL)
    build_note(rest->object, g_strdup_printf("what it left on %s stays there: %s (that host %s)", from, left,
                                             host == NULL ? "isn't declared" : is_given_up(host) ? "is fenced" : "can't be asked"));
  return left == NULL || is_given_up(host) ? NULL : g_strdup_printf("what it left on %s is to be deleted first, and that host can't be asked: bring it back, "
                                                  "or declare it with fenced: true", from);
}

/* --- a move that was begun, and that the file doesn't want any more --- */

static void add_half_made(const Rest *rest, const FleetHost *there, const ActualVolume *volume, GString *text) {
  const ActualPool *pool = volume->pool != NULL ? g_hash_table_lookup(there->actual->pools, volume->pool) : NULL;
  if (pool == NULL || volume->name == NULL || fleet_host_shares(rest->placed->now, pool->name, there->name))
    return;
  g_autofree char *marker = g_strconcat(volume->name, INCOMPLETE_SUFFIX, NULL);
  if (g_hash_table_contains(pool->volumes, marker))
    g_string_append_printf(text, "%s%s\n%s", text->len > 0 ? "\n" : "", pool->name, volume->name);
}

/* Before what is planned for it already. */
static void put_first(const Rest *rest, Action *action) {
  GPtrArray *actions = rest->builder->plan->actions;
  for (guint i = 0; i < actions->len; i++) {
    Action *each = actions->pdata[i];
    if (each == action)
      return;
    if (!g_str_equal(each->object, action->object))
      continue;
    for (guint n = i; n + 1 < actions->len; n++)
      build_wait(actions->pdata[n], g_str_equal(((const Action *)actions->pdata[n])->object, action->object) ? action->id : NULL);
    g_ptr_array_insert(actions, (gint)i, g_ptr_array_steal_index(actions, actions->len - 1));
    return;
  }
}

/* libvirt paused it to move it, and died between the end of that and the answer that it runs there: no copy is there. */
static gboolean stands_still(const Placed *placed, const ActualDomain *domain) {
  if (placed->stale != NULL || domain->owner == NULL || !actual_is_at_the_switch(domain))
    return FALSE;
  const FactsSpec *facts = &domain->owner->facts;
  return given(facts, FactsSpec, arriving) && given(facts, FactsSpec, movingTo) && fleet_host(placed->fleet, facts->movingTo) != NULL;
}

gboolean moved_broke_off(const Placed *placed, const ActualDomain *domain) {
  return placed != NULL && (placed->never_ran != NULL || stands_still(placed, domain));
}

/* Which is no stop: it stands still. */
static void power_off(const Rest *rest, Action *action) {
  const VmSpec *vm = rest->placed->machine != NULL ? object_vm(rest->placed->machine) : NULL; /* NULL: it is an orphan */
  gboolean stays_off = vm == NULL || (given(vm, VmSpec, powerState) && vm->powerState == PowerState_stopped);
  char *description = g_strdup_printf("power it off and %s", action->description);
  g_free(action->description);
  action->description = description;
  string_map_set(action->args, "off", "true");
  if (!stays_off)
    string_map_set(action->args, "again", "true");
  action->impact = IMPACT_RESTART;
  action->permitted = TRUE;
  build_note(rest->object, g_strdup_printf("it stands still here since it went to %s, and may have run elsewhere since, on the same disks: what it has in memory here "
                                           "is older than they may be, so it is powered off%s", rest->facts->movingTo, stays_off ? "" : " and started"));
}

static void run_on(const Rest *rest, Action *action) {
  if (rest->placed->never_ran != NULL)
    string_map_set(action->args, "neverRan", "true");
  if (!stands_still(rest->placed, rest->domain))
    return;
  if (moved_memory_may_be_old(rest->placed, rest->domain)) {
    power_off(rest, action);
    return;
  }
  string_map_set(action->args, "resume", "true");
  action->impact = IMPACT_LIVE;
}

/* This one is what counts from now on: it gets a new epoch, as one that is made anew. */
static void outdate(const Rest *rest, Action *action) {
  move_set_number(action, "epoch", (guint64)fleet_new_epoch(rest->placed->fleet, rest->builder->input->now));
}

/* What was made there is dealt with when that host comes back, or is declared again. A copy that comes with it is older than this one. */
static void give_up(Rest *rest, const char *to) {
  if (!given(rest->facts, FactsSpec, arriving) && !given(rest->facts, FactsSpec, autostarts))
    return;
  Action *action = act(rest, ACTION_MOVE_UNDO, rest->placed->now->name, to, g_strdup_printf("note that it doesn't go to %s, which is given up", to));
  string_map_set(action->args, "lost", "true");
  run_on(rest, action);
  outdate(rest, action);
  put_first(rest, action);
}

/* A copy may have come to run where it was to go, and gone on from there to a host that is given up. */
static gboolean may_have_gone_on(const Rest *rest) {
  return given(rest->facts, FactsSpec, arriving) && rest->placed->never_ran == NULL && fleet_has_fenced(rest->placed->fleet);
}

/* wanted: where it shall go to now, NULL: nowhere. Going on with the same move would count less than a copy that went further. */
static char *undo(Rest *rest, const char *wanted) {
  if (!given(rest->facts, FactsSpec, movingTo) || (g_strcmp0(rest->facts->movingTo, wanted) == 0 && !may_have_gone_on(rest)))
    return NULL;
  const char *to = rest->facts->movingTo;
  const FleetHost *there = fleet_host(rest->placed->fleet, to);
  if (there == NULL || there->actual == NULL) {
    build_note(rest->object, g_strdup_printf("it was being moved to %s, and something made for it may be left there; that host %s", to,
                                             there == NULL ? "isn't declared" : "can't be asked"));
    if (is_given_up(there))
      give_up(rest, to);
    return is_given_up(there) ? NULL : g_strdup_printf("a move to %s was interrupted, and that host can't be asked: bring it back, or declare it "
                                                       "with fenced: true when it is certainly off", to);
  }
  g_autoptr(GString) volumes = g_string_new(NULL);
  g_autoptr(GPtrArray) files = move_files(rest->builder->input->actual, rest->domain, NULL);
  move_files_from_the_top(files);
  for (guint i = 0; i < files->len; i++)
    add_half_made(rest, there, files->pdata[i], volumes);
  Action *action = act(rest, ACTION_MOVE_UNDO, rest->placed->now->name, to, g_strdup_printf("take back the move to %s that was interrupted", to));
  run_on(rest, action);
  if (may_have_gone_on(rest)) {
    outdate(rest, action);
    put_first(rest, action);
  }
  if (volumes->len > 0)
    string_map_set(action->args, "volumes", volumes->str);
  if (rest->domain->nvram != NULL && move_shared_state(rest->builder->input->actual, rest->placed->now, rest->domain, to) == NULL)
    string_map_set(action->args, "nvram", rest->domain->nvram);
  return NULL;
}

/* --- an older copy --- */

/* Of a move of ours, the record says what was copied; else it counts what their hosts are said to share. */
static gboolean is_on_both(const Rest *rest, const FleetHost *host, const char *path, gboolean left) {
  if (left)
    return !given(rest->facts, FactsSpec, left) || !g_strv_contains((const char *const *)rest->facts->left, path);
  const ActualVolume *file = g_hash_table_lookup(host->actual->volumes_by_path, path);
  return file != NULL && file->pool != NULL && fleet_host_shares(rest->placed->now, file->pool, host->name);
}

/* Whether the older copy can write to a disk of the newer one's. */
static gboolean has_its_disk(const Rest *rest, const FleetHost *host, const ActualDomain *older, gboolean left) {
  for (guint i = 0; i < older->disks->len; i++) {
    const ActualDisk *disk = older->disks->pdata[i];
    if (disk->path != NULL && !move_only_reads(actual_now(older), disk->target) && is_on_both(rest, host, disk->path, left))
      return TRUE;
  }
  return FALSE;
}

/* One that is off: neither its host nor a run that sees it alone starts it then. */
static void keep(Rest *rest, const FleetHost *host, const ActualDomain *older) {
  const char *newest = rest->placed->now->name;
  const FactsSpec *facts = &older->owner->facts;
  gboolean noted = given(facts, FactsSpec, arriving) && given(facts, FactsSpec, movingTo) && g_str_equal(facts->movingTo, newest);
  if (!noted || older->autostart || is_marked(host, facts)) /* else what it has would count as half-made when it is undefined */
    act(rest, ACTION_DOMAIN_KEEP, host->name, newest, g_strdup_printf("note in the older copy on %s that it isn't to be started", host->name));
  build_note(rest->object, g_strdup_printf("an older copy of it, which is off, is kept on %s: save what it wrote that the machine lacks, then undefine it "
                                           "there ('virsh undefine %s')%s", host->name, rest->object->name,
                                           has_its_disk(rest, host, older, FALSE) ? "; its files on storage that both hosts have are the machine's" : ""));
}

/* Where both write to the same disk, each moment counts, also where restarts aren't allowed. */
static void end_at_once(Rest *rest, const FleetHost *host, Action *action, const char *becomes) {
  string_map_set(action->args, "runs", "true");
  action->impact = IMPACT_RESTART;
  action->permitted = TRUE;
  put_first(rest, action);
  build_note(rest->object, g_strdup_printf("an older copy of it runs on %s, on the same disks: it is powered off%s", host->name, becomes));
}

static void leave(Rest *rest, const FleetHost *host, gboolean runs) {
  if (runs)
    end_at_once(rest, host, act(rest, ACTION_DOMAIN_LEAVE, host->name, rest->placed->now->name,
                                g_strdup_printf("power off and undefine the older copy on %s", host->name)), "");
  else
    act_last(rest, ACTION_DOMAIN_LEAVE, host->name, g_strdup_printf("undefine the older copy on %s", host->name));
}

/* It has disks of its own that it may have written to. */
static void yield(Rest *rest, const FleetHost *host, gboolean same_disk) {
  Action *action = act(rest, ACTION_DOMAIN_YIELD, host->name, rest->placed->now->name,
                       g_strdup_printf(same_disk ? "power off the older copy on %s" : "stop the older copy on %s", host->name));
  if (same_disk) {
    end_at_once(rest, host, action, ", and kept with what it wrote to others");
    return;
  }
  g_free(plan_shutdown(object_vm(rest->placed->machine), TRUE, action));
  string_map_set(action->args, "force", "true"); /* two that run are worse … */
  action->permitted = TRUE;                      /* … also where restarts aren't allowed */
  build_note(rest->object, g_strdup_printf("an older copy of it runs on %s: it is stopped, and kept with its disks", host->name));
}

/* One that ran on while the machine was made elsewhere, or that libvirt let run on since it didn't hear that the newer one runs: it
 * is stopped, and kept with what it wrote. One that a move of ours left goes: TRUE; so it does where it runs, and nothing was copied. */
static gboolean older_copy(Rest *rest) {
  const FleetHost *host = rest->placed->stale;
  const ActualDomain *older = g_hash_table_lookup(host->actual->domains, rest->object->name);
  gboolean left = given(rest->facts, FactsSpec, movedFrom) && g_str_equal(rest->facts->movedFrom, host->name);
  gboolean runs = older->active && !(left && actual_is_migrating(older)), same_disks = left && !given(rest->facts, FactsSpec, left);
  if (runs && !same_disks) {
    yield(rest, host, has_its_disk(rest, host, older, left));
  } else if (left) {
    leave(rest, host, runs);
    g_free(finish(rest));
  } else {
    keep(rest, host, older);
  }
  return left && (same_disks || !runs);
}

/* --- what comes after it: the move that the file asks for now --- */

static Action *last_action(const Rest *rest) {
  g_autofree char *id = plan_object_id(rest->object);
  for (guint i = rest->builder->plan->actions->len; i-- > 0;) {
    Action *action = rest->builder->plan->actions->pdata[i];
    if (g_str_equal(action->object, id))
      return action;
  }
  return NULL;
}

/* By the same run: what that stops is shown by what comes before. */
static void go_on(const Rest *rest, const FleetHost *to, const char *when) {
  const VmSpec *vm = object_vm(rest->placed->machine);
  gboolean runs = rest->domain->active || given(rest->facts, FactsSpec, restarting), live = move_goes_live(vm, rest->domain, rest->placed->bare);
  Action *last = last_action(rest);
  rest->object->follows = TRUE;
  if (last != NULL && runs && !live && move_may_stop(rest->builder, vm)) {
    last->impact = MAX(last->impact, IMPACT_RESTART);
    last->permitted = TRUE;
  }
  build_note(rest->object, g_strdup_printf("it shall be on %s: it is moved%s when %s, in the same run", to->name, runs && !live ? ", shut down," : "", when));
}

/* The rest, a new attempt too, is for a machine that runs and is nowhere else. */
static void bring_back(Rest *rest) {
  const FleetHost *home = rest->placed->later != NULL ? rest->placed->later : rest->placed->home;
  g_free(undo(rest, NULL));
  rest->object->follows = TRUE;
  if (home != rest->placed->now)
    go_on(rest, home, "that is over");
  else
    build_note(rest->object, g_strdup("the rest is looked at and done when that is over, in the same run"));
}

/* --- where they are planned --- */

static Rest begin(PlanBuilder *builder, PlanObject *object, const Placed *placed) {
  const ActualDomain *domain = g_hash_table_lookup(builder->input->actual->domains, placed->machine->metadata.name);
  return (Rest){builder, object, placed, domain, &domain->owner->facts, NULL};
}

static PlanObject *object_of(PlanBuilder *builder, const Placed *placed) {
  const char *name = placed->machine->metadata.name;
  PlanObject *object = planned(builder, name);
  if (object != NULL)
    return object;
  const ActualDomain *domain = g_hash_table_lookup(builder->input->actual->domains, name);
  object = build_object(builder, KIND_VIRTUAL_MACHINE, name, CHANGE_UPDATE, placed->machine);
  object->desired = object_copy(placed->machine);
  object->fingerprint = g_strdup(domain->fingerprint);
  return object;
}

void plan_moved(PlanBuilder *builder, const Placed *placed) {
  PlanObject *object = object_of(builder, placed);
  if (object->change == CHANGE_ERROR)
    return;
  Rest rest = begin(builder, object, placed);
  if (placed->stays != NULL)
    build_note(object, g_strdup(placed->stays));
  if (move_awaits_notes(rest.domain)) {
    char *error = moved_snapshots(builder, object, placed, rest.domain);
    if (error != NULL)
      build_error(builder, object, error);
    return;
  }
  if (moved_broke_off(placed, rest.domain)) {
    bring_back(&rest);
    return;
  }
  gboolean goes = placed->stale != NULL && older_copy(&rest);
  if (placed->stale == NULL) {
    note_seen(&rest);
    g_free(undo(&rest, NULL));
    g_free(finish(&rest));
  }
  if (goes && placed->home != placed->now)
    go_on(&rest, placed->home, "what was interrupted is over");
  else if (placed->home != placed->now)
    build_note(object, g_strdup_printf("it shall be on %s: it is moved when no older copy is left on %s", placed->home->name, placed->stale->name));
  else if (placed->later != NULL)
    go_on(&rest, placed->later, placed->first);
}

/* A copy there is an orphan of its own, and what it has isn't half-made. */
char *plan_moved_orphan(PlanBuilder *builder, PlanObject *object, const ActualDomain *domain, const char **ret_last) {
  const Placed placed = {.fleet = builder->input->fleet, .now = fleet_host(builder->input->fleet, builder->input->host)};
  Rest rest = {builder, object, &placed, domain, &domain->owner->facts, NULL};
  const FleetHost *there = given(rest.facts, FactsSpec, movingTo) ? fleet_host(placed.fleet, rest.facts->movingTo) : NULL;
  gboolean arrived = there != NULL && there->actual != NULL && g_hash_table_contains(there->actual->domains, domain->name);
  char *error = there != NULL && !is_given_up(there) && !arrived ? undo(&rest, NULL) : NULL;
  *ret_last = rest.last;
  return error;
}

char *plan_moved_before(PlanBuilder *builder, PlanObject *object, const Placed *placed, const char **ret_last) {
  Rest rest = begin(builder, object, placed);
  note_seen(&rest);
  char *error = undo(&rest, placed->home->name);
  if (error == NULL)
    error = finish(&rest);
  *ret_last = rest.last;
  return error;
}
