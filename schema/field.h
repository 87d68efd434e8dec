/* One row per field.
 *
 * A table (FieldTable) describes a C struct that holds a part of a spec: what
 * its YAML keys are, which values they take, where they live in libvirt's XML
 * and how a change of them takes effect. Tables and structs are both expanded
 * from schema/fields/ *.def (see schema/spec.h), so that adding a row adds the
 * struct member, and every stage (decode, validate, diff, XML read and patch,
 * JSON Schema, reference) knows the field.
 *
 * Each struct starts with a FieldSet: bit i says that field i was given. A
 * field that is not given is not managed; its member is zero and means nothing.
 */
#pragma once
#include <glib.h>

typedef guint64 FieldSet;

typedef enum {
  VALUE_BOOL,     /* gboolean */
  VALUE_INT,      /* gint64, bounds in min and max */
  VALUE_BYTES,    /* guint64 bytes, "2GiB"; bounds in min and max */
  VALUE_RATE,     /* guint64 bytes per second, "100MiB/s" */
  VALUE_DURATION, /* guint64 milliseconds, "90s", "5m", "500ms", "1h" */
  VALUE_ENUM,     /* int, an index into words */
  VALUE_STRING,   /* char *, one line, no control characters, valid in XML */
  VALUE_TEXT,     /* char *, several lines, valid in XML */
  VALUE_NAME,     /* char *, [A-Za-z0-9_.][A-Za-z0-9_.+:@-]*, at most 200 bytes */
  VALUE_PATH,     /* char *, absolute; a relative one in YAML counts from the file's folder */
  VALUE_UUID,     /* char *, lower case with dashes */
  VALUE_MAC,      /* char *, lower case, unicast */
  VALUE_IP,       /* char *, an IPv4 or IPv6 address, canonical */
  VALUE_CPUSET,   /* char *, "0-3,8", canonical: sorted, merged */
  VALUE_PCI,      /* char *, "0000:03:00.0" */
  VALUE_USB,      /* char *, "1d6b:0002" vendor:product */
  VALUE_TARGET,   /* char *, a disk target: (vd|sd|hd|fd|xvd)[a-z]+ */
  VALUE_SHA256,   /* char *, 64 lower-case hex digits */
  VALUE_XML,      /* char *, one well-formed XML element without DTD */
  VALUE_STRINGS,  /* char **, each an item of `item` type; NULL-terminated, order kept */
  VALUE_MAP,      /* StringMap *, string to string, sorted by key */
  VALUE_GROUP,    /* a struct in place, described by sub */
  VALUE_LIST,     /* GPtrArray * of structs described by sub, each with a key */
  VALUE_N
} ValueType;

/* How a change of a field takes effect on a machine that runs. The table has no
 * default for it: a leaf row without one fails the table test. */
typedef enum {
  EFFECT_UNSET,
  EFFECT_NONE,        /* nothing of the machine changes: only our record, or a flag of libvirt's */
  EFFECT_LIVE_CALL,   /* at once, through the libvirt call named in `call` */
  EFFECT_LIVE_UPDATE, /* at once, virDomainUpdateDeviceFlags of the device it belongs to */
  EFFECT_LIVE_REPLUG, /* at once, the device is unplugged and plugged again */
  EFFECT_NEXT_START,  /* written to the persistent definition, pending until the next start */
  EFFECT_NEVER,       /* refused; `why` says the reason */
  EFFECT_N
} Effect;

