#include "reconciler/command/import_domain.h"

#include "reconciler/plan/snapshot_rules.h"
#include "schema/value.h"

static void remark(GPtrArray *remarks, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void remark(GPtrArray *remarks, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_ptr_array_add(remarks, g_strdup_vprintf(format, arguments));
  va_end(arguments);
}

char *import_obstacle(const ActualDomain *domain) {
  g_autofree char *name = NULL;
  g_autoptr(GError) error = NULL;
  if (domain->error)
    return g_strdup_printf("it can't be read: %s", domain->error);
  if (!domain->is_persistent)
    return g_strdup("it is transient: it has no definition that could be managed");
  if (!value_parse(table_find(&MetadataSpec_table, "name"), domain->name, &name, &error))
    return g_strdup_printf("its name can't be written in a file: %s", error->message);
  return NULL;
}

static gboolean is_complete(const FieldTable *table, gconstpointer spec) {
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].required && !field_given(table, spec, &table->fields[i]))
      return FALSE;
  return TRUE;
}

/* Leaves out what can't be written, and what says nothing: defaults that a definition has by
 * not mentioning them. */
static void clean_spec(const FieldTable *table, gpointer spec, const char *path, GPtrArray *remarks);

/* Items that can't be told apart, or have a value that no word stands for. */
static void clean_list(const Field *field, GPtrArray *items, const char *path, GPtrArray *remarks) {
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < items->len;) {
    g_autofree char *key = item_key(field->sub, items->pdata[i]);
    const char *trouble = !key                                          ? "it has no key"
                          : g_hash_table_contains(seen, key)            ? "there is another one with the same key"
                          : !is_complete(field->sub, items->pdata[i]) ? "the files have no words for it"
                                                                        : NULL;
    if (trouble) {
      remark(remarks, "%s[%s] is left out and stays as it is: %s", path, key ? key : "?", trouble);
      spec_free(field->sub, g_ptr_array_remove_index(items, i));
      continue;
    }
    g_autofree char *inner = g_strdup_printf("%s[%s]", path, key);
    clean_spec(field->sub, items->pdata[i], inner, remarks);
    g_hash_table_add(seen, g_steal_pointer(&key));
    i++;
  }
}

static gboolean is_default(const Field *field, gconstpointer member) {
  if (!field->absent || field->required)
    return FALSE;
  g_autofree char *text = value_format(field, member);
  return g_str_equal(text, field->absent);
}

static gboolean is_empty(const FieldTable *table, gconstpointer spec) {
  for (guint i = 0; i < table->n_fields; i++)
    if (field_given(table, spec, &table->fields[i]))
      return FALSE;
  return TRUE;
}

static void clean_spec(const FieldTable *table, gpointer spec, const char *path, GPtrArray *remarks) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, spec, field))
      continue;
    if (field->type != VALUE_GROUP && field->type != VALUE_LIST) {
      if (is_default(field, field_member(field, spec)))
        spec_unset(table, spec, field);
      continue;
    }
    g_autofree char *inner = g_strdup_printf("%s%s%s", path, *path ? "." : "", field->key);
    gpointer member = field_member(field, spec);
    if (field->type == VALUE_LIST) {
      GPtrArray *items = *(GPtrArray **)member;
      clean_list(field, items, inner, remarks);
      if (items->len == 0)
        spec_unset(table, spec, field);
    } else if (!is_complete(field->sub, member)) {
      remark(remarks, "%s is left out and stays as it is: the files have no words for it", inner);
      spec_unset(table, spec, field);
    } else {
      clean_spec(field->sub, member, inner, remarks);
      if (is_empty(field->sub, member) && !field->device)
        spec_unset(table, spec, field);
    }
  }
}

/* The size is the volume's own: given in a file, it would be ours to grow. */
static void import_disks(VmSpec *vm, GPtrArray *remarks) {
  for (guint i = 0; given(vm, VmSpec, disks) && i < vm->disks->len;) {
    DiskSpec *disk = vm->disks->pdata[i];
    if (!disk_is_drive(disk) && !given(disk, DiskSpec, path)) {
      remark(remarks, "disks[%s] is left out and stays as it is: its source isn't a file or a block device",
             disk->target ? disk->target : "?");
      spec_free(&DiskSpec_table, g_ptr_array_remove_index(vm->disks, i));
      continue;
    }
    spec_unset(&DiskSpec_table, disk, &DiskSpec_table.fields[DiskSpec_size]);
    i++;
  }
}

/* The definition has no names for interfaces, so they are numbered, by the MAC that they keep. */
static void import_interfaces(VmSpec *vm, GPtrArray *remarks) {
  guint number = 0;
  for (guint i = 0; given(vm, VmSpec, interfaces) && i < vm->interfaces->len; number++) {
    InterfaceSpec *interface = vm->interfaces->pdata[i];
    gboolean connected = given(interface, InterfaceSpec, network) || given(interface, InterfaceSpec, bridge) ||
                         given(interface, InterfaceSpec, direct) ||
                         (given(interface, InterfaceSpec, user) && interface->user);
    if (!connected || !given(interface, InterfaceSpec, mac)) {
      remark(remarks, "the interface with MAC %s is left out and stays as it is: the files have no words for its connection",
             given(interface, InterfaceSpec, mac) ? interface->mac : "?");
      spec_free(&InterfaceSpec_table, g_ptr_array_remove_index(vm->interfaces, i));
      continue;
    }
    g_free(interface->name);
    interface->name = g_strdup_printf("net%u", number);
    set_given(interface, InterfaceSpec, name);
    i++;
  }
}

/* Those that are ours are declared, or they would be removed; a person's stay a person's until a file names them. */
static void import_snapshots(const ActualDomain *domain, VmSpec *vm, GPtrArray *remarks) {
  GPtrArray *snapshots = spec_list_new(&SnapshotSpec_table);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *found = domain->snapshots->pdata[i];
    if (domain->owner == NULL || snapshot_fact(&domain->owner->facts, found->name) == NULL) {
      remark(remarks, "snapshot %s stays as it is, a person's: name it under snapshots to take it over", found->name);
      continue;
    }
    SnapshotSpec *snapshot = spec_new(&SnapshotSpec_table);
    snapshot->name = g_strdup(found->name);
    set_given(snapshot, SnapshotSpec, name);
    g_ptr_array_add(snapshots, snapshot);
  }
  if (snapshots->len > 0) {
    vm->snapshots = snapshots;
    set_given(vm, VmSpec, snapshots);
  } else {
    g_ptr_array_unref(snapshots);
  }
}

Object *import_domain(const ActualDomain *domain, GPtrArray *remarks) {
  Object *object = object_new(KIND_VIRTUAL_MACHINE, domain->name);
  object->metadata.adopt = TRUE;
  set_given(&object->metadata, MetadataSpec, adopt);
  spec_free(&VmSpec_table, object->spec);
  object->spec = spec_copy(&VmSpec_table, &domain->persistent);
  VmSpec *vm = object_vm(object);
  if (!given(vm, VmSpec, powerState))
    remark(remarks, "powerState is left out: the present state (%s) isn't one to ask for",
           power_state_word(domain->state, domain->has_managed_save));
  import_disks(vm, remarks);
  import_interfaces(vm, remarks);
  import_snapshots(domain, vm, remarks);
  clean_spec(&VmSpec_table, vm, "", remarks);
  return object;
}
