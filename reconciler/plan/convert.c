/* Disks that shall have another format: while the machine is off, a new volume with the same content takes the old
 * one's place (reconciler/act/replace_disk.h). A running machine waits for its next stop. */
#include "state/base_volume.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/merged_layers.h"
#include "reconciler/plan/space.h"
#include "schema/value.h"

static const char *format_word(Format format) { return Format_words.words[format]; }

static const ActualDisk *disk_of(const ActualDomain *found, const DiskSource *source) {
  return actual_disk(found->defined_disks, source->disk->target);
}

static const DiskFactSpec *fact_of(const ActualDomain *found, const DiskSource *source) {
  return found->owner != NULL ? disk_facts(&found->owner->facts, source->disk->target) : NULL;
}

/* What becomes of one disk: the layer that is on top when the plan has merged what it merges, and its format. */
typedef struct {
  const DiskSource *source;
  const ActualDisk *disk;
  const ActualVolume *top;
  Format from;
} Conversion;

static gboolean has_format(const ActualVolume *layer, Format format) { return g_strcmp0(layer->format, format_word(format)) == 0; }

/* A layer that the plan uncovers may have another format than the one that is on top now. Lower ones are qcow2 or
 * raw whatever the disk is; an image isn't the disk. */
static gboolean uncovers(const ActualDisk *disk, guint top, Format wanted) {
  for (guint i = top; i < disk->chain->len; i++) {
    const ActualVolume *layer = disk->chain->pdata[i];
    g_autofree char *base = base_volume_digest(layer->path);
    if (base == NULL && has_format(layer, wanted))
      return FALSE;
  }
  return TRUE;
}

static gboolean is_converted(const PlanBuilder *builder, const PlanObject *object, const ActualDomain *found, const DiskSource *source,
                             Conversion *ret_conversion) {
  if (!source->has_format || merged_layers_replaced(builder->plan, object, source->disk->target))
    return FALSE;
  const ActualDisk *disk = disk_of(found, source);
  guint top = disk != NULL ? merged_layers_top(builder->plan, object, found, disk) : 0;
  Conversion conversion = {.source = source, .disk = disk, .from = source->convert_from};
  if (disk != NULL && disk->chain->len > 0)
    conversion.top = disk->chain->pdata[top];
  if (top > 0)
    conversion.from = has_format(conversion.top, Format_raw) ? Format_raw : Format_qcow2;
  *ret_conversion = conversion;
  return top > 0 ? uncovers(disk, top, source->convert_to) : source->convert;
}

/* Why it can't be converted at all; NULL: it can. */
static char *obstacle(PlanBuilder *builder, const PlanObject *object, const ActualDomain *found, const Conversion *conversion) {
  const DiskSource *source = conversion->source;
  const ActualVolume *top = conversion->top;
  if (top == NULL || top->pool == NULL)
    return g_strdup("it is in no storage pool that is started, so that no volume can be made beside it");
  const char *snapshot = merged_layers_snapshot(builder->plan, object, found, source->disk->target), *user = uses_domain(builder->uses, top->path, found->name, FALSE);
  const ActualPool *pool = g_hash_table_lookup(builder->input->actual->pools, top->pool);
  if (snapshot != NULL)
    return g_strdup_printf("the snapshot %s holds layers of it: remove that first", snapshot);
  if (user != NULL)
    return g_strdup_printf("the machine %s uses it too", user);
  if (given(source->disk, DiskSpec, shareable) && source->disk->shareable)
    return g_strdup("it is shareable");
  if (pool != NULL && pool->spec.type == PoolType_logical)
    return g_strdup_printf("the volumes of pool %s are block devices", pool->name);
  return NULL;
}

static gboolean happens_now(const PlanBuilder *builder, const PlanObject *object, const ActualDomain *found) {
  const VmSpec *vm = object_vm(object->desired);
  return !found->active || plan_may_restart(builder, vm) || (given(vm, VmSpec, powerState) && vm->powerState == PowerState_stopped);
}

/* Old and new are compared where the program runs: those of another host are brought here first. */
static char *check_scratch(PlanBuilder *builder, const PlanObject *object, const ActualDomain *found, const Conversion *conversion) {
  const GPtrArray *chain = conversion->disk->chain;
  guint64 bytes = space_of_copy(chain);
  for (guint i = 0; i < chain->len; i++)
    bytes += ((const ActualVolume *)chain->pdata[i])->allocation;
  return builder->input->actual->local || !happens_now(builder, object, found) ? NULL : build_scratch(builder, bytes, "comparing what is converted", "");
}

