/* Machines that move to another host: by live migration, or stopped, copied and started there. What can be
 * known beforehand is checked here, the rest by the first action, before anything is touched. */
#include "reconciler/plan/migration.h"

#include <string.h>

#include "reconciler/plan/migration_policy.h"
#include "reconciler/plan/moved.h"
#include "schema/value.h"

void move_set_number(Action *action, const char *key, guint64 value) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);
  string_map_set(action->args, key, text);
}

Action *move_act(Move *move, ActionKind kind, char *description) {
  Action *action = build_action(move->builder, move->object, kind, move->last, description, "to", move->to, NULL);
  move->last = action->id;
  return action;
}

static void set_changes(Move *move, Action *arrives) {
  gboolean resize, rest;
  move_changes(move, &resize, &rest);
  if (resize)
    string_map_set(arrives->args, "resize", "true");
  if (rest)
    string_map_set(arrives->args, "rest", "true");
}

static char *go_live(Move *move) {
  const MigrationPolicy policy = {move->vm, move->placed->now->spec, move->placed->home->spec, move->disks->len > 0};
  char *refusal = migration_refusal(&policy);
  if (refusal != NULL)
    return refusal;
  g_autofree char *size = bytes_format_short(move->bytes);
  g_autofree char *storage = move->disks->len > 0 ? g_strdup_printf(", copying %s of disks", size) : g_strdup("");
  Action *action = move_act(move, ACTION_DOMAIN_MIGRATE, g_strdup_printf("migrate to %s while it runs%s", move->to, storage));
  migration_arguments(&policy, action);
  if (move->disks->len > 0)
    string_map_set(action->args, "disks", move->disks->str);
  if (move->left->len > 0)
    string_map_set(action->args, "left", move->left->str);
  move_state_note(move, action);
  set_changes(move, action);
  return NULL;
}

static void go_cold(Move *move) {
  Action *action = move_act(move, ACTION_DOMAIN_ARRIVE, g_strdup_printf(move->starts ? "start it on %s" : "define it on %s", move->to));
  if (move->starts)
    string_map_set(action->args, "start", "true");
  if (move->left->len > 0)
    string_map_set(action->args, "left", move->left->str);
  g_autofree char *snapshots = move->domain->snapshots->len > 0 ? move_snapshot_names(move->domain, "\n") : NULL;
  if (snapshots != NULL)
    string_map_set(action->args, "snapshots", snapshots);
  move_state_note(move, action);
  set_changes(move, action);
  string_map_set(move_act(move, ACTION_DOMAIN_LEAVE, g_strdup("undefine it here"))->args, "from", move->placed->now->name);
}

static int mode_of(const VmSpec *vm) {
  return given(vm, VmSpec, migration) && given(&vm->migration, MigrationSpec, mode) ? vm->migration.mode : MigrationMode_automatic;
}

gboolean move_goes_live(const VmSpec *vm, const ActualDomain *domain, gboolean bare) {
  int mode = mode_of(vm);
  return domain->active && mode != MigrationMode_cold && (mode == MigrationMode_live || move_not_live(domain, bare) == NULL);
}

/* Stopping it is permitted by asking for it, by its policy, or by the run. */
gboolean move_may_stop(const PlanBuilder *builder, const VmSpec *vm) {
  return plan_may_restart(builder, vm) || mode_of(vm) == MigrationMode_cold;
}

static char *stop_first(Move *move) {
  g_autofree char *bare = move_bare_advice(move->vm, move->domain);
  if (!move_may_stop(move->builder, move->vm))
    return g_strdup_printf("it can't be moved while it runs (%s): stop it, give migration.mode: cold, or allow restarts%s", move_not_live(move->domain, FALSE), bare);
  Action *action = move_act(move, ACTION_DOMAIN_SHUTDOWN, NULL);
  action->description = plan_shutdown(move->vm, FALSE, action); /* for a move nothing is powered off, unless the file says so */
  if (move->starts)
    string_map_set(action->args, "again", "true");
  action->permitted = TRUE;
  return NULL;
}

/* What people and programs see of it before it is begun. */
static void describe(Move *move, Action *check) {
  g_autofree char *size = bytes_format_short(move->bytes);
  const MemorySpec *memory = &actual_live(move->domain)->memory;
  g_autofree char *sent = move->live && given(memory, MemorySpec, size) ? bytes_format_short(memory->size) : NULL;
  g_autofree char *state = sent != NULL ? g_strdup_printf(" and %s of memory", sent) : g_strdup("");
  g_autofree char *snapshots = move_snapshot_names(move->domain, ", ");
  const char *way = move->live ? "live" : move->starts ? "cold" : "stopped";
  string_map_set(check->args, "way", way);
  move_set_number(check, "bytes", move->bytes);
  build_note(move->object, g_strdup_printf("it moves %s: %s of files%s to copy", move->live ? "while it runs" : move->starts ? "shut down, and is started there"
                                                                        : move->domain->active ? "shut down, and stays so" : "as it is, stopped",
                                           size, state));
  if (move->placed->remark != NULL)
    build_note(move->object, g_strdup(move->placed->remark));
  if (*snapshots != '\0')
    build_note(move->object, g_strdup_printf("its snapshots come along: %s", snapshots));
  if (move->live && move_awaits_snapshots(move->vm, move->domain)) {
    move->object->follows = TRUE;
    build_note(move->object, g_strdup("the snapshots that are declared are taken when it has moved, in the same run"));
  }
  build_note(move->object, g_strdup_printf("checked on %s: libvirt's version, machine type, CPU, bridges, networks, pools and their space, and that no "
                                           "machine or file stands in the way", move->to));
}

