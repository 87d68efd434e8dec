/* Machines that move to another host: by live migration, or stopped, copied and started there. What can be
 * known beforehand is checked here, the rest by the first action, before anything is touched. */
#include "reconciler/base_volume.h"
#include "reconciler/plan_moved.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const Placed *placed;
  const ActualDomain *domain;
  const VmSpec *vm;       /* as declared */
  const Actual *there;
  const char *to;         /* name of the host */
  gboolean live;
  GString *disks, *left;  /* targets that are copied; paths that stay behind, one a line */
  GString *shared;        /* pools that are relied on to be shared, one a line */
  guint64 bytes;          /* that the target's pools will take */
  const char *last;       /* id of the last action */
} Move;

static char *decimal(guint64 value) { return g_strdup_printf("%" G_GUINT64_FORMAT, value); }

static Action *act(Move *move, ActionKind kind, char *description /* taken */) {
  Action *action = build_action(move->builder, move->object, kind, move->last, description, "to", move->to, NULL);
  move->last = action->id;
  return action;
}

static void add_line(GString *text, const char *line) { g_string_append_printf(text, "%s%s", text->len > 0 ? "\n" : "", line); }

/* --- what can't be moved --- */

static gboolean has_devices(const VmSpec *vm) {
  const HostDevicesSpec *devices = &vm->hostDevices;
  return given(vm, VmSpec, hostDevices) && ((given(devices, HostDevicesSpec, pci) && devices->pci->len > 0) ||
                                            (given(devices, HostDevicesSpec, usb) && devices->usb->len > 0));
}

/* Why it can't go while it runs; NULL: it can. */
static const char *not_live(const ActualDomain *domain) {
  if (has_devices(&domain->live))
    return "it has devices of its host";
  if (given(&domain->live, VmSpec, filesystems) && domain->live.filesystems->len > 0)
    return "it shares directories of its host";
  return NULL;
}

static char *refuse_machine(const Move *move) {
  const ActualDomain *domain = move->domain;
  const VmSpec *vm = &domain->persistent;
  if (domain->has_managed_save)
    return g_strdup("it is hibernated, and its saved memory can't be moved: start it, or discard the memory");
  if (domain->snapshots->len > 0)
    return g_strdup("it has snapshots, which libvirt doesn't move: remove them first (leave them out of the file)");
  if (has_devices(vm))
    return g_strdup("it has devices of its host: detach them first");
  if (!move->live && given(vm, VmSpec, tpm))
    return g_strdup("its TPM's state can't be moved while it is stopped: start it and move it live");
  if (!move->live && given(vm, VmSpec, firmware) && given(&vm->firmware, FirmwareSpec, type) && vm->firmware.type == Firmware_uefi)
    return g_strdup("its UEFI variables can't be moved while it is stopped: start it and move it live");
  if (given(vm, VmSpec, type) && vm->type == DomainType_kvm && !move->there->has_kvm)
    return g_strdup_printf("it needs KVM, which %s doesn't offer", move->to);
  if (given(vm, VmSpec, arch) && g_strcmp0(vm->arch, move->there->arch) != 0 && vm->type == DomainType_kvm)
    return g_strdup_printf("its architecture is %s, and %s is %s", vm->arch, move->to, move->there->arch);
  return NULL;
}

static char *refuse_identity(const Move *move) {
  GHashTableIter iter;
  ActualDomain *other;
  if (g_hash_table_contains(move->there->domains, move->domain->name))
    return g_strdup_printf("%s has a machine of this name that isn't ours", move->to);
  g_hash_table_iter_init(&iter, move->there->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&other))
    if (g_strcmp0(other->uuid, move->domain->uuid) == 0)
      return g_strdup_printf("%s has a machine %s with its UUID", move->to, other->name);
  return NULL;
}

static char *refuse_networks(const Move *move) {
  const VmSpec *vm = move->domain->active ? &move->domain->live : &move->domain->persistent;
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    const ActualNetwork *network = given(interface, InterfaceSpec, network) ? g_hash_table_lookup(move->there->networks, interface->network) : NULL;
    if (given(interface, InterfaceSpec, network) && (network == NULL || !network->active))
      return g_strdup_printf("its network %s %s on %s: declare and start it there first", interface->network,
                             network == NULL ? "isn't" : "isn't started", move->to);
  }
  return NULL;
}

/* --- its disks --- */

static gboolean is_shared(const Move *move, const char *pool) { return fleet_host_shares(move->placed->now, pool, move->to); }

