/* What a file asks for beside another host. A machine that moves stopped gets its new size there, in the same plan,
 * is started there or not, and with its host or not; what else differs is looked at when the machine is there. */
#include "reconciler/plan/diff.h"
#include "reconciler/plan/migration.h"

/* Of a disk that nothing can be told of here (its medium's image is looked at for the host that it goes to) it is looked at there. */
static gboolean is_unresolved(const Resolved *resolved, const FieldChange *change) {
  for (guint i = 0; g_strcmp0(change->list, "disks") == 0 && i < resolved->sources->len; i++) {
    const DiskSource *source = resolved->sources->pdata[i];
    if (source->unresolved && g_strcmp0(source->disk->target, change->match) == 0)
      return TRUE;
  }
  return FALSE;
}

static GPtrArray *differences(const Move *move, const Resolved *resolved) {
  const ActualDomain *domain = move->domain;
  const DiffInput diff = diff_input(resolved->desired->spec, domain->owner != NULL ? &domain->owner->spec : NULL, domain);
  GPtrArray *changes = diff_spec(&diff);
  for (guint i = changes->len; i-- > 0;)
    if (is_unresolved(resolved, changes->pdata[i]))
      g_ptr_array_remove_index(changes, i);
  return changes;
}

/* Nothing of it travels: it is grown where it is. What snapshots hold stays as it is. */
static gboolean grows_here(const Move *move, const FieldChange *change) {
  const ActualDisk *disk = plan_is_growth(change) ? actual_disk(move->domain->disks, change->match) : NULL;
  const ActualVolume *top = disk != NULL && disk->chain->len > 0 ? disk->chain->pdata[0] : NULL;
  return top != NULL && top->pool != NULL && move->domain->snapshots->len == 0 && move_is_shared(move, top->pool);
}

/* Whether the machine runs when its disk is grown: here, or where it has arrived. */
static char *refuse_growth(const Move *move, const FieldChange *change) {
  gboolean running = grows_here(move, change) ? move->domain->active : move->live;
  return plan_growth_refusal(move->builder, move->resolved->desired, move->domain, change, running);
}

char *move_judge(Move *move) {
  move->resolved = resolve_vm(move->builder->input, move->placed->machine, move->domain);
  move->changes = differences(move, move->resolved);
  char *error = build_refusal(move->changes);
  for (guint i = 0; error == NULL && i < move->changes->len; i++)
    if (plan_is_growth(move->changes->pdata[i]))
      error = refuse_growth(move, move->changes->pdata[i]);
  return error;
}

void move_grow(Move *move) {
  for (guint i = 0; move->resolved->error == NULL && i < move->changes->len; i++) {
    if (!grows_here(move, move->changes->pdata[i]))
      continue;
    Action *grow = plan_growth(move->builder, move->object, move->resolved->desired, move->domain, move->changes->pdata[i]);
    build_wait(grow, move->last);
    move->last = grow->id;
  }
}

/* Disks that are copied can grow where they arrive. */
static gboolean grows(Move *move, const FieldChange *change) {
  g_auto(GStrv) copied = g_strsplit(move->disks->str, ",", -1);
  if (move->domain->snapshots->len > 0 /* what they hold stays as it is */ || !g_strv_contains((const char *const *)copied, change->match))
    return FALSE;
  const DiskSpec *disk = vm_disk(object_vm(move->resolved->desired), change->match);
  const ActualDisk *now = actual_disk(move->domain->disks, change->match);
  for (guint i = 0; i < move->builder->plan->actions->len; i++) {
    Action *action = move->builder->plan->actions->pdata[i];
    if (action->kind == ACTION_MOVE_VOLUME && g_strcmp0(string_map_get(action->args, "path"), now->path) == 0) {
      move_set_number(action, "grow", disk->size);
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean is_resized(const FieldChange *change) {
  return g_str_has_prefix(change->path, "cpu.") || g_str_has_prefix(change->path, "memory.");
}

static gboolean is_autostart(const FieldChange *change) { return change->field == &VmSpec_table.fields[VmSpec_autostart]; }

static gboolean is_power_reached(const Move *move, const FieldChange *change) {
  return !move->live && change->field == &VmSpec_table.fields[VmSpec_powerState] && move->vm->powerState == (move->starts ? PowerState_running : PowerState_stopped);
}

static void add_rest(GString *rest, const char *path) { g_string_append_printf(rest, "%s%s", rest->len > 0 ? ", " : "", path); }

/* To be converted, which isn't a change of the definition. */
static void add_formats(GString *rest, const Resolved *resolved) {
  for (guint i = 0; i < resolved->sources->len; i++) {
    const DiskSource *source = resolved->sources->pdata[i];
    g_autofree char *path = g_strdup_printf("disks[%s].format", source->disk->target);
    if (source->convert)
      add_rest(rest, path);
  }
}

void move_changes(Move *move, gboolean *ret_resize, gboolean *ret_rest) {
  Resolved *resolved = move->resolved;
  *ret_resize = FALSE;
  *ret_rest = resolved->error != NULL;
  if (resolved->error != NULL) {
    move->object->follows = TRUE;
    build_note(move->object, g_strdup("what else differs is looked at, and done, when it has moved, in the same run"));
    return;
  }
  g_autoptr(GString) rest = g_string_new(NULL);
  while (move->changes->len > 0) {
    FieldChange *change = g_ptr_array_steal_index(move->changes, 0);
    gboolean resized = !move->live && is_resized(change);
    *ret_resize |= resized;
    if (grows_here(move, change)) {
      g_ptr_array_add(move->object->fields, change);
      continue;
    }
    if (resized || is_autostart(change) || is_power_reached(move, change) || (!move->live && plan_is_growth(change) && grows(move, change))) {
      change->pending = FALSE;
      change->effect = EFFECT_NONE;
      g_ptr_array_add(move->object->fields, change);
      continue;
    }
    if (change->effect != EFFECT_NONE) /* else only our record differs, and that is written anew */
      add_rest(rest, change->path);
    field_change_free(change);
  }
  add_formats(rest, resolved);
  *ret_rest = rest->len > 0;
  if (rest->len > 0) {
    move->object->follows = TRUE;
    build_note(move->object, g_strdup_printf("the rest is looked at and done when it has moved, in the same run: %s", rest->str));
  }
  object_free(move->object->desired);
  move->object->desired = g_steal_pointer(&resolved->desired);
}