/* The dedicated call (or object operation) behind EFFECT_LIVE_CALL. */
typedef enum {
  CALL_NONE,
  CALL_VCPUS,            /* virDomainSetVcpusFlags */
  CALL_MEMORY,           /* virDomainSetMemoryFlags: the balloon */
  CALL_MEMORY_STATS,     /* virDomainSetMemoryStatsPeriod */
  CALL_SCHEDULER,        /* virDomainSetSchedulerParametersFlags */
  CALL_PIN_VCPU,         /* virDomainPinVcpuFlags */
  CALL_PIN_EMULATOR,     /* virDomainPinEmulator */
  CALL_RESIZE_DISK,      /* virDomainBlockResize, or virStorageVolResize when stopped */
  CALL_IO_LIMITS,        /* virDomainSetBlockIoTune */
  CALL_MEDIA,            /* change of the medium in a drive: virDomainUpdateDeviceFlags */
  CALL_ATTACH_DEVICE,    /* virDomainAttachDeviceFlags or virDomainDetachDeviceFlags */
  CALL_BANDWIDTH,        /* virDomainSetInterfaceParameters */
  CALL_TITLE,            /* virDomainSetMetadata, title */
  CALL_DESCRIPTION,      /* virDomainSetMetadata, description */
  CALL_LIFECYCLE,        /* virDomainSetLifecycleAction */
  CALL_AUTOSTART,        /* vir*SetAutostart */
  CALL_POWER,            /* start, stop, pause, resume, save, restore */
  CALL_NETWORK_UPDATE,   /* virNetworkUpdate of the section that the row is in */
  CALL_RESIZE_VOLUME,    /* virStorageVolResize */
  CALL_N
} Call;

/* How a value is written in XML. */
typedef enum {
  SHAPE_WORD,    /* the canonical string; booleans as yes and no */
  SHAPE_ON_OFF,  /* a boolean as on and off */
  SHAPE_PRESENT, /* a boolean as an element that is there or not */
  SHAPE_KIB,     /* bytes as a count of KiB; elements get unit='KiB', and any unit is read */
  SHAPE_MIB,     /* the same in MiB */
  SHAPE_BYTES,   /* bytes; elements get unit='bytes' */
  SHAPE_SECONDS, /* a duration as whole seconds */
  SHAPE_MILLISECONDS,
  SHAPE_PLAIN_BYTES, /* bytes without a unit attribute */
} Shape;

/* What libvirt makes of an amount that it can't have as it is given: the next higher one that it can. */
typedef enum {
  ROUNDING_NONE,
  ROUNDING_LIVE,         /* a multiple of granule, in the machine that runs; the definition keeps what it was given */
  ROUNDING_POWER_OF_TWO, /* in the definition already */
} Rounding;

typedef struct Field Field;
typedef struct FieldTable FieldTable;

/* Words of a VALUE_ENUM: in YAML and, at the same index, in libvirt's XML. */
typedef struct {
  const char *name;
  const char *const *words; /* NULL-terminated */
  const char *const *xml;   /* an entry may be NULL: the node is absent for this word */
} EnumWords;

struct Field {
  const char *key; /* the YAML key, and the member's name */
  ValueType type;
  gsize offset;
  const FieldTable *sub;  /* VALUE_GROUP and VALUE_LIST */
  const EnumWords *words; /* VALUE_ENUM */
  ValueType item;         /* VALUE_STRINGS: type of the items (a string type or VALUE_ENUM) */
  gint64 min, max;        /* numbers and quantities: bounds when max > 0 or min != max; strings: most bytes in max */
  Rounding rounding;    /* VALUE_BYTES; what is equal once rounded isn't another value */
  guint64 granule;      /* of ROUNDING_LIVE, in bytes */
  const char *unit;     /* VALUE_INT: what it is a quantity of; NULL: a number that something has, not an amount */

  /* Where it lives in libvirt's XML (state/xml_path.h says the notation), from
   * the nearest enclosing group or list that has a path, or the root element.
   * NULL: not in the XML; the value last applied is kept in our metadata. */
  const char *xml;
  Shape shape;
  const char *absent; /* canonical string that a missing node means; NULL: unset */
  gboolean volatile_live; /* the live XML doesn't show it as defined: the live value is the one
                             in the metadata that the machine was started with */
  gboolean from_host;     /* not in the XML but observed otherwise (state, volumes, flags) */

