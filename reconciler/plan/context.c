#include "reconciler/plan/context.h"

#include "schema/value.h"
#include "state/domain_xml.h"

typedef struct {
  const FieldTable *table;
  guint row;
  void (*apply)(const DiffInput *input, FieldChange *change);
} Rule;

static void at_next_start(FieldChange *change, const char *why) {
  change->effect = EFFECT_NEXT_START;
  change->call = CALL_NONE;
  if (change->live && why != NULL) {
    g_free(change->why);
    change->why = g_strdup(why);
  }
}

static gconstpointer device_of(const DiffInput *input, const FieldChange *change, const Field *list) {
  gconstpointer specs[] = {input->desired, input->applied, input->persistent, input->leaving, input->started};
  for (guint i = 0; i < G_N_ELEMENTS(specs) && change->match != NULL; i++) {
    if (specs[i] == NULL || !field_given(input->table, specs[i], list))
      continue;
    GPtrArray *items = *(GPtrArray **)field_member(list, specs[i]);
    gconstpointer item = list_find(list->sub, items, table_match_field(list->sub), change->match);
    if (item != NULL)
      return item;
  }
  return NULL;
}

/* As libvirt's QEMU driver: virtio, scsi and usb disks can be plugged; drives and the old buses can't. */
static gboolean can_plug(const DiskSpec *disk) {
  if (disk_is_drive(disk))
    return FALSE;
  if (given(disk, DiskSpec, bus))
    return disk->bus == DiskBus_virtio || disk->bus == DiskBus_scsi || disk->bus == DiskBus_usb;
  return g_str_has_prefix(disk->target, "vd");
}

/* The first by its boot indexes; without any, the first one at all, as for libvirt's `hd`. */
static gboolean boots_from(const VmSpec *live, const char *target) {
  const DiskSpec *first = NULL;
  for (guint i = 0; given(live, VmSpec, disks) && i < live->disks->len; i++) {
    const DiskSpec *disk = live->disks->pdata[i];
    gboolean sooner = given(disk, DiskSpec, bootIndex) && first != NULL &&
                      (!given(first, DiskSpec, bootIndex) || disk->bootIndex < first->bootIndex);
    if (!disk_is_drive(disk) && (first == NULL || sooner))
      first = disk;
  }
  return first != NULL && g_strcmp0(first->target, target) == 0;
}

/* That of the running machine leaves it at once: the file named it, and it can be unplugged. */
static gboolean leaves_at_once(const DiffInput *input, const DiskSpec *disk) {
  return vm_disk(input->desired, disk->target) == NULL && can_plug(disk) && !boots_from(input->live, disk->target) &&
         (vm_disk(input->applied, disk->target) != NULL || vm_disk(input->leaving, disk->target) != NULL);
}

/* Under another target, which stays until the machine is off: QEMU would write to one file twice. */
static gboolean file_stays(const DiffInput *input, const DiskSpec *disk) {
  const VmSpec *live = input->live;
  for (guint i = 0; live != NULL && disk != NULL && given(disk, DiskSpec, path) && given(live, VmSpec, disks) && i < live->disks->len; i++) {
    const DiskSpec *other = live->disks->pdata[i];
    if (given(other, DiskSpec, path) && g_str_equal(other->path, disk->path) && !g_str_equal(other->target, disk->target) &&
        !leaves_at_once(input, other))
      return TRUE;
  }
  return FALSE;
}

static void disk_plug(const DiffInput *input, FieldChange *change) {
  const DiskSpec *disk = device_of(input, change, &VmSpec_table.fields[VmSpec_disks]);
  if (change->whole && disk != NULL && !can_plug(disk))
    at_next_start(change, "this kind of drive can't be plugged while the machine runs");
  else if (change->whole && change->to == NULL && input->live != NULL && boots_from(input->live, change->match))
    at_next_start(change, "the machine runs from it, and may still write to it");
  else if (change->whole && change->to != NULL && file_stays(input, disk))
    at_next_start(change, "the running machine has its file as another disk, which stays until it is off");
}

static void disk_medium(const DiffInput *input, FieldChange *change) {
  const DiskSpec *disk = device_of(input, change, &VmSpec_table.fields[VmSpec_disks]);
  if (disk != NULL && disk_is_drive(disk)) {
    change->effect = EFFECT_LIVE_CALL;
    change->call = CALL_MEDIA;
  }
}

/* A drive reads its image itself: what changes is the path. */
static void disk_image(const DiffInput *input, FieldChange *change) {
  const DiskSpec *disk = device_of(input, change, &VmSpec_table.fields[VmSpec_disks]);
  if (disk == NULL || !disk_is_drive(disk))
    return;
  change->effect = EFFECT_NONE;
  g_clear_pointer(&change->why, g_free);
}

