/* The spec structs: expanded from the rows in schema/fields/ *.def.
 *
 * A row is FIELD(TYPE, member, …), GROUP(Spec, member, …) for a nested struct,
 * or LIST(Spec, member, …) for a keyed list; what follows are designated
 * initialisers of struct Field. Each struct starts with `FieldSet given`; use
 * given(&vm->memory, MemorySpec, size). <Spec>_table describes it. */
#pragma once
#include "schema/enums.h"
#include "schema/field.h"

#define CTYPE_BOOL gboolean
#define CTYPE_INT gint64
#define CTYPE_BYTES guint64
#define CTYPE_RATE guint64
#define CTYPE_DURATION guint64
#define CTYPE_ENUM int
#define CTYPE_STRING char *
#define CTYPE_TEXT char *
#define CTYPE_NAME char *
#define CTYPE_PATH char *
#define CTYPE_UUID char *
#define CTYPE_MAC char *
#define CTYPE_IP char *
#define CTYPE_CPUSET char *
#define CTYPE_PCI char *
#define CTYPE_USB char *
#define CTYPE_TARGET char *
#define CTYPE_SHA256 char *
#define CTYPE_XML char *
#define CTYPE_STRINGS char **
#define CTYPE_MAP StringMap *

#define SPEC_CAT_(a, b) a##b
#define SPEC_CAT(a, b) SPEC_CAT_(a, b)

/* Bit numbers: MemorySpec_size, … */
#define BEGIN(help_text) enum {
#define FIELD(TYPE, member, ...) SPEC_CAT(SPEC, _##member),
#define GROUP(Sub, member, ...) SPEC_CAT(SPEC, _##member),
#define LIST(Sub, member, ...) SPEC_CAT(SPEC, _##member),
#define END SPEC_CAT(SPEC, _N) };
#include "schema/fields/all.def"
#undef BEGIN
#undef FIELD
#undef GROUP
#undef LIST
#undef END

/* The structs. */
#define BEGIN(help_text) typedef struct { FieldSet given;
#define FIELD(TYPE, member, ...) CTYPE_##TYPE member;
#define GROUP(Sub, member, ...) Sub member;
#define LIST(Sub, member, ...) GPtrArray *member; /* of Sub * */
#define END } SPEC; extern const FieldTable SPEC_CAT(SPEC, _table);
#include "schema/fields/all.def"
#undef BEGIN
#undef FIELD
#undef GROUP
#undef LIST
#undef END

/* What several ask of a disk. */
#define DEFAULT_POOL "default" /* that of disks, volumes and images which name none */
DiskSpec *vm_disk(const VmSpec *vm, const char *target); /* borrowed; NULL: none. vm may be NULL */
gboolean disk_is_drive(const DiskSpec *disk);            /* for media: a cdrom or floppy */
gboolean disk_is_read_only(const DiskSpec *disk);        /* for the guest: drives are too */
const char *pool_of_disk(const DiskSpec *disk);          /* of one that isn't made from an image: that has a pool of its own */
const char *pool_of_volume(const VolumeSpec *volume);
