#include "reconciler/plan/resolve.h"

#include "reconciler/plan/granule.h"
#include "reconciler/plan/identity.h"
#include "schema/value.h"
#include "state/base_volume.h"

static void source_free(gpointer data) {
  DiskSource *source = data;
  g_free(source->pool);
  g_free(source->volume);
  g_free(source->base_path);
  g_free(source->base_format);
  g_free(source->image);
  g_free(source);
}

void resolved_free(Resolved *resolved) {
  if (resolved == NULL)
    return;
  g_clear_pointer(&resolved->desired, object_free);
  g_ptr_array_unref(resolved->sources);
  g_free(resolved->error);
  g_free(resolved);
}

static void set_format(DiskSpec *disk, Format format) {
  disk->format = format;
  set_given(disk, DiskSpec, format);
}

static void leave_format(DiskSpec *disk) { spec_unset(&DiskSpec_table, disk, &DiskSpec_table.fields[DiskSpec_format]); }

static void set_path(DiskSpec *disk, char *path /* taken */) {
  g_free(disk->path);
  disk->path = path;
  set_given(disk, DiskSpec, path);
}

static const DiskSpec *existing_disk(const ActualDomain *existing, const char *target) {
  return existing != NULL ? vm_disk(&existing->persistent, target) : NULL;
}

/* A volume's format as a word that we know; unknown ones are left to what libvirt has. */
static void take_format(DiskSpec *disk, const char *format) {
  int word = format != NULL ? enum_find(Format_words.words, format) : -1;
  if (!given(disk, DiskSpec, format) && word >= 0)
    set_format(disk, word);
}

static char *resolve_image(const PlanInput *input, const char *vm, DiskSpec *disk, DiskSource *source) {
  char *error = NULL;
  g_autofree char *base_path = NULL;
  const Object *image = NULL;
  const ImageFacts *facts = locate_image(input, disk->image, &image, &base_path, &error);
  if (facts == NULL)
    return error;
  if (!given(disk, DiskSpec, format))
    set_format(disk, Format_qcow2);
  gboolean copy = given(disk, DiskSpec, provision) && disk->provision == Provision_copy;
  if (!copy && disk->format != Format_qcow2)
    return g_strdup("an overlay is always qcow2: leave out format, or give provision: copy");
  source->pool = g_strdup(given(disk, DiskSpec, pool) ? disk->pool : base_volume_pool(image));
  const char *target = locate_pool(input, source->pool, &error);
  if (target == NULL)
    return error;
  if (given(disk, DiskSpec, size) && disk->size < facts->virtual_size) {
    g_autofree char *size = bytes_format(disk->size), *least = bytes_format(facts->virtual_size);
    return g_strdup_printf("size %s is less than the %s of image %s", size, least, disk->image);
  }
  source->kind = SOURCE_IMAGE;
  source->volume = locate_disk_volume(vm, disk, Format_words.words[disk->format]);
  source->base_path = g_steal_pointer(&base_path);
  source->base_format = g_strdup(facts->format);
  source->base_bytes = facts->virtual_size;
  source->image = g_strdup(disk->image);
  source->image_object = image;
  set_path(disk, g_build_filename(target, source->volume, NULL));
  return NULL;
}

/* Such a volume is shared and read-only as any base. */
static char *resolve_medium(const PlanInput *input, DiskSpec *disk, DiskSource *source) {
  char *error = NULL;
  g_autofree char *base_path = NULL;
  const ImageFacts *facts = locate_image(input, disk->image, &source->image_object, &base_path, &error);
  if (facts == NULL)
    return error;
  if (!g_str_equal(facts->format, "raw"))
    return g_strdup_printf("image %s is %s, and a cdrom reads raw media (ISO files)", disk->image, facts->format);
  source->kind = SOURCE_MEDIUM;
  source->image = g_strdup(disk->image);
  source->base_path = g_strdup(base_path);
  source->base_format = g_strdup(facts->format);
  set_format(disk, Format_raw);
  set_path(disk, g_steal_pointer(&base_path));
  return NULL;
}