  Effect effect; /* on a list or a device group: of adding or removing an item */
  Call call;
  const char *why; /* EFFECT_NEVER: the reason, for people */

  gboolean required;
  gboolean key_field;   /* of a list: names the item in YAML; unique */
  gboolean match_field; /* of a list: finds the item in the XML (default: the key field) */
  gboolean unmanage;    /* leaving YAML leaves the value as it is; otherwise it goes back to libvirt's default */
  gboolean device;      /* a list or group whose XML element is a device that can be plugged */
  gboolean secret;      /* its value never reaches a plan, a log or an argument list */
  gboolean create_only; /* says how to create; later changes are ignored and said so by effect */
  const char *example;  /* YAML, for the reference */
  const char *help;     /* one line */
};

struct FieldTable {
  const char *name; /* of the struct, for messages: "disk" */
  gsize size;
  const Field *fields;
  guint n_fields;
  const char *help;
};

#define FIELD_BIT(i) (G_GUINT64_CONSTANT(1) << (i))
/* given(&vm->memory, MemorySpec, size): was memory.size given? */
#define given(spec, Spec, member) (((spec)->given & FIELD_BIT(Spec##_##member)) != 0)
#define set_given(spec, Spec, member) ((void)((spec)->given |= FIELD_BIT(Spec##_##member)))

static inline FieldSet *field_set(gpointer spec) { return spec; }
static inline gboolean field_given(const FieldTable *table, gconstpointer spec, const Field *field) {
  return (*(const FieldSet *)spec & FIELD_BIT(field - table->fields)) != 0;
}
static inline void field_set_given(const FieldTable *table, gpointer spec, const Field *field) {
  *field_set(spec) |= FIELD_BIT(field - table->fields);
}
static inline gpointer field_member(const Field *field, gconstpointer spec) {
  return (char *)spec + field->offset;
}

/* A string map with sorted keys, so that equal maps look equal everywhere. */
typedef struct {
  GPtrArray *keys, *values; /* of char *, same length */
} StringMap;
StringMap *string_map_new(void);
void string_map_free(StringMap *map);
void string_map_set(StringMap *map, const char *key, const char *value);
const char *string_map_get(const StringMap *map, const char *key); /* NULL when absent */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StringMap, string_map_free)

/* Life of a spec struct of any table. */
gpointer spec_new(const FieldTable *table);
void spec_free(const FieldTable *table, gpointer spec); /* accepts NULL */
void spec_clear(const FieldTable *table, gpointer spec); /* the members; the struct stays */
gpointer spec_copy(const FieldTable *table, gconstpointer spec);
void spec_copy_into(const FieldTable *table, gconstpointer from, gpointer to); /* `to` is zeroed memory */
void spec_unset(const FieldTable *table, gpointer spec, const Field *field);
/* Copies one field with its given bit. */
void spec_copy_field(const FieldTable *table, const Field *field, gconstpointer from, gpointer to);
/* Fills what `to` doesn't give from `from`: groups recursively, lists by key. */
void spec_merge(const FieldTable *table, gconstpointer from, gpointer to);
gboolean spec_equal(const FieldTable *table, gconstpointer a, gconstpointer b);
/* Both given and equal, or both not given. */
gboolean field_equal(const FieldTable *table, const Field *field, gconstpointer a, gconstpointer b);

const Field *table_find(const FieldTable *table, const char *key); /* NULL when unknown */
const Field *table_key_field(const FieldTable *table);
const Field *table_match_field(const FieldTable *table); /* the key field when no other */
/* The item of a list whose match (or key) field has this value; NULL when none. */
gpointer list_find(const FieldTable *table, const GPtrArray *items, const Field *by, const char *value);
/* A list item's canonical key, for paths such as disks[vda]; free it. */
char *item_key(const FieldTable *table, gconstpointer item);
char *item_match(const FieldTable *table, gconstpointer item);
GPtrArray *spec_list_new(const FieldTable *sub);
