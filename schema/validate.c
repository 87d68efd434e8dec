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

static void G_GNUC_PRINTF(4, 0) say(const Check *check, gboolean error, const char *path, const char *format, va_list args) {
  g_autofree char *full = g_str_has_prefix(path, "metadata.") ? g_strdup(path) : g_strconcat(check->within, path, NULL);
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

void check_note(const Check *check, const Object *other, const char *path, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *message = g_strdup_vprintf(format, args);
  va_end(args);
  diag_note(check->diagnostics, object_place(other, path, NULL), "%s", message);
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
  char *path;
} Owner;

static void owner_free(gpointer data) {
  Owner *owner = data;
  g_free(owner->path);
  g_free(owner);
}

static GHashTable *owners_new(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, owner_free); }

/* NULL when the value is new. Takes value and path. */
static const Owner *claim(GHashTable *owners, const Object *object, char *value, char *path) {
  const Owner *first = g_hash_table_lookup(owners, value);
  if (first) {
    g_free(value);
    g_free(path);
    return first;
  }
  Owner *owner = g_new(Owner, 1);
  *owner = (Owner){object, path};
  g_hash_table_insert(owners, value, owner);
  return NULL;
}

static const char *object_name(const Object *object) { return object->metadata.name; }

static void claim_macs(const Check *check, GHashTable *macs) {
  const VmSpec *vm = object_vm(check->object);
  for (guint i = 0; vm->interfaces && i < vm->interfaces->len; i++) {
    const InterfaceSpec *interface = vm->interfaces->pdata[i];
    gboolean own = given(interface, InterfaceSpec, mac);
    if (!own && check->adopt) /* it has one, which isn't known here */
      continue;
    g_autofree char *path = g_strdup_printf("interfaces[%s].mac", interface->name);
    g_autofree char *mac = own ? g_strdup(interface->mac) : derive_mac(object_name(check->object), interface->name);
    const Owner *first = claim(macs, check->object, g_strdup(mac), g_strdup(path));
    if (!first)
      continue;
    check_error(check, path, own ? "the MAC address %s is used twice" : "the MAC address %s that follows from the names is used twice: give a mac",
                mac);
    check_note(check, first->object, first->path, "first used by \"%s\"", object_name(first->object));
  }
}

static void claim_uuid(const Check *check, GHashTable *uuids, const char *uuid) {
  if (!uuid && check->adopt)
    return;
  const KindInfo *kind = &kinds[check->object->kind];
  g_autofree char *value = uuid ? g_strdup(uuid) : derive_uuid(kind->word, object_name(check->object));
  const Owner *first = claim(uuids, check->object, g_strdup(value), g_strdup("uuid"));
  if (!first)
    return;
  check_error(check, "uuid", "the UUID %s is used twice", value);
  check_note(check, first->object, "uuid", "first used by \"%s\"", object_name(first->object));
}

/* What a disk that the guest writes to is stored in, where the files say it; NULL otherwise. */
static char *written_storage(const DiskSpec *disk) {
  if ((given(disk, DiskSpec, device) && disk->device != DiskDevice_disk) || disk->readOnly || disk->shareable)
    return NULL;
  if (given(disk, DiskSpec, path))
    return g_strdup(disk->path);
  if (given(disk, DiskSpec, volume))
    return g_strdup_printf("%s of pool %s", disk->volume, disk->pool ? disk->pool : "default");
  return NULL;
}

static void claim_disks(const Check *check, GHashTable *storage) {
  const VmSpec *vm = object_vm(check->object);
  for (guint i = 0; vm->disks && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    g_autofree char *where = written_storage(disk);
    if (!where)
      continue;
    g_autofree char *path = g_strdup_printf("disks[%s]", disk->target);
    const Owner *first = claim(storage, check->object, g_strdup(where), g_strdup(path));
    if (!first)
      continue;
    check_warning(check, path, "%s is also a disk of \"%s\", which may write to it at the same time: give shareable or readOnly", where,
                  object_name(first->object));
    check_note(check, first->object, first->path, "first used here");
  }
}

void validate_set(const Desired *desired, Diagnostics *diagnostics) {
  g_autoptr(GHashTable) macs = owners_new(), machine_uuids = owners_new(), network_uuids = owners_new(), storage = owners_new();
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    const Check check = {.desired = desired, .object = object, .diagnostics = diagnostics, .within = "", .adopt = object->metadata.adopt};
    if (object->kind == KIND_VIRTUAL_MACHINE) {
      claim_macs(&check, macs);
      claim_uuid(&check, machine_uuids, object_vm(object)->uuid);
      claim_disks(&check, storage);
    } else if (object->kind == KIND_NETWORK) {
      claim_uuid(&check, network_uuids, ((const NetworkSpec *)object->spec)->uuid);
    }
  }
}