static char *resolve_blank(const PlanInput *input, const char *vm, DiskSpec *disk, DiskSource *source) {
  char *error = NULL;
  if (!given(disk, DiskSpec, format))
    set_format(disk, Format_qcow2);
  source->pool = g_strdup(pool_of_disk(disk));
  const char *target = locate_pool(input, source->pool, &error);
  if (target == NULL)
    return error;
  source->kind = SOURCE_BLANK;
  source->volume = locate_disk_volume(vm, disk, Format_words.words[disk->format]);
  set_path(disk, g_build_filename(target, source->volume, NULL));
  return NULL;
}

static char *resolve_volume(const PlanInput *input, DiskSpec *disk, DiskSource *source) {
  char *error = NULL;
  const char *pool = pool_of_disk(disk);
  const char *target = locate_pool(input, pool, &error);
  if (target == NULL)
    return error;
  const ActualVolume *volume = locate_volume(input, pool, disk->volume);
  const Object *declared = desired_find(input->desired, KIND_VOLUME, disk->volume);
  if (volume == NULL && declared == NULL)
    return g_strdup_printf("there is no volume %s in pool %s: make it, or declare a Volume", disk->volume, pool);
  if (volume != NULL)
    take_format(disk, volume->format);
  else
    take_format(disk, given((VolumeSpec *)declared->spec, VolumeSpec, format)
                          ? Format_words.words[((VolumeSpec *)declared->spec)->format]
                          : "qcow2");
  source->kind = SOURCE_EXISTING;
  source->pool = g_strdup(pool);
  source->volume = g_strdup(disk->volume);
  set_path(disk, g_build_filename(target, disk->volume, NULL));
  return NULL;
}

static char *resolve_path(const PlanInput *input, DiskSpec *disk, DiskSource *source, gboolean is_new) {
  source->kind = SOURCE_EXISTING;
  const ActualVolume *volume = g_hash_table_lookup(input->actual->volumes_by_path, disk->path);
  gboolean drive = disk_is_drive(disk);
  if (volume != NULL && !drive)
    take_format(disk, volume->format);
  if (!given(disk, DiskSpec, format) && (drive || g_str_has_prefix(disk->path, "/dev/")))
    set_format(disk, Format_raw);
  if (!given(disk, DiskSpec, format) && is_new)
    return g_strdup_printf("%s isn't in a storage pool, so its format can't be read: give format", disk->path);
  return NULL;
}

/* Layers of the disk that the machine has, top first; NULL: it isn't that file any more. */
static const GPtrArray *layers_of(const ActualDomain *existing, const DiskSpec *found) {
  const GPtrArray *sides[] = {existing->disks, existing->defined_disks};
  for (guint i = 0; i < G_N_ELEMENTS(sides); i++) {
    const ActualDisk *disk = sides[i] != NULL ? actual_disk(sides[i], found->target) : NULL;
    if (disk != NULL && g_strcmp0(disk->path, found->path) == 0 && disk->chain->len > 0)
      return disk->chain;
  }
  return NULL;
}

/* Whether a chain holds a file beneath its top, as far as it's known: to its end when a machine
 * runs on it, or a pool knows its last layer. */
static gboolean lies_beneath(const GPtrArray *layers, const char *path, gboolean runs, gboolean *ret_complete) {
  *ret_complete = FALSE;
  for (guint i = 0; layers != NULL && i < layers->len; i++) {
    const ActualVolume *layer = layers->pdata[i];
    if (g_strcmp0(layer->backing_path, path) == 0)
      return TRUE;
    *ret_complete = layer->backing_path == NULL && layer->error == NULL && (runs || layer->pool != NULL);
  }
  return FALSE;
}

