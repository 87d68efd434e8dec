/* Live changes of a running machine: each by its right call, several fields of one call or
 * one device together in one action. */
#include "reconciler/plan/build.h"
#include "schema/value.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const VmSpec *desired;
  const VmSpec *now, *applied; /* as it runs; as declared last; NULL: not known */
  const char *after;
  GPtrArray *actions; /* of Action *, borrowed */
} Live;

static char *number(guint64 value) { return g_strdup_printf("%" G_GUINT64_FORMAT, value); }

static void add(Live *live, Action *action) { g_ptr_array_add(live->actions, action); }

static void vcpus(Live *live, const FieldChange *change) {
  g_autofree char *count = g_strdup_printf("%" G_GINT64_FORMAT, live->desired->cpu.count);
  add(live, build_action(live->builder, live->object, ACTION_SET_VCPUS, live->after,
                         g_strdup_printf("set virtual CPUs from %s to %s", change->from, change->to), "count", count, NULL));
}

static void memory(Live *live, const FieldChange *change) {
  g_autofree char *bytes = number(live->desired->memory.size);
  add(live, build_action(live->builder, live->object, ACTION_SET_MEMORY, live->after,
                         g_strdup_printf("set memory from %s to %s by balloon", change->from, change->to), "bytes", bytes, NULL));
}

static void memory_stats(Live *live, const FieldChange *change) {
  const MemorySpec *spec = &live->desired->memory;
  g_autofree char *period = number(given(spec, MemorySpec, statsPeriod) ? spec->statsPeriod : 0);
  add(live, build_action(live->builder, live->object, ACTION_SET_MEMORY_STATS, live->after,
                         g_strdup_printf("collect memory statistics every %s", change->to), "period", period, NULL));
}

/* Defaults for what left the file: the kernel's own. Shares have none that is known. */
static void scheduler(Live *live, const FieldChange *change) {
  const CpuSpec *cpu = &live->desired->cpu;
  g_autofree char *shares = g_strdup_printf("%" G_GINT64_FORMAT, cpu->shares);
  g_autofree char *period = g_strdup_printf("%" G_GINT64_FORMAT, given(cpu, CpuSpec, period) ? cpu->period : 100000);
  g_autofree char *quota = g_strdup_printf("%" G_GINT64_FORMAT, given(cpu, CpuSpec, quota) ? cpu->quota : -1);
  const Field *fields = CpuSpec_table.fields;
  add(live, build_action(live->builder, live->object, ACTION_SET_SCHEDULER, live->after,
                         g_strdup_printf("set the CPU scheduler's %s to %s", change->field->key, change->to != NULL ? change->to : "its default"),
                         "shares", change->field == &fields[CpuSpec_shares] ? shares : NULL, NULL));
  Action *action = live->actions->pdata[live->actions->len - 1];
  if (change->field == &fields[CpuSpec_period])
    string_map_set(action->args, "period", period);
  if (change->field == &fields[CpuSpec_quota])
    string_map_set(action->args, "quota", quota);
}

static void pin_vcpu(Live *live, const FieldChange *change) {
  const CpuPinSpec *pin = given(&live->desired->cpu, CpuSpec, pinning)
                              ? list_find(&CpuPinSpec_table, live->desired->cpu.pinning, table_key_field(&CpuPinSpec_table), change->match)
                              : NULL;
  const char *cpus = pin != NULL ? pin->cpus : "all";
  add(live, build_action(live->builder, live->object, ACTION_PIN_VCPU, live->after,
                         g_strdup_printf("pin virtual CPU %s to host CPUs %s", change->match, cpus), "vcpu", change->match,
                         "cpus", cpus, NULL));
}

static void pin_emulator(Live *live, const FieldChange *change) {
  const char *cpus = change->to != NULL ? change->to : "all";
  add(live, build_action(live->builder, live->object, ACTION_PIN_EMULATOR, live->after,
                         g_strdup_printf("pin the emulator to host CPUs %s", cpus), "cpus", cpus, NULL));
}

static gconstpointer device_in(const VmSpec *vm, const Field *list, const FieldChange *change) {
  return vm != NULL && field_given(&VmSpec_table, vm, list)
             ? list_find(list->sub, *(GPtrArray **)field_member(list, vm), table_match_field(list->sub), change->match) : NULL;
}

static const guint64 *limit_of(const FieldTable *table, gconstpointer device, guint group, const Field *limit) {
  const Field *field = &table->fields[group];
  gconstpointer limits = device != NULL && field_given(table, device, field) ? field_member(field, device) : NULL;
  return limits != NULL && field_given(field->sub, limits, limit) ? field_member(limit, limits) : NULL;
}