static char *plan_way(Move *move) {
  gboolean runs = move->domain->active, interrupted = given(&move->domain->owner->facts, FactsSpec, restarting);
  move->starts = (runs || interrupted) && !(given(move->vm, VmSpec, powerState) && move->vm->powerState == PowerState_stopped);
  move->live = move_goes_live(move->vm, move->domain, FALSE);
  g_autofree char *bare = move_bare_advice(move->vm, move->domain);
  if (move->live && move_not_live(move->domain, FALSE) != NULL)
    return g_strdup_printf("migration.mode is live, and it can't be moved while it runs (%s): stop it, or give migration.mode: cold%s",
                           move_not_live(move->domain, FALSE), bare);
  char *error = move_refusal(move);
  if (error == NULL)
    error = move_judge(move);
  if (error != NULL)
    return error;
  Action *check = move->check = move_act(move, ACTION_MOVE_CHECK, g_strdup_printf("check that %s can take it", move->to));
  plan_bases(move->builder, check, move->domain->disks, NULL);
  if ((error = move_storage(move)) != NULL)
    return error;
  move_grow(move);
  if (!move->live && runs && (error = stop_first(move)) != NULL)
    return error;
  move_disks(move);
  move_state(move);
  move_state_note(move, check);
  if (move->shared->len > 0)
    string_map_set(check->args, "pools", move->shared->str);
  if (move->left->len > 0)
    string_map_set(check->args, "files", move->left->str);
  if (move->live && (error = go_live(move)) != NULL)
    return error;
  if (!move->live)
    go_cold(move);
  describe(move, check);
  g_autofree char *done = move->left->len > 0 ? g_strdup_printf("delete what was copied from %s", move->placed->now->name) : g_strdup("note that it has arrived");
  string_map_set(move_act(move, ACTION_MOVE_FINISH, g_steal_pointer(&done))->args, "from", move->placed->now->name);
  return NULL;
}

char *move_heading(const Placed *placed) { return g_strdup_printf("it is on %s and shall be on %s: ", placed->now->name, placed->home->name); }

static void show_change(const Move *move) {
  FieldChange *change = g_new0(FieldChange, 1);
  change->path = g_strdup("placement.host");
  change->field = &PlacementSpec_table.fields[PlacementSpec_host];
  change->from = g_strdup(move->placed->now->name);
  change->to = g_strdup(move->to);
  change->effect = move->live ? EFFECT_LIVE_CALL : EFFECT_NONE;
  g_ptr_array_add(move->object->fields, change);
}

static void plan_move(PlanBuilder *builder, const Placed *placed) {
  const Object *machine = placed->machine;
  PlanObject *object = build_object(builder, KIND_VIRTUAL_MACHINE, machine->metadata.name, CHANGE_UPDATE, machine);
  const ActualDomain *domain = g_hash_table_lookup(builder->input->actual->domains, machine->metadata.name);
  g_autoptr(GString) disks = g_string_new(NULL), left = g_string_new(NULL), shared = g_string_new(NULL);
  g_autoptr(GPtrArray) files = g_ptr_array_new();
  Move move = {builder, object, placed, domain, object_vm(machine), placed->home->actual, placed->home->name, .disks = disks, .left = left, .files = files,
               .shared = shared};
  object->desired = object_copy(machine);
  object->fingerprint = g_strdup(domain->fingerprint);
  char *error = domain->error != NULL ? g_strdup_printf("it can't be read: %s", domain->error) : NULL;
  if (error == NULL)
    error = build_contested(builder, domain);
  if (error == NULL && move.there == NULL)
    error = g_strdup_printf("it shall move to %s, which can't be asked: %s", move.to, placed->home->error->message);
  if (error == NULL)
    error = plan_moved_before(builder, object, placed, &move.last);
  if (error == NULL)
    error = plan_way(&move);
  resolved_free(move.resolved);
  g_clear_pointer(&move.changes, g_ptr_array_unref);
  if (error != NULL) {
    g_autofree char *heading = move_heading(placed);
    build_error(builder, object, g_strconcat(heading, error, NULL));
    g_free(error);
    return;
  }
  show_change(&move);
}

void plan_migrations(PlanBuilder *builder) {
  const GPtrArray *placed = builder->input->placed;
  const char *host = builder->input->host;
  for (guint i = 0; placed != NULL && host != NULL && i < placed->len; i++) {
    const Placed *each = placed->pdata[i];
    if (each->error != NULL)
      continue;
    if (each->now == NULL || !g_str_equal(each->now->name, host))
      continue;
    const ActualDomain *domain = g_hash_table_lookup(builder->input->actual->domains, each->machine->metadata.name);
    if (each->now == each->home || each->stale != NULL || move_awaits_notes(domain) || moved_broke_off(each, domain))
      plan_moved(builder, each);
    else
      plan_move(builder, each);
  }
}