/* The snapshot's disk whose layer has this path. */
static const ActualSnapshotDisk *snapshot_of(const ActualDomain *existing, const char *target, const char *layer) {
  for (guint i = 0; layer != NULL && i < existing->snapshots->len; i++) {
    const ActualSnapshot *snapshot = existing->snapshots->pdata[i];
    for (guint j = 0; j < snapshot->disks->len; j++) {
      const ActualSnapshotDisk *disk = snapshot->disks->pdata[j];
      if (g_strcmp0(disk->target, target) == 0 && g_strcmp0(disk->path, layer) == 0)
        return disk;
    }
  }
  return NULL;
}

/* The same by what libvirt's snapshots say that they are of: of a stopped machine whose files are in no pool. */
static gboolean lies_beneath_snapshots(const ActualDomain *existing, const DiskSpec *found, const char *path) {
  const ActualSnapshotDisk *disk = snapshot_of(existing, found->target, found->path);
  for (guint i = 0; disk != NULL && i < existing->snapshots->len; i++, disk = snapshot_of(existing, found->target, disk->base))
    if (g_strcmp0(disk->base, path) == 0)
      return TRUE;
  return FALSE;
}

/* Whether the file asks for the same source as when it was last applied. */
static gboolean asks_the_same(const ActualDomain *existing, const DiskSpec *declared) {
  const VmSpec *applied = existing->owner != NULL ? &existing->owner->spec : NULL;
  if (applied == NULL || !given(applied, VmSpec, disks))
    return applied == NULL;
  const DiskSpec *then = vm_disk(applied, declared->target);
  if (then == NULL || given(then, DiskSpec, volume) != given(declared, DiskSpec, volume))
    return FALSE;
  return given(declared, DiskSpec, volume) ? g_strcmp0(then->volume, declared->volume) == 0 && g_strcmp0(then->pool, declared->pool) == 0
                                           : given(then, DiskSpec, path) && g_strcmp0(then->path, declared->path) == 0;
}

/* A file that the machine has a layer on is the machine's disk, one level deeper: a person made
 * a snapshot. The definition must not go back to it: what was written since would be lost. */
static char *keep_snapshots(const ActualDomain *existing, const DiskSpec *found, DiskSpec *disk, DiskSource *source, gboolean same) {
  if (found == NULL || !given(found, DiskSpec, path) || g_str_equal(found->path, disk->path))
    return NULL;
  gboolean complete;
  if (lies_beneath(layers_of(existing, found), disk->path, existing->active, &complete) ||
      (!complete && lies_beneath_snapshots(existing, found, disk->path))) {
    source->kind = SOURCE_KEPT;
    set_path(disk, g_strdup(found->path));
    leave_format(disk);
    return NULL;
  }
  if (complete || !same)
    return NULL;
  return g_strdup_printf("it is %s now, and what lies beneath that can't be read: if it is a snapshot of %s, refresh its pool "
                         "('virsh pool-refresh'); if it is another disk, declare its path", found->path, disk->path);
}

/* Layers are qcow2 whatever the disk was that a snapshot was taken of. An image beneath isn't the disk. */
static gboolean is_beneath(const ActualDomain *existing, const DiskSpec *found, Format format) {
  const GPtrArray *layers = given(found, DiskSpec, path) ? layers_of(existing, found) : NULL;
  for (guint i = 1; layers != NULL && i < layers->len; i++) {
    const ActualVolume *layer = layers->pdata[i];
    g_autofree char *base = base_volume_digest(layer->path);
    if (base == NULL && g_strcmp0(layer->format, Format_words.words[format]) == 0)
      return TRUE;
  }
  return FALSE;
}

/* The same of layers that no pool was looked at for: the snapshots tell what they were made upon. */
static gboolean is_beneath_snapshots(const ActualDomain *existing, const DiskSpec *found, Format format) {
  const ActualSnapshotDisk *disk = existing != NULL && given(found, DiskSpec, path) ? snapshot_of(existing, found->target, found->path) : NULL;
  for (guint i = 0; disk != NULL && i < existing->snapshots->len; i++, disk = snapshot_of(existing, found->target, disk->base)) {
    g_autofree char *base = disk->base != NULL ? base_volume_digest(disk->base) : NULL;
    if (base == NULL && g_strcmp0(disk->base_format, Format_words.words[format]) == 0)
      return TRUE;
  }
  return FALSE;
}