/* Reading a disk as another format than it has would hand the guest garbage. */
static void disk_format(const DiffInput *input, FieldChange *change) {
  const DiskSpec *disk = device_of(input, change, &VmSpec_table.fields[VmSpec_disks]);
  const DiskSpec *now = vm_disk(input->persistent, change->match);
  gboolean other = now != NULL && disk != NULL && given(disk, DiskSpec, path) && given(now, DiskSpec, path) &&
                   !g_str_equal(disk->path, now->path);
  if (disk == NULL || disk_is_drive(disk) || other)
    return;
  change->effect = EFFECT_NEVER;
  g_free(change->why);
  change->why = g_strdup("a disk isn't converted in place; take format out of the file");
}

/* vCPUs that were there at boot can't be unplugged (hotpluggable='no'), nor more be had than max. */
static void vcpus(const DiffInput *input, FieldChange *change) {
  const VmSpec *desired = input->desired, *live = input->live, *started = input->started;
  if (live == NULL || !change->live)
    return;
  if (desired->cpu.count > live->cpu.max)
    at_next_start(change, "the running machine can't have more virtual CPUs than it was started with as max");
  else if (desired->cpu.count < live->cpu.count &&
           (started == NULL || !given(&started->cpu, CpuSpec, count) || desired->cpu.count < started->cpu.count))
    at_next_start(change, "virtual CPUs that were there at start can't be unplugged");
}

/* The start told it, and it hasn't moved since: the guest is still booting, or has no driver for it. */
static gboolean told_by_start(const VmSpec *desired, const VmSpec *live, const VmSpec *started, const BalloonNote *note) {
  return note->told == 0 && started != NULL && given(&started->memory, MemorySpec, size) && started->memory.size == desired->memory.size &&
         given(&live->memory, MemorySpec, max) && live->memory.size == live->memory.max;
}

/* Told by us it went as far as it did; and a guest that may take memory back may have done so. What had come further
 * otherwise was told something else by somebody else, or is another guest by now. */
static gboolean told_since(const VmSpec *desired, const VmSpec *live, const BalloonNote *note) {
  gboolean takes_back = given(&live->balloon, BalloonSpec, autodeflate) && live->balloon.autodeflate;
  return note->told == desired->memory.size && (live->memory.size <= note->rested || takes_back);
}

gboolean context_awaits_balloon(const DiffInput *input) {
  const VmSpec *desired = input->desired, *live = input->live;
  if (desired == NULL || live == NULL || !given(&desired->memory, MemorySpec, size) || !given(&live->memory, MemorySpec, size))
    return FALSE;
  const Field *size = &MemorySpec_table.fields[MemorySpec_size];
  if (live->memory.size <= desired->memory.size || value_is_met(size, &desired->memory.size, &live->memory.size, TRUE))
    return FALSE;
  return told_by_start(desired, live, input->started, &input->balloon) || told_since(desired, live, &input->balloon);
}

static void memory(const DiffInput *input, FieldChange *change) {
  const VmSpec *desired = input->desired, *live = input->live;
  if (live == NULL || !change->live)
    return;
  if (context_awaits_balloon(input)) { /* telling it again would change nothing */
    change->live = FALSE;
    return;
  }
  if (desired->memory.size > live->memory.max)
    at_next_start(change, "the running machine can't have more memory than it was started with as max");
  else if (given(&live->balloon, BalloonSpec, model) && live->balloon.model == BalloonModel_none)
    at_next_start(change, "the running machine has no memory balloon");
}

/* What weight a machine has that was given none depends on the host's control groups (1024, or 100 on v2), and libvirt
 * doesn't tell which those are: ten times its neighbours' is worse than what it had. */
static void shares(const DiffInput *input, FieldChange *change) {
  const VmSpec *desired = input->desired;
  if (!given(&desired->cpu, CpuSpec, shares))
    at_next_start(change, "the default depends on the host's control groups: a start brings it");
}

/* libvirt moves a running interface between networks and bridges only. */
static void interface_source(const DiffInput *input, FieldChange *change) {
  const VmSpec *live = input->live;
  const Field *match = table_match_field(&InterfaceSpec_table);
  const InterfaceSpec *now = live != NULL && change->match != NULL && given(live, VmSpec, interfaces)
                                 ? list_find(&InterfaceSpec_table, live->interfaces, match, change->match) : NULL;
  if (now != NULL && !given(now, InterfaceSpec, network) && !given(now, InterfaceSpec, bridge))
    change->effect = EFFECT_LIVE_REPLUG;
}

