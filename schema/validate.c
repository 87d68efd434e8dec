/* How rules speak, and the rules about the set as a whole. */
#include "schema/validate.h"
#include "schema/value.h"
#include <string.h>

/* Says it once where a profile is the cause, and in whose name. */
static void say_in_profile(const Check *check, gboolean error, Place at, const char *message) {
  g_autofree char *place = place_format(at);
  char *once = g_strconcat(place, message, NULL);
  if (!g_hash_table_add(check->said, once))
    return;
  (error ? diag_error : diag_warning)(check->diagnostics, at, "%s", message);
  diag_note(check->diagnostics, object_place(check->object, "profile", NULL), "in VirtualMachine \"%s\", which builds on this profile",
            check->object->metadata.name);
}

Check check_item(const Check *check, const char *list, const char *item) {
  Check inner = *check;
  inner.list = list;
  inner.item = item;
  return inner;
}

/* "disks[vda].size" */
static char *item_path(const char *list, const char *item, const char *path) {
  return list ? g_strdup_printf("%s[%s]%s%s", list, item, *path ? "." : "", path) : g_strdup(path);
}

static void G_GNUC_PRINTF(4, 0) say(const Check *check, gboolean error, const char *path, const char *format, va_list args) {
  g_autofree char *full = item_path(check->list, check->item, path);
  g_autofree char *message = g_strdup_vprintf(format, args);
  gboolean exact, in_profile = FALSE;
  Place at = object_place(check->object, full, &exact);
  if (!exact && check->profile) {
    Place other = object_place(check->profile, full, &in_profile);
    at = in_profile ? other : at;
  }
  if (in_profile)
    say_in_profile(check, error, at, message);
  else
    (error ? diag_error : diag_warning)(check->diagnostics, at, "%s", message);
}

void check_error(const Check *check, const char *path, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(check, TRUE, path, format, args);
  va_end(args);
}

void check_warning(const Check *check, const char *path, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(check, FALSE, path, format, args);
  va_end(args);
}

void check_multiple(const Check *check, const char *path, guint64 value, guint64 unit, const char *unit_name) {
  if (value % unit)
    check_error(check, path, "%s must be a whole number of %s", path, unit_name);
}

void check_reference(const Check *check, const char *path, Kind kind, const char *name) {
  g_autofree char *id = object_id(kind, name);
  if (g_hash_table_contains(check->desired->by_id, id) || g_hash_table_contains(check->desired->broken, id))
    return;
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (guint i = 0; i < check->desired->objects->len; i++) {
    const Object *object = check->desired->objects->pdata[i];
    if (object->kind == kind)
      g_ptr_array_add(names, object->metadata.name);
  }
  g_ptr_array_add(names, NULL);
  const char *near = nearest_word(name, (const char *const *)names->pdata);
  g_autofree char *hint = near ? g_strdup_printf(": did you mean \"%s\"?", near) : g_strdup("");
  check_error(check, path, "no %s named \"%s\" is declared%s", kinds[kind].name, name, hint);
}

/* Two objects with the same of something that must differ: the first one is remembered. */
typedef struct {
  const Object *object;
  const char *list, *item;
} Owner;

static GHashTable *owners_new(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free); }

/* NULL when the value is new, and now of what is looked at. */
static const Owner *claim(GHashTable *owners, const Check *check, const char *value) {
  const Owner *first = g_hash_table_lookup(owners, value);
  if (first)
    return first;
  Owner *owner = g_new(Owner, 1);
  *owner = (Owner){check->object, check->list, check->item};
  g_hash_table_insert(owners, g_strdup(value), owner);
  return NULL;
}

static void note_owner(const Check *check, const Owner *owner, const char *path) {
  g_autofree char *full = item_path(owner->list, owner->item, path);
  diag_note(check->diagnostics, object_place(owner->object, full, NULL), "first used by \"%s\"", owner->object->metadata.name);
}

static const char *object_name(const Object *object) { return object->metadata.name; }

/* Those that aren't given have been derived. */
static void claim_macs(const Check *outer, GHashTable *macs) {
  const VmSpec *vm = object_vm(outer->object);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    gboolean own = given(interface, InterfaceSpec, mac);
    if (!own && outer->adopt) /* it has one, which isn't known here */
      continue;
    const Check check = check_item(outer, "interfaces", interface->name);
    const char *mac = interface->mac;
    const Owner *first = claim(macs, &check, mac);
    if (!first)
      continue;
    /* Copies of a machine exist that never run side by side; within a machine it is what an interface is found by. */
    if (first->object != outer->object && (outer->adopt || first->object->metadata.adopt))
      check_warning(&check, "mac", "the MAC address %s is used twice: the machines can't share a network", mac);
    else
      check_error(&check, "mac", own ? "the MAC address %s is used twice" : "the MAC address %s that follows from the names is used twice: give a mac",
                  mac);
    note_owner(&check, first, "mac");
  }
}