static Format format_of(const DiskSpec *found) { return given(found, DiskSpec, format) ? found->format : Format_raw; }

/* What the definition says of a disk's format is how its content is read, and never changed by itself: as qcow2, a
 * raw disk would show the guest a file of its choice, and as raw, a qcow2 disk would be overwritten. A pool's
 * opinion doesn't count: it looks at the first bytes, which the guest writes. */
static char *keep_format(const DiskSpec *found, DiskSpec *disk, gboolean told) {
  if (found == NULL || !given(found, DiskSpec, path) || !given(disk, DiskSpec, path) || !g_str_equal(found->path, disk->path) ||
      !given(disk, DiskSpec, format) || (Format)disk->format == format_of(found))
    return NULL;
  if (!told) {
    leave_format(disk);
    return NULL;
  }
  const char *has = Format_words.words[format_of(found)];
  return g_strdup_printf("the machine has %s as %s, and format says %s: what is named by path or volume is used as it is and not converted; "
                         "give format: %s, or name a file that was converted", found->path, has, Format_words.words[disk->format], has);
}

/* One that was made for the machine is converted. */
static void convert_kept(const ActualDomain *existing, const DiskSpec *found, DiskSpec *disk, DiskSource *source) {
  if (!given(disk, DiskSpec, format))
    return;
  gboolean beneath = is_beneath(existing, found, disk->format) || is_beneath_snapshots(existing, found, disk->format);
  source->has_format = TRUE;
  source->convert = !beneath && (Format)disk->format != format_of(found);
  source->convert_from = format_of(found);
  source->convert_to = disk->format;
  if (beneath || source->convert)
    leave_format(disk);
}

/* A size that storage made more of is that. */
static void keep_size(const PlanInput *input, const DiskSpec *found, DiskSpec *disk) {
  if (found != NULL && given(found, DiskSpec, size) && given(disk, DiskSpec, size) &&
      capacity_is_met(input->actual, given(found, DiskSpec, path) ? found->path : NULL, disk->size, found->size))
    disk->size = found->size;
}

/* A disk that the machine has keeps its path: what is on top of its chain now may be a
 * snapshot that a person made, and isn't another disk. */
static char *resolve_disk(const PlanInput *input, const char *vm, DiskSpec *disk, const ActualDomain *existing, DiskSource *source) {
  const DiskSpec *found = existing_disk(existing, disk->target);
  keep_size(input, found, disk);
  gboolean drive = disk_is_drive(disk);
  if (given(disk, DiskSpec, path) || given(disk, DiskSpec, volume)) {
    gboolean same = found != NULL && asks_the_same(existing, disk), told = given(disk, DiskSpec, format);
    char *error = given(disk, DiskSpec, path) ? resolve_path(input, disk, source, found == NULL) : resolve_volume(input, disk, source);
    if (error == NULL && !drive)
      error = keep_snapshots(existing, found, disk, source, same);
    return error != NULL || drive ? error : keep_format(found, disk, told);
  }
  if (found != NULL && !drive) {
    source->kind = SOURCE_KEPT;
    convert_kept(existing, found, disk, source);
    return NULL;
  }
  if (given(disk, DiskSpec, image) && drive)
    return resolve_medium(input, disk, source);
  if (given(disk, DiskSpec, image))
    return resolve_image(input, vm, disk, source);
  if (drive) {
    source->kind = SOURCE_EMPTY;
    return NULL;
  }
  if (given(disk, DiskSpec, size))
    return resolve_blank(input, vm, disk, source);
  return g_strdup("it has no source: give image, size (a blank disk), volume or path");
}

