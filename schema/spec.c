/* The tables behind schema/spec.h, and what is asked of disks. */
#include "schema/spec.h"

#define KIB (G_GINT64_CONSTANT(1) << 10)
#define MIB (G_GINT64_CONSTANT(1) << 20)
#define GIB (G_GINT64_CONSTANT(1) << 30)
#define TIB (G_GINT64_CONSTANT(1) << 40)
#define SECOND G_GINT64_CONSTANT(1000)
#define WORDS(Enum) .words = &Enum##_words

#define SPEC_STRING_(text) #text
#define SPEC_STRING(text) SPEC_STRING_(text)

#define BEGIN(help_text) static const Field SPEC_CAT(SPEC, _fields)[] = {
#define FIELD(TYPE, member, ...) \
  { .key = #member, .type = VALUE_##TYPE, .offset = offsetof(SPEC, member), __VA_ARGS__ },
#define GROUP(Sub, member, ...) \
  { .key = #member, .type = VALUE_GROUP, .offset = offsetof(SPEC, member), .sub = &Sub##_table, __VA_ARGS__ },
#define LIST(Sub, member, ...) \
  { .key = #member, .type = VALUE_LIST, .offset = offsetof(SPEC, member), .sub = &Sub##_table, __VA_ARGS__ },
#define END };
#include "schema/fields/all.def"
#undef BEGIN
#undef FIELD
#undef GROUP
#undef LIST
#undef END

#define BEGIN(help_text) \
  const FieldTable SPEC_CAT(SPEC, _table) = { \
    .name = SPEC_STRING(SPEC), .size = sizeof(SPEC), .fields = SPEC_CAT(SPEC, _fields), \
    .n_fields = SPEC_CAT(SPEC, _N), .help = help_text }; \
  G_STATIC_ASSERT(SPEC_CAT(SPEC, _N) <= 64 && offsetof(SPEC, given) == 0);
#define FIELD(TYPE, member, ...)
#define GROUP(Sub, member, ...)
#define LIST(Sub, member, ...)
#define END
#include "schema/fields/all.def"

DiskSpec *vm_disk(const VmSpec *vm, const char *target) {
  return vm ? list_find(&DiskSpec_table, vm->disks, &DiskSpec_table.fields[DiskSpec_target], target) : NULL;
}

gboolean disk_is_drive(const DiskSpec *disk) { return given(disk, DiskSpec, device) && disk->device != DiskDevice_disk; }

gboolean disk_is_read_only(const DiskSpec *disk) { return disk_is_drive(disk) || disk->readOnly; }

const char *pool_of_disk(const DiskSpec *disk) { return given(disk, DiskSpec, pool) ? disk->pool : DEFAULT_POOL; }

const char *pool_of_volume(const VolumeSpec *volume) { return given(volume, VolumeSpec, pool) ? volume->pool : DEFAULT_POOL; }
