/* YAML that is written reads back as the same values, whatever is in the strings. */
#include "rows.h"
#include "schema/emit_yaml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void assert_one_string(const char *yaml, gsize length, const char *text) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) documents = node_parse("s.yaml", yaml, length, &node_limits_default, diagnostics);
  if (diagnostics->errors || documents->len != 1) fail_msg("no document: %s", yaml);
  const Node *root = documents->pdata[0];
  assert_int_equal(root->kind, NODE_MAPPING);
  assert_int_equal(root->n, 1);
  const Node *key = root->keys[0], *value = root->items[0];
  assert_string_equal(key->text, text);
  assert_int_equal(value->kind, NODE_SCALAR);
  assert_string_equal(value->text, text);
  if (value->scalar != SCALAR_STRING) fail_msg("reads as %s: %s", scalar_type_name(value->scalar), yaml);
}

static void assert_string(const char *text) {
  g_autoptr(GString) yaml = g_string_new(NULL);
  yaml_append_string(yaml, text);
  g_string_append(yaml, ": ");
  yaml_append_string(yaml, text);
  g_string_append_c(yaml, '\n');
  assert_one_string(yaml->str, yaml->len, text);
}

static void hostile_strings(void **state) {
  (void)state;
  static const char *const texts[] = {
    "", " ", "a ", " a", "yes", "No", "NULL", "~", "true", "1", "-1", "+1", "1.5", "1e3", "0x1f", "0o17", "0b1", ".5", ".inf",
    ".nan", "1_000", "12:30:45", "52:54:00:12:34:56", "2001-01-01", "a: b", "a:", "a #b", "#a", "- a", "-", "?", "? a", "!a",
    "&a", "*a", "%a", "@a", "`a", "|", ">", "[a]", "{a}", "a, b", "'", "''", "\"", "\\", "\\n", "\t", "a\tb", "a\nb", "a\n",
    "\n", "\n\na", "---", "...", "--- a", "=", "<<", "\x7f", "\x01", "\xc2\x85", "\xe2\x80\xa8", ("\xef\xbb\xbf" "a"), "\xef\xbf\xbd",
    "\xf0\x9f\x90\xa7", "\xc3\xa9", "20GiB", "0B", "0b", "100MiB/s", "10.0.0.1", "1.2.3", "fe80::1", "::1", "y", "n", "on", "off",
  };
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) assert_string(texts[i]);
}

static void random_strings(void **state) {
  (void)state;
  g_autoptr(GRand) random = g_rand_new_with_seed(11);
  for (guint i = 0; i < 20000; i++) {
    g_autofree char *text = random_text(random);
    assert_string(text);
  }
}

static void common_strings_are_plain(void **state) {
  (void)state;
  static const char *const texts[] = {"web-1", "20GiB", "100MiB/s", "90s", "vda", "/var/lib/vms/a.qcow2", "192.168.100.1",
                                      "Web server", "host-passthrough", "reconcile/v1", "console=ttyS0 quiet"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GString) yaml = g_string_new(NULL);
    yaml_append_string(yaml, texts[i]);
    assert_string_equal(yaml->str, texts[i]);
  }
}

static Object *random_object(Kind kind, GRand *random, guint i) {
  g_autofree char *name = g_strdup_printf("n%u", i);
  Object *object = object_new(kind, name);
  MetadataSpec *metadata = random_spec(&MetadataSpec_table, random, 50);
  spec_merge(&MetadataSpec_table, metadata, &object->metadata);
  spec_free(&MetadataSpec_table, metadata);
  spec_free(kinds[kind].spec, object->spec);
  object->spec = random_spec(kinds[kind].spec, random, i % 101);
  return object;
}

static void assert_decodes(const char *yaml, gsize length, GPtrArray *objects) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  desired_decode(desired, "/base/out.yaml", yaml, length, diagnostics);
  if (diagnostics->items->len) {
    g_autofree char *text = diagnostic_format(diagnostics->items->pdata[0]);
    fail_msg("%s\n%s", text, yaml);
  }
  assert_int_equal(desired->objects->len, objects->len);
  for (guint i = 0; i < objects->len; i++) {
    const Object *written = objects->pdata[i];
    const Object *read = desired_find(desired, written->kind, written->metadata.name);
    assert_non_null(read);
    assert_true(spec_equal(&MetadataSpec_table, &written->metadata, &read->metadata));
    forget_secrets(kinds[written->kind].spec, written->spec);
    if (!spec_equal(kinds[written->kind].spec, written->spec, read->spec)) fail_msg("differs:\n%s", yaml);
  }
}

static void random_objects(void **state) {
  (void)state;
  g_autoptr(GRand) random = g_rand_new_with_seed(13);
  for (guint round = 0; round < 300; round++) {
    g_autoptr(GString) yaml = g_string_new(NULL);
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func((GDestroyNotify)object_free);
    for (guint i = 0; i < KIND_N; i++) {
      g_ptr_array_add(objects, random_object(i, random, round));
      object_to_yaml(objects->pdata[i], round % 2 ? "of a host\nname: \xe2\x80\xa8 \r evil: yes\n" : NULL, yaml);
    }
    assert_decodes(yaml->str, yaml->len, objects);
  }
}

static void looks_as_people_write_it(void **state) {
  (void)state;
  g_autoptr(Object) object = object_new(KIND_VIRTUAL_MACHINE, "web-1");
  spec_free(&VmSpec_table, object->spec);
  object->spec = spec_from_json(&VmSpec_table,
    "{\"description\":\"Serves\\n  the shop\\n\",\"powerState\":\"running\",\"boot\":{\"order\":[\"disk\"]},\"cpu\":{},"
    "\"disks\":[{\"target\":\"vda\",\"size\":\"20GiB\",\"ioLimits\":{\"read\":\"1MiB/s\"}}],\"graphics\":[]}", "t", NULL);
  g_autoptr(GString) yaml = g_string_new(NULL);
  object_to_yaml(object, "first\n\nsecond", yaml);
  assert_string_equal(yaml->str,
    "# first\n#\n# second\napiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata:\n  name: web-1\nspec:\n"
    "  description: |\n    Serves\n      the shop\n  powerState: running\n  boot:\n    order:\n      - disk\n  cpu: {}\n"
    "  disks:\n    - target: vda\n      size: 20GiB\n      ioLimits:\n        read: 1MiB/s\n  graphics: []\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(hostile_strings), cmocka_unit_test(random_strings), cmocka_unit_test(common_strings_are_plain),
    cmocka_unit_test(random_objects), cmocka_unit_test(looks_as_people_write_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
