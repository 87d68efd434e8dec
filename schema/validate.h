/* Rules across fields and objects, after decoding and applying profiles. No
 * hypervisor is asked. An error points at the field that it is about: in the
 * object's file, or in its profile's where the value comes from there. */
#pragma once
#include "schema/document.h"

typedef struct {
  const Desired *desired;
  const Object *object;
  const Object *profile; /* that the machine builds on; NULL: none */
  GHashTable *said;      /* what was said about profiles: once for all machines that build on one */
  Diagnostics *diagnostics;
  const char *list, *item; /* what is looked at: "disks" and "vda"; NULL: the object itself */
  gboolean adopt;        /* an existing object is taken over: what the files don't say, it has */
} Check;

/* The same for an item of a list; the strings are borrowed. Paths are put together only
 * when there is something to say. */
Check check_item(const Check *check, const char *list, const char *item);

/* `path` such as "cpu.max" counts from the item that is looked at, or from the spec; "metadata.name" from the document. */
void check_error(const Check *check, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
void check_warning(const Check *check, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Diagnoses a name of an object of the kind that isn't declared, with the nearest one. */
void check_reference(const Check *check, const char *path, Kind kind, const char *name);
/* A quantity that libvirt counts in larger units. */
void check_multiple(const Check *check, const char *path, guint64 value, guint64 unit, const char *unit_name);

void validate_rules(const Check *check); /* the rows of schema/rules.c; what they can't say: */
void validate_host(const Check *check);
void validate_placement(const Check *check);
void validate_migration(const Check *check);
void validate_machine(const Check *check);
void validate_numa(const Check *check);
void validate_disks(const Check *check);
void validate_disk_kind(const Check *check, const VmSpec *vm, const DiskSpec *disk); /* of one of them */
void validate_snapshots(const Check *check);
void validate_interfaces(const Check *check);
void validate_devices(const Check *check);
void validate_network(const Check *check);
void validate_volume(const Check *check);
void validate_image(const Check *check);
/* MACs, UUIDs and addresses that two objects have, disks that two machines write to. */
void validate_set(const Desired *desired, Diagnostics *diagnostics);

/* Hosts that objects name exist; in a fleet each machine has one. */
void validate_fleet(const Desired *desired, Diagnostics *diagnostics);

/* Where the path of a spec stands in the object's file, or the nearest that is above it. */
Place object_place(const Object *object, const char *path, gboolean *ret_exact);

/* profile.c: fills what the machine doesn't give. Returns the profile; NULL: none, or diagnosed. */
const Object *profile_apply(const Desired *desired, Object *machine, Diagnostics *diagnostics);