static gboolean any_limit(const FieldTable *table, gconstpointer device, guint group, const FieldTable *limits, guint n_rows, const guint *rows) {
  gboolean found = FALSE;
  for (guint i = 0; i < n_rows && !found; i++) {
    const guint64 *value = limit_of(table, device, group, &limits->fields[rows[i]]);
    found = value != NULL && *value > 0;
  }
  return found;
}

/* What libvirt refuses beside what is declared: a total and a part of it; and what an average that goes leaves alone. */
static gboolean is_excluded(const FieldTable *table, gconstpointer desired, gconstpointer applied, guint group, const FieldTable *limits, guint row) {
  static const guint together[][3] = {{IoLimitsSpec_total, IoLimitsSpec_read, IoLimitsSpec_write},
                                      {IoLimitsSpec_totalIops, IoLimitsSpec_readIops, IoLimitsSpec_writeIops}};
  for (guint i = 0; limits == &IoLimitsSpec_table && i < G_N_ELEMENTS(together); i++) {
    const guint *rows = together[i];
    if (row == rows[0] && any_limit(table, desired, group, limits, 2, rows + 1))
      return TRUE;
    if ((row == rows[1] || row == rows[2]) && any_limit(table, desired, group, limits, 1, rows))
      return TRUE;
  }
  const guint average = BandwidthSpec_average;
  return limits == &BandwidthSpec_table && row != average && any_limit(table, applied, group, limits, 1, &average) &&
         !any_limit(table, desired, group, limits, 1, &average);
}

/* A call that sets all limits of a group: as declared; those that the file never managed stay as they are, where they can; the
 * others go. */
static void add_limits(const Live *live, Action *action, const FieldChange *change, guint list, guint group, const char *prefix) {
  const Field *devices = &VmSpec_table.fields[list];
  gconstpointer desired = device_in(live->desired, devices, change), applied = device_in(live->applied, devices, change);
  gconstpointer now = device_in(live->now, devices, change);
  const FieldTable *table = devices->sub, *limits = table->fields[group].sub;
  for (guint i = 0; i < limits->n_fields; i++) {
    const Field *limit = &limits->fields[i];
    const guint64 *value = limit_of(table, desired, group, limit);
    if (value == NULL && limit_of(table, applied, group, limit) == NULL && !is_excluded(table, desired, applied, group, limits, i))
      value = limit_of(table, now, group, limit);
    g_autofree char *key = g_strconcat(prefix, limit->key, NULL), *text = value != NULL && *value > 0 ? number(*value) : NULL;
    if (text != NULL)
      string_map_set(action->args, key, text);
  }
}

static void io_limits(Live *live, const FieldChange *change) {
  const DiskSpec *disk = vm_disk(live->desired, change->match);
  if (disk == NULL)
    return;
  Action *action = build_action(live->builder, live->object, ACTION_SET_IO_LIMITS, live->after,
                                g_strdup_printf("set I/O limits of disk %s", change->match), "target", change->match, NULL);
  add_limits(live, action, change, VmSpec_disks, DiskSpec_ioLimits, "");
  add(live, action);
}

static void media(Live *live, const FieldChange *change) {
  const DiskSpec *disk = vm_disk(live->desired, change->match);
  const char *path = disk != NULL && given(disk, DiskSpec, path) ? disk->path : NULL;
  add(live, build_action(live->builder, live->object, ACTION_CHANGE_MEDIA, live->after,
                         path != NULL ? g_strdup_printf("insert %s into drive %s", path, change->match)
                                      : g_strdup_printf("eject the medium of drive %s", change->match),
                         "target", change->match, "path", path, NULL));
}

static void attach(Live *live, const FieldChange *change) {
  gboolean comes = change->to != NULL;
  Action *action = build_action(live->builder, live->object, comes ? ACTION_ATTACH_DEVICE : ACTION_DETACH_DEVICE, live->after,
                                g_strdup_printf("%s %s", comes ? "attach" : "detach", change->path), "list", change->list,
                                "match", change->match, NULL);
  if (comes) /* what goes may have had the same file or address */
    for (guint i = 0; i < live->actions->len; i++) {
      const Action *other = live->actions->pdata[i];
      if (other->kind == ACTION_DETACH_DEVICE)
        build_wait(action, other->id);
    }
  add(live, action);
}