/* The pool of a layer, as it is on the other host: of the same name, at the same path. */
static const ActualPool *pool_there(const Move *move, const ActualVolume *layer, char **ret_error) {
  const ActualPool *here = layer->pool != NULL ? g_hash_table_lookup(move->builder->input->actual->pools, layer->pool) : NULL;
  const ActualPool *there = here != NULL ? g_hash_table_lookup(move->there->pools, layer->pool) : NULL;
  if (here == NULL)
    *ret_error = g_strdup_printf("%s is in no storage pool: put its directory into one on both hosts", layer->path);
  else if (there == NULL || !there->active || there->error != NULL)
    *ret_error = g_strdup_printf("pool %s can't be used on %s: declare and start it there first", layer->pool, move->to);
  else if (g_strcmp0(here->target, there->target) != 0)
    *ret_error = g_strdup_printf("pool %s is %s here and %s on %s: the paths must be the same", layer->pool, here->target, there->target, move->to);
  return *ret_error == NULL ? there : NULL;
}

static char *refuse_space(const Move *move, const ActualPool *pool) {
  if (move->bytes <= pool->available)
    return NULL;
  g_autofree char *need = bytes_format_short(move->bytes), *have = bytes_format_short(pool->available);
  return g_strdup_printf("it needs %s in pool %s on %s, which has %s", need, pool->name, move->to, have);
}

static char *move_base(Move *move, const ActualVolume *base) {
  char *error = NULL;
  g_autofree char *sha256 = base_volume_digest(base->path);
  if (sha256 == NULL)
    return g_strdup_printf("it lies on %s, which is no base image that is named by its content: merge or copy it first", base->path);
  if (base->backing_path != NULL)
    return g_strdup_printf("its base %s has a backing store of its own", base->path);
  const ActualPool *pool = pool_there(move, base, &error);
  if (pool == NULL)
    return error;
  g_autofree char *marker = g_strconcat(base->name, INCOMPLETE_SUFFIX, NULL), *key = g_strconcat(move->to, base->path, NULL);
  if (is_shared(move, pool->name) || (g_hash_table_contains(pool->volumes, base->name) && !g_hash_table_contains(pool->volumes, marker)))
    return NULL;
  const char *brought = build_needs(move->builder, KIND_IMAGE, key); /* by another machine of this plan */
  move->bytes += brought == NULL ? base->physical : 0;
  g_autofree char *size = decimal(base->physical), *shown = bytes_format_short(base->physical);
  Action *action = act(move, ACTION_MOVE_BASE, g_strdup_printf("copy its base image (%s) to %s", shown, move->to));
  string_map_set(action->args, "toPool", pool->name);
  string_map_set(action->args, "path", base->path);
  string_map_set(action->args, "sha256", sha256);
  string_map_set(action->args, "size", size);
  build_wait(action, brought);
  build_ready(move->builder, KIND_IMAGE, key, action);
  return NULL;
}

static void move_volume(Move *move, const ActualDisk *disk, const ActualVolume *top, const ActualPool *pool) {
  g_autofree char *size = decimal(top->physical), *capacity = decimal(top->capacity), *shown = bytes_format_short(top->allocation);
  Action *action = move->live ? act(move, ACTION_MOVE_PREPARE, g_strdup_printf("make room for disk %s on %s", disk->target, move->to))
                              : act(move, ACTION_MOVE_VOLUME, g_strdup_printf("copy disk %s (%s) to %s", disk->target, shown, move->to));
  string_map_set(action->args, "toPool", pool->name);
  string_map_set(action->args, "path", top->path);
  string_map_set(action->args, move->live ? "capacity" : "size", move->live ? capacity : size);
  if (!move->live)
    return;
  string_map_set(action->args, "format", top->format);
  if (top->backing_path != NULL) {
    string_map_set(action->args, "backingPath", top->backing_path);
    string_map_set(action->args, "backingFormat", top->backing_format);
  }
}

static gboolean is_medium(const Move *move, const char *target) {
  const VmSpec *vm = move->domain->active ? &move->domain->live : &move->domain->persistent;
  const DiskSpec *disk = given(vm, VmSpec, disks) ? list_find(&DiskSpec_table, vm->disks, &DiskSpec_table.fields[DiskSpec_target], target) : NULL;
  return disk != NULL && ((given(disk, DiskSpec, device) && disk->device != DiskDevice_disk) || (given(disk, DiskSpec, readOnly) && disk->readOnly));
}