/* libvirt computes it anew from the cells at each definition, whatever it says: it can only follow them. */
static void most_memory(const DiffInput *input, FieldChange *change) {
  const VmSpec *desired = input->desired, *live = input->live;
  if (input->has_numa && live != NULL && given(&live->numa, NumaSpec, cells))
    change->live = FALSE; /* it runs with the sum of its cells, each of them rounded: those tell what differs */
  if (!input->has_numa || !change->persistent || desired->memory.max == numa_memory(&desired->numa))
    return;
  change->effect = EFFECT_NEVER;
  g_free(change->why);
  change->why = g_strdup("the machine has NUMA cells, and its memory is their sum: change numa.cells");
}

static const GraphicsSpec *display_of(const VmSpec *spec, const char *type) {
  return spec != NULL && given(spec, VmSpec, graphics) ? list_find(&GraphicsSpec_table, spec->graphics,
                                                                   table_match_field(&GraphicsSpec_table), type) : NULL;
}

/* QEMU sets the password of a display only where it was started with one. */
static void display_password(const DiffInput *input, FieldChange *change) {
  const GraphicsSpec *started = display_of(input->started, change->match);
  if (change->live && input->started != NULL && (started == NULL || !given(started, GraphicsSpec, passwordSecret)))
    at_next_start(change, "the display was started without a password");
}

static const Rule rules[] = {
    {&GraphicsSpec_table, GraphicsSpec_passwordSecret, display_password},
    {&VmSpec_table, VmSpec_disks, disk_plug},
    {&DiskSpec_table, DiskSpec_path, disk_medium},
    {&DiskSpec_table, DiskSpec_image, disk_image},
    {&DiskSpec_table, DiskSpec_format, disk_format},
    {&InterfaceSpec_table, InterfaceSpec_network, interface_source},
    {&InterfaceSpec_table, InterfaceSpec_bridge, interface_source},
    {&CpuSpec_table, CpuSpec_count, vcpus},
    {&CpuSpec_table, CpuSpec_shares, shares},
    {&MemorySpec_table, MemorySpec_size, memory},
    {&MemorySpec_table, MemorySpec_max, most_memory},
};

gboolean context_stays(const Field *field) {
  return field->effect == EFFECT_NEXT_START || field == &CpuSpec_table.fields[CpuSpec_shares];
}

/* What isn't part of a definition: it is done whether or not something runs. */
static gboolean acts_at_once(Call call) {
  return call == CALL_RESIZE_DISK || call == CALL_RESIZE_VOLUME || call == CALL_AUTOSTART || call == CALL_POWER;
}

void context_apply(const DiffInput *input, FieldChange *change) {
  if (change->effect == EFFECT_NEVER && change->field->why != NULL && change->why == NULL)
    change->why = g_strdup(change->field->why);
  for (guint i = 0; i < G_N_ELEMENTS(rules); i++)
    if (change->field == &rules[i].table->fields[rules[i].row])
      rules[i].apply(input, change);
  gboolean by_live_call = change->effect == EFFECT_LIVE_CALL || change->effect == EFFECT_LIVE_UPDATE || change->effect == EFFECT_LIVE_REPLUG;
  if (by_live_call && !change->live && !acts_at_once(change->call))
    at_next_start(change, NULL);
  change->pending = change->live && change->effect == EFFECT_NEXT_START;
}

/* A medium is ejected, though the path of a disk is left as it is. */
static gboolean ejects(const DiskSpec *desired, const DiskSpec *applied, const DiskSpec *persistent) {
  return desired != NULL && persistent != NULL && disk_is_drive(persistent) && disk_drops_medium(desired, applied);
}

gboolean context_resets(const FieldTable *table, const Field *field, gconstpointer desired, gconstpointer applied,
                        gconstpointer persistent) {
  if (field == &DiskSpec_table.fields[DiskSpec_path] && ejects(desired, applied, persistent))
    return TRUE;
  return applied != NULL && field_given(table, applied, field) && !field->unmanage;
}

char *context_item_summary(const FieldTable *table, gconstpointer item) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, item, field) || field->key_field || field->type == VALUE_GROUP || field->type == VALUE_LIST)
      continue;
    g_autofree char *value = value_format(field, field_member(field, item));
    g_string_append_printf(text, "%s%s %s", text->len > 0 ? ", " : "", field->key, value);
  }
  if (text->len == 0)
    g_string_append(text, "present");
  return g_string_free(text, FALSE);
}
