/* Spec structs of any table: copies, merges, equality. */
#include "tests/unit/check.h"
#include "schema/spec.h"
#include "schema/value.h"

static void set(const FieldTable *table, gpointer spec, const char *key, const char *text) {
  const Field *field = table_find(table, key);
  assert_non_null(field);
  g_autoptr(GError) error = NULL;
  if (!value_parse(field, text, field_member(field, spec), &error))
    fail_msg("%s: %s", key, error->message);
  field_set_given(table, spec, field);
}

static DiskSpec *add_disk(VmSpec *vm, const char *target, const char *size) {
  DiskSpec *disk = spec_new(&DiskSpec_table);
  set(&DiskSpec_table, disk, "target", target);
  if (size)
    set(&DiskSpec_table, disk, "size", size);
  if (!vm->disks)
    vm->disks = spec_list_new(&DiskSpec_table);
  g_ptr_array_add(vm->disks, disk);
  set_given(vm, VmSpec, disks);
  return disk;
}

static VmSpec *sample(void) {
  VmSpec *vm = spec_new(&VmSpec_table);
  set(&VmSpec_table, vm, "title", "A machine");
  set_given(vm, VmSpec, memory);
  set(&MemorySpec_table, &vm->memory, "size", "2GiB");
  set_given(vm, VmSpec, boot);
  set(&BootSpec_table, &vm->boot, "order", "disk, network");
  set(&DiskSpec_table, add_disk(vm, "vda", "10GiB"), "cache", "none");
  add_disk(vm, "vdb", NULL);
  return vm;
}

static void copies_are_equal_and_apart(void **state) {
  (void)state;
  VmSpec *vm = sample(), *copy = spec_copy(&VmSpec_table, vm);
  assert_true(spec_equal(&VmSpec_table, vm, copy));
  assert_ptr_not_equal(vm->title, copy->title);
  assert_ptr_not_equal(vm->disks->pdata[0], copy->disks->pdata[0]);
  set(&DiskSpec_table, copy->disks->pdata[1], "size", "1GiB");
  assert_false(spec_equal(&VmSpec_table, vm, copy));
  spec_copy_field(&VmSpec_table, table_find(&VmSpec_table, "disks"), vm, copy);
  assert_true(spec_equal(&VmSpec_table, vm, copy));
  spec_unset(&VmSpec_table, copy, table_find(&VmSpec_table, "memory"));
  assert_false(given(copy, VmSpec, memory));
  assert_true(copy->memory.given == 0 && copy->memory.size == 0);
  /* copying what isn't given takes it away */
  spec_copy_field(&VmSpec_table, table_find(&VmSpec_table, "memory"), copy, vm);
  assert_false(given(vm, VmSpec, memory));
  spec_free(&VmSpec_table, vm);
  spec_free(&VmSpec_table, copy);
  spec_free(&VmSpec_table, NULL);
}

static void lists_are_compared_by_key(void **state) {
  (void)state;
  VmSpec *vm = sample(), *copy = spec_copy(&VmSpec_table, vm);
  gpointer first = copy->disks->pdata[0];
  copy->disks->pdata[0] = copy->disks->pdata[1];
  copy->disks->pdata[1] = first;
  assert_true(spec_equal(&VmSpec_table, vm, copy));
  assert_ptr_equal(list_find(&DiskSpec_table, copy->disks, table_key_field(&DiskSpec_table), "vda"), first);
  assert_null(list_find(&DiskSpec_table, copy->disks, table_key_field(&DiskSpec_table), "vdz"));
  assert_null(list_find(&DiskSpec_table, NULL, table_key_field(&DiskSpec_table), "vda"));
  assert_text(item_key(&DiskSpec_table, first), "vda");
  spec_free(&VmSpec_table, vm);
  spec_free(&VmSpec_table, copy);
}

/* Interfaces have a name in YAML and a MAC in XML; other lists one key for both. */
static void match_fields(void **state) {
  (void)state;
  assert_string_equal(table_key_field(&InterfaceSpec_table)->key, "name");
  assert_string_equal(table_match_field(&InterfaceSpec_table)->key, "mac");
  assert_string_equal(table_match_field(&DiskSpec_table)->key, "target");
  assert_null(table_key_field(&MemorySpec_table));
  InterfaceSpec *desired = spec_new(&InterfaceSpec_table);
  set(&InterfaceSpec_table, desired, "name", "eth0");
  assert_null(item_match(&InterfaceSpec_table, desired));
  set(&InterfaceSpec_table, desired, "mac", "52:54:00:00:00:01");
  assert_text(item_match(&InterfaceSpec_table, desired), "52:54:00:00:00:01");
  spec_free(&InterfaceSpec_table, desired);
  CpuPinSpec pin = {.vcpu = 7};
  set_given(&pin, CpuPinSpec, vcpu);
  assert_text(item_key(&CpuPinSpec_table, &pin), "7");
}

static void merge_fills_what_is_missing(void **state) {
  (void)state;
  VmSpec *profile = sample(), *vm = spec_new(&VmSpec_table);
  set(&VmSpec_table, vm, "title", "Mine");
  set_given(vm, VmSpec, memory);
  set(&MemorySpec_table, &vm->memory, "max", "8GiB");
  set(&DiskSpec_table, add_disk(vm, "vdb", "5GiB"), "bus", "virtio");
  spec_merge(&VmSpec_table, profile, vm);
  assert_string_equal(vm->title, "Mine");
  assert_true(vm->memory.size == 2ull << 30 && vm->memory.max == 8ull << 30);
  assert_int_equal(vm->disks->len, 2);
  const DiskSpec *b = vm->disks->pdata[0], *a = vm->disks->pdata[1];
  assert_string_equal(b->target, "vdb");
  assert_true(b->size == 5ull << 30);
  assert_string_equal(a->target, "vda");
  assert_int_equal(a->cache, DiskCache_none);
  assert_int_equal(g_strv_length(vm->boot.order), 2);
  spec_free(&VmSpec_table, profile);
  assert_string_equal(vm->boot.order[0], "disk");
  spec_free(&VmSpec_table, vm);
}

static void maps_are_sorted_and_merged(void **state) {
  (void)state;
  MetadataSpec a = {0}, b = {0};
  a.labels = string_map_new();
  b.labels = string_map_new();
  set_given(&a, MetadataSpec, labels);
  set_given(&b, MetadataSpec, labels);
  string_map_set(a.labels, "tier", "web");
  string_map_set(a.labels, "app", "shop");
  string_map_set(b.labels, "app", "other");
  string_map_set(b.labels, "zone", "1");
  string_map_set(b.labels, "zone", "2");
  assert_false(spec_equal(&MetadataSpec_table, &a, &b));
  spec_merge(&MetadataSpec_table, &a, &b);
  assert_text(value_format(table_find(&MetadataSpec_table, "labels"), &b.labels), "app=other, tier=web, zone=2");
  assert_null(string_map_get(b.labels, "none"));
  MetadataSpec copy = {0};
  spec_copy_into(&MetadataSpec_table, &b, &copy);
  assert_true(spec_equal(&MetadataSpec_table, &b, &copy));
  spec_clear(&MetadataSpec_table, &a);
  spec_clear(&MetadataSpec_table, &b);
  spec_clear(&MetadataSpec_table, &copy);
  assert_true(copy.given == 0 && !copy.labels);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_are_equal_and_apart), cmocka_unit_test(lists_are_compared_by_key),
      cmocka_unit_test(match_fields), cmocka_unit_test(merge_fills_what_is_missing),
      cmocka_unit_test(maps_are_sorted_and_merged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