static char *move_disk(Move *move, const ActualDisk *disk) {
  char *error = NULL;
  if (disk->path == NULL)
    return is_medium(move, disk->target) ? NULL : g_strdup("it is neither a file nor a block device");
  const ActualVolume *top = disk->chain->len > 0 ? disk->chain->pdata[0] : NULL;
  if (disk->job != NULL)
    return g_strdup("a block job runs on it: wait until that has ended");
  if (top == NULL || top->name == NULL)
    return g_strdup_printf("%s is in no storage pool: put its directory into one on both hosts", disk->path);
  const ActualPool *pool = pool_there(move, top, &error);
  if (pool == NULL)
    return error;
  gboolean there = g_hash_table_contains(pool->volumes, top->name);
  g_autofree char *marker = g_strconcat(top->name, INCOMPLETE_SUFFIX, NULL);
  if (is_shared(move, pool->name)) {
    add_line(move->shared, pool->name);
    return NULL;
  }
  if (is_medium(move, disk->target))
    return there ? NULL : g_strdup_printf("its medium %s isn't on %s: eject it, or put it there", disk->path, move->to);
  if (disk->chain->len > 2)
    return g_strdup("its chain is deeper than an overlay on a base: merge it first (chain.onExceed)");
  if (there && !g_hash_table_contains(pool->volumes, marker))
    return g_strdup_printf("there is a file %s on %s already: look what it is, and remove it", top->path, move->to);
  if (disk->chain->len == 2 && (error = move_base(move, disk->chain->pdata[1])) != NULL)
    return error;
  move->bytes += top->allocation;
  if ((error = refuse_space(move, pool)) != NULL)
    return error;
  move_volume(move, disk, top, pool);
  g_string_append_printf(move->disks, "%s%s", move->disks->len > 0 ? "," : "", disk->target);
  add_line(move->left, top->path);
  return NULL;
}

static char *move_disks(Move *move) {
  for (guint i = 0; i < move->domain->disks->len; i++) {
    const ActualDisk *disk = move->domain->disks->pdata[i];
    g_autofree char *error = move_disk(move, disk);
    if (error != NULL)
      return g_strdup_printf("disk %s: %s", disk->target, error);
  }
  return NULL;
}

/* --- the ways --- */

static void set_number(Action *action, const char *key, gboolean is_given, guint64 value) {
  g_autofree char *text = decimal(value);
  if (is_given)
    string_map_set(action->args, key, text);
}

static void set_policy(Move *move, Action *action) {
  const VmSpec *vm = move->vm;
  const MigrationSpec *policy = &vm->migration;
  const HostLimitsSpec *limits = &move->placed->home->spec->limits;
  if (given(move->placed->home->spec, HostSpec, limits))
    set_number(action, "bandwidth", given(limits, HostLimitsSpec, bandwidth), limits->bandwidth);
  if (!given(vm, VmSpec, migration))
    return;
  set_number(action, "bandwidth", given(policy, MigrationSpec, bandwidth), policy->bandwidth);
  set_number(action, "downtime", given(policy, MigrationSpec, maxDowntime), policy->maxDowntime);
  set_number(action, "timeout", given(policy, MigrationSpec, timeout), policy->timeout);
  set_number(action, "parallel", given(policy, MigrationSpec, parallel), (guint64)policy->parallel);
  if (given(policy, MigrationSpec, postCopy) && policy->postCopy)
    string_map_set(action->args, "postCopy", "true");
  if (given(policy, MigrationSpec, autoConverge) && policy->autoConverge)
    string_map_set(action->args, "autoConverge", "true");
  if (given(policy, MigrationSpec, compression) && policy->compression != MigrationCompression_none)
    string_map_set(action->args, "compression", MigrationCompression_words.words[policy->compression]);
}

static void go_live(Move *move) {
  const HostSpec *there = move->placed->home->spec;
  g_autofree char *size = bytes_format_short(move->bytes);
  g_autofree char *storage = move->disks->len > 0 ? g_strdup_printf(", copying %s of disks", size) : g_strdup("");
  Action *action = act(move, ACTION_DOMAIN_MIGRATE, g_strdup_printf("migrate to %s while it runs%s", move->to, storage));
  string_map_set(action->args, "peer", given(there, HostSpec, peerUri) ? there->peerUri : there->uri);
  if (given(there, HostSpec, migrationUri))
    string_map_set(action->args, "uri", there->migrationUri);
  if (given(there, HostSpec, transport))
    string_map_set(action->args, "transport", MigrationTransport_words.words[there->transport]);
  if (move->disks->len > 0)
    string_map_set(action->args, "disks", move->disks->str);
  if (move->left->len > 0)
    string_map_set(action->args, "left", move->left->str);
  set_policy(move, action);
}