static char *resolve_disks(const PlanInput *input, const ActualDomain *existing, VmSpec *vm, const char *name, GPtrArray *sources) {
  char *first = NULL;
  for (guint i = 0; given(vm, VmSpec, disks) && i < vm->disks->len; i++) {
    DiskSpec *disk = vm->disks->pdata[i];
    DiskSource *source = g_new0(DiskSource, 1);
    source->disk = disk;
    g_ptr_array_add(sources, source);
    g_autofree char *error = resolve_disk(input, name, disk, existing, source);
    source->unresolved = error != NULL;
    if (error != NULL && first == NULL)
      first = g_strdup_printf("disk %s: %s", disk->target, error);
  }
  return first;
}

/* An alias such as "q35" stands for the version that the machine was made with; what runs may
 * be another one, from before a change. */
static void resolve_machine(const ActualDomain *existing, VmSpec *vm) {
  if (existing == NULL || !given(vm, VmSpec, machine) || !given(&existing->persistent, VmSpec, machine))
    return;
  if (machine_matches(vm->machine, existing->persistent.machine)) {
    g_free(vm->machine);
    vm->machine = g_strdup(existing->persistent.machine);
  }
}

/* A maximum that was only the size that a file gave: of a machine that is off it goes down with that, as if the machine
 * was made so. While it runs, the balloon gives back. */
static gboolean memory_goes_down(const ActualDomain *existing, const MemorySpec *memory) {
  const MemorySpec *applied = existing->owner != NULL ? &existing->owner->spec.memory : NULL;
  guint64 max = existing->persistent.memory.max;
  return !existing->active && !existing->has_managed_save && !existing->has_numa && applied != NULL && applied->size == max &&
         !given(applied, MemorySpec, max) && memory->size < max;
}

/* The same of CPUs, where nothing else in the definition counts them. */
static gboolean cpus_go_down(const ActualDomain *existing, const CpuSpec *cpu) {
  const CpuSpec *applied = existing->owner != NULL ? &existing->owner->spec.cpu : NULL, *found = &existing->persistent.cpu;
  gboolean counted = existing->has_numa || given(found, CpuSpec, topology) || given(found, CpuSpec, pinning);
  return !existing->active && !existing->has_managed_save && !counted && applied != NULL && applied->count == found->max &&
         !given(applied, CpuSpec, max) && cpu->count < found->max;
}

/* max follows size and count when the file leaves it open. */
static void resolve_maxima(const ActualDomain *existing, VmSpec *vm) {
  const VmSpec *found = existing != NULL ? &existing->persistent : NULL;
  CpuSpec *cpu = &vm->cpu;
  if (given(vm, VmSpec, cpu) && given(cpu, CpuSpec, count) && !given(cpu, CpuSpec, max) &&
      (found == NULL || found->cpu.max < cpu->count || cpus_go_down(existing, cpu))) {
    cpu->max = cpu->count;
    set_given(cpu, CpuSpec, max);
  }
  MemorySpec *memory = &vm->memory;
  if (given(vm, VmSpec, memory) && given(memory, MemorySpec, size) && !given(memory, MemorySpec, max) &&
      (found == NULL || found->memory.max < memory->size || memory_goes_down(existing, memory))) {
    guint64 cells = numa_memory(&vm->numa); /* libvirt makes it their sum */
    memory->max = cells > 0 ? cells : memory->size;
    set_given(memory, MemorySpec, max);
  }
}

Resolved *resolve_vm(const PlanInput *input, const Object *declared, const ActualDomain *existing) {
  Resolved *resolved = g_new0(Resolved, 1);
  resolved->sources = g_ptr_array_new_with_free_func(source_free);
  resolved->desired = object_copy(declared);
  VmSpec *vm = object_vm(resolved->desired);
  if (existing == NULL && !(given(vm, VmSpec, memory) && given(&vm->memory, MemorySpec, size))) {
    resolved->error = g_strdup("a new machine needs memory: give spec.memory.size");
    return resolved;
  }
  resolve_identity(input, existing, resolved->desired);
  resolve_machine(existing, vm);
  resolve_maxima(existing, vm);
  resolved->error = resolve_disks(input, existing, vm, declared->metadata.name, resolved->sources);
  return resolved;
}