static void bandwidth(Live *live, const FieldChange *change) {
  Action *action = build_action(live->builder, live->object, ACTION_SET_BANDWIDTH, live->after,
                                g_strdup_printf("set bandwidth of interface %s", change->match), "match", change->match, NULL);
  add_limits(live, action, change, VmSpec_interfaces, InterfaceSpec_inbound, "inbound.");
  add_limits(live, action, change, VmSpec_interfaces, InterfaceSpec_outbound, "outbound.");
  add(live, action);
}

static void title(Live *live, const FieldChange *change) {
  add(live, build_action(live->builder, live->object, ACTION_SET_TITLE, live->after, g_strdup("set the title"), "text", change->to, NULL));
}

static void description(Live *live, const FieldChange *change) {
  add(live, build_action(live->builder, live->object, ACTION_SET_DESCRIPTION, live->after, g_strdup("set the description"),
                         "text", change->to, NULL));
}

static void lifecycle(Live *live, const FieldChange *change) {
  add(live, build_action(live->builder, live->object, ACTION_SET_LIFECYCLE, live->after,
                         g_strdup_printf("set %s to %s", change->path, change->to), "event", change->path, "action", change->to, NULL));
}

/* One row per call; `once` by device (or by machine): later fields of it are covered. */
static const struct {
  Call call;
  void (*plan)(Live *live, const FieldChange *change);
  gboolean once;
} calls[] = {
    {CALL_VCPUS, vcpus, FALSE},          {CALL_MEMORY, memory, FALSE},       {CALL_MEMORY_STATS, memory_stats, FALSE},
    {CALL_SCHEDULER, scheduler, FALSE},  {CALL_PIN_VCPU, pin_vcpu, TRUE},    {CALL_PIN_EMULATOR, pin_emulator, FALSE},
    {CALL_IO_LIMITS, io_limits, TRUE},   {CALL_MEDIA, media, TRUE},          {CALL_ATTACH_DEVICE, attach, FALSE},
    {CALL_BANDWIDTH, bandwidth, TRUE},   {CALL_TITLE, title, FALSE},         {CALL_DESCRIPTION, description, FALSE},
    {CALL_LIFECYCLE, lifecycle, FALSE},
};

static void plan_call(Live *live, GHashTable *done, const FieldChange *change) {
  for (guint i = 0; i < G_N_ELEMENTS(calls); i++) {
    if (calls[i].call != change->call)
      continue;
    g_autofree char *key = g_strdup_printf("%d %s", change->call, change->match != NULL ? change->match : "");
    if (calls[i].once && !g_hash_table_add(done, g_steal_pointer(&key)))
      return;
    calls[i].plan(live, change);
    return;
  }
}

/* Update and replug are per device; replug wins since it brings everything. */
static void plan_device(Live *live, GHashTable *done, const FieldChange *change, gboolean replug) {
  g_autofree char *key = g_strdup_printf("device %s %s", change->list, change->match != NULL ? change->match : "");
  if (!g_hash_table_add(done, g_steal_pointer(&key)))
    return;
  add(live, build_action(live->builder, live->object, replug ? ACTION_REPLUG_DEVICE : ACTION_UPDATE_DEVICE, live->after,
                         g_strdup_printf("%s %s[%s]", replug ? "replug" : "update", change->list, change->match), "list",
                         change->list, "match", change->match, NULL));
}

static gboolean goes(const FieldChange *change) {
  return change->effect == EFFECT_LIVE_CALL && change->call == CALL_ATTACH_DEVICE && change->to == NULL;
}

void plan_live_changes(PlanBuilder *builder, PlanObject *object, const ActualDomain *domain, const char *after, GPtrArray *ret_actions) {
  const VmSpec *applied = domain->owner != NULL ? &domain->owner->spec : NULL;
  Live live = {builder, object, object_vm(object->desired), actual_live(domain), applied, after, ret_actions};
  g_autoptr(GHashTable) done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    if (change->live && goes(change))
      attach(&live, change);
  }
  for (Effect effect = EFFECT_LIVE_REPLUG; effect >= EFFECT_LIVE_CALL; effect--) {
    for (guint i = 0; i < object->fields->len; i++) {
      const FieldChange *change = object->fields->pdata[i];
      if (!change->live || change->effect != effect || goes(change))
        continue;
      if (effect == EFFECT_LIVE_CALL)
        plan_call(&live, done, change);
      else
        plan_device(&live, done, change, effect == EFFECT_LIVE_REPLUG);
    }
  }
}