static void go_cold(Move *move, gboolean runs) {
  Action *action = act(move, ACTION_DOMAIN_ARRIVE, g_strdup_printf(runs ? "start it on %s" : "define it on %s", move->to));
  if (runs)
    string_map_set(action->args, "start", "true");
  if (move->left->len > 0)
    string_map_set(action->args, "left", move->left->str);
  string_map_set(act(move, ACTION_DOMAIN_LEAVE, g_strdup("undefine it here"))->args, "from", move->placed->now->name);
}

/* Stopping it is permitted by asking for it, by its policy, or by the run. */
static char *stop_first(Move *move, gboolean asked) {
  const UpdatePolicySpec *policy = &move->vm->updatePolicy;
  gboolean stated = given(move->vm, VmSpec, updatePolicy) && given(policy, UpdatePolicySpec, restart);
  gboolean allowed = stated ? policy->restart == RestartPolicy_allowed : (move->builder->input->allow & ALLOW(IMPACT_RESTART)) != 0;
  if (!asked && !allowed)
    return g_strdup_printf("it can't be moved while it runs (%s): stop it, give migration.mode: cold, or allow restarts", not_live(move->domain));
  Action *action = act(move, ACTION_DOMAIN_SHUTDOWN, g_strdup("shut down, waiting up to 90 s"));
  string_map_set(action->args, "force", "false");
  string_map_set(action->args, "again", "true");
  action->permitted = TRUE;
  return NULL;
}

static char *plan_way(Move *move) {
  const MigrationSpec *policy = &move->vm->migration;
  int mode = given(move->vm, VmSpec, migration) && given(policy, MigrationSpec, mode) ? policy->mode : MigrationMode_automatic;
  const FactsSpec *facts = &move->domain->owner->facts;
  gboolean runs = move->domain->active, interrupted = !runs && given(facts, FactsSpec, restarting);
  move->live = runs && mode != MigrationMode_cold && (mode == MigrationMode_live || not_live(move->domain) == NULL);
  if (move->live && not_live(move->domain) != NULL)
    return g_strdup_printf("migration.mode is live, and it can't be moved while it runs: %s", not_live(move->domain));
  char *error = refuse_machine(move);
  if (error == NULL)
    error = refuse_identity(move);
  if (error == NULL)
    error = refuse_networks(move);
  if (error != NULL)
    return error;
  Action *check = act(move, ACTION_MOVE_CHECK, g_strdup_printf("check that %s can take it", move->to));
  if (!move->live && runs && (error = stop_first(move, mode == MigrationMode_cold)) != NULL)
    return error;
  if ((error = move_disks(move)) != NULL)
    return error;
  if (move->shared->len > 0)
    string_map_set(check->args, "pools", move->shared->str);
  if (move->live)
    go_live(move);
  else
    go_cold(move, runs || interrupted);
  g_autofree char *done = move->left->len > 0 ? g_strdup_printf("delete what was copied from %s", move->placed->now->name) : g_strdup("note that it has arrived");
  string_map_set(act(move, ACTION_MOVE_FINISH, g_steal_pointer(&done))->args, "from", move->placed->now->name);
  return NULL;
}

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
  Move move = {builder, object, placed, domain, object_vm(machine), placed->home->actual, placed->home->name, .disks = disks, .left = left, .shared = shared};
  object->desired = object_copy(machine);
  object->fingerprint = g_strdup(domain->fingerprint);
  char *error = domain->error != NULL ? g_strdup_printf("it can't be read: %s", domain->error) : NULL;
  if (error == NULL && move.there == NULL)
    error = g_strdup_printf("it shall move to %s, which can't be asked: %s", move.to, placed->home->error->message);
  if (error == NULL)
    error = plan_moved_before(builder, object, placed, &move.last);
  if (error == NULL)
    error = plan_way(&move);
  if (error != NULL) {
    build_error(builder, object, g_strdup_printf("it is on %s and shall be on %s: %s", placed->now->name, placed->home->name, error));
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
    if (each->now == each->home || each->stale != NULL)
      plan_moved(builder, each);
    else
      plan_move(builder, each);
  }
}