/* Why that has to wait; NULL: only for the machine to be off. */
static char *delay(const ActualDomain *found, const DiskSource *source) {
  if (found->has_managed_save)
    return g_strdup("the machine is hibernated, and its saved memory knows the disk as it is");
  return plan_retired_wait(found, source->disk->target);
}

/* VM-TARGET.FORMAT, or numbered where that is taken. What an interrupted run began doesn't count: it is thrown away. */
static char *new_volume(PlanBuilder *builder, const ActualDomain *found, const DiskSource *source, const char *pool) {
  const DiskFactSpec *fact = fact_of(found, source);
  const char *target = source->disk->target, *ending = format_word(source->convert_to);
  for (guint i = 1;; i++) {
    g_autofree char *name = i == 1 ? g_strdup_printf("%s-%s.%s", found->name, target, ending)
                                   : g_strdup_printf("%s-%s.%u.%s", found->name, target, i, ending);
    const ActualVolume *there = locate_volume(builder->input, pool, name);
    if (there == NULL || (fact != NULL && given(fact, DiskFactSpec, coming) && g_strcmp0(fact->coming, there->path) == 0))
      return g_steal_pointer(&name);
  }
}

static char *decimal(guint64 value) { return g_strdup_printf("%" G_GUINT64_FORMAT, value); }

static void convert(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const Conversion *conversion, GPtrArray *actions) {
  const DiskSource *source = conversion->source;
  const ActualVolume *top = conversion->top;
  const DiskSpec *wanted = source->disk;
  guint64 whole = ((const ActualVolume *)conversion->disk->chain->pdata[0])->capacity, size = given(wanted, DiskSpec, size) ? MAX(wanted->size, whole) : whole;
  g_autofree char *volume = new_volume(builder, found, source, top->pool), *capacity = decimal(size), *bytes = decimal(space_of_copy(conversion->disk->chain));
  Action *action = build_action(builder, object, ACTION_DISK_CONVERT, NULL,
                                g_strdup_printf("convert disk %s from %s to %s: into the new volume %s; %s is kept until the machine has run on it",
                                                wanted->target, format_word(conversion->from), format_word(source->convert_to), volume,
                                                top->name != NULL ? top->name : top->path),
                                "target", wanted->target, "pool", top->pool, "volume", volume, "format", format_word(source->convert_to),
                                "capacity", capacity, "bytes", bytes, NULL);
  build_wait_all(action, actions);
  g_ptr_array_add(actions, action);
}

void plan_convert(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions) {
  for (guint i = 0; found != NULL && i < sources->len; i++) {
    const DiskSource *source = sources->pdata[i];
    Conversion conversion;
    if (!is_converted(builder, object, found, source, &conversion))
      continue;
    g_autofree char *later = delay(found, source);
    if (later == NULL)
      convert(builder, object, found, &conversion, actions);
  }
}

static void add_field(PlanObject *object, const ActualDomain *found, const Conversion *conversion) {
  const DiskSource *source = conversion->source;
  FieldChange *change = g_new0(FieldChange, 1);
  change->path = g_strdup_printf("disks[%s].format", source->disk->target);
  change->from = g_strdup(format_word(conversion->from));
  change->to = g_strdup(format_word(source->convert_to));
  change->field = &DiskSpec_table.fields[DiskSpec_format];
  change->list = g_intern_string("disks");
  change->match = g_strdup(source->disk->target);
  change->effect = EFFECT_NEXT_START;
  change->live = change->pending = found->active;
  g_ptr_array_add(object->fields, change);
}

char *plan_convert_fields(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources) {
  for (guint i = 0; i < sources->len; i++) {
    const DiskSource *source = sources->pdata[i];
    Conversion conversion;
    if (!is_converted(builder, object, found, source, &conversion))
      continue;
    const char *target = source->disk->target, *to = format_word(source->convert_to);
    g_autofree char *why = obstacle(builder, object, found, &conversion), *later = why == NULL ? delay(found, source) : NULL;
    if (why == NULL && later == NULL)
      why = check_scratch(builder, object, found, &conversion);
    if (why != NULL)
      return g_strdup_printf("disk %s can't become %s: %s", target, to, why);
    if (later != NULL)
      build_note(object, g_strdup_printf("disk %s becomes %s later: %s", target, to, later));
    else
      add_field(object, found, &conversion);
  }
  return NULL;
}