static const char *uuid_of(const Object *object) {
  return object->kind == KIND_VIRTUAL_MACHINE ? object_vm(object)->uuid
         : object->kind == KIND_NETWORK       ? ((const NetworkSpec *)object->spec)->uuid
                                              : NULL;
}

/* Names differ, and so do the UUIDs that follow from them: only one that is given can be used twice. */
static gboolean gives_uuids(const Desired *desired) {
  for (guint i = 0; i < desired->objects->len; i++)
    if (uuid_of(desired->objects->pdata[i]))
      return TRUE;
  return FALSE;
}

static void claim_uuid(const Check *check, GHashTable *uuids) {
  const char *uuid = uuid_of(check->object);
  if (!uuid && check->adopt)
    return;
  const KindInfo *kind = &kinds[check->object->kind];
  g_autofree char *value = uuid ? g_strdup(uuid) : check->object->kind == KIND_VIRTUAL_MACHINE ? derive_vm_uuid(desired_fleet(check->desired), object_name(check->object))
                                                                                                            : derive_uuid(kind->word, object_name(check->object));
  const Owner *first = claim(uuids, check, value);
  if (!first)
    return;
  check_error(check, "uuid", "the UUID %s is used twice", value);
  note_owner(check, first, "uuid");
}

/* What a disk that the guest writes to is stored in, where the files say it; NULL otherwise. */
static char *written_storage(const DiskSpec *disk) {
  if (disk_is_read_only(disk) || disk->shareable)
    return NULL;
  if (given(disk, DiskSpec, path))
    return g_strdup(disk->path);
  if (given(disk, DiskSpec, volume))
    return g_strdup_printf("%s of pool %s", disk->volume, pool_of_disk(disk));
  return NULL;
}

static void claim_disks(const Check *outer, GHashTable *storage) {
  const VmSpec *vm = object_vm(outer->object);
  for (guint i = 0; vm->disks && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    g_autofree char *where = written_storage(disk);
    if (!where)
      continue;
    const Check check = check_item(outer, "disks", disk->target);
    const Owner *first = claim(storage, &check, where);
    if (!first)
      continue;
    check_warning(&check, "", "%s is also a disk of \"%s\", which may write to it at the same time: give shareable or readOnly", where,
                  object_name(first->object));
    note_owner(&check, first, "");
  }
}

/* libvirt refuses the second pool of a directory. One that some hosts have is compared with others of these hosts only. */
static void claim_directory(const Check *check, GHashTable *directories) {
  const StoragePoolSpec *pool = check->object->spec;
  if (pool->type != PoolType_dir || !given(pool, StoragePoolSpec, target))
    return;
  char *const everywhere[] = {(char *)"", NULL};
  g_autofree char *target = g_canonicalize_filename(pool->target, "/");
  for (char *const *host = pool->hosts ? pool->hosts : everywhere; *host; host++) {
    g_autofree char *where = g_strconcat(*host, ":", target, NULL);
    const Owner *first = claim(directories, check, where);
    if (!first)
      continue;
    check_error(check, "target", "the directory %s is used twice: give each pool its own", target);
    note_owner(check, first, "target");
    return;
  }
}

/* Whatever is counted on two hosts is one then, and each machine is on both. One that is fenced isn't asked: its address may
 * be another's by now. That different addresses are of one host is seen when it is locked. */
static void claim_address(const Check *check, GHashTable *addresses) {
  const HostSpec *host = check->object->spec;
  const Owner *first = given(host, HostSpec, fenced) && host->fenced ? NULL : claim(addresses, check, host->uri);
  if (!first)
    return;
  check_error(check, "uri", "the address %s is used twice: give each Host its own, or declare the host once", host->uri);
  note_owner(check, first, "uri");
}

void validate_set(const Desired *desired, Diagnostics *diagnostics) {
  g_autoptr(GHashTable) macs = owners_new(), machine_uuids = owners_new(), network_uuids = owners_new(), storage = owners_new(), directories = owners_new(),
                        addresses = owners_new();
  gboolean uuids = gives_uuids(desired);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    const Check check = {.desired = desired, .object = object, .diagnostics = diagnostics, .adopt = object->metadata.adopt};
    if (object->kind == KIND_VIRTUAL_MACHINE) {
      claim_macs(&check, macs);
      claim_disks(&check, storage);
    }
    if (object->kind == KIND_STORAGE_POOL)
      claim_directory(&check, directories);
    if (object->kind == KIND_HOST)
      claim_address(&check, addresses);
    if (uuids && object->kind == KIND_VIRTUAL_MACHINE)
      claim_uuid(&check, machine_uuids);
    if (uuids && object->kind == KIND_NETWORK)
      claim_uuid(&check, network_uuids);
  }
}
