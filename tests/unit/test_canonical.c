/* Canonical JSON: what is written reads back the same, and nothing else gets in. */
#include "rows.h"
#include "schema/canonical.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void assert_round_trip(const FieldTable *table, gpointer spec) {
  g_autoptr(GError) error = NULL;
  g_autofree char *json = spec_to_json(table, spec);
  gpointer back = spec_from_json(table, json, "record", &error);
  if (!back) fail_msg("%s\n%s", error->message, json);
  forget_secrets(table, spec);
  assert_true(spec_equal(table, spec, back));
  g_autofree char *again = spec_to_json(table, back);
  assert_string_equal(json, again);
  spec_free(table, back);
}

static void every_field(void **state) {
  (void)state;
  for (guint i = 0; i < KIND_N; i++) {
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    gpointer spec = example_spec(kinds[i].spec, diagnostics);
    assert_non_null(spec);
    assert_int_equal(diagnostics->errors, 0);
    assert_round_trip(kinds[i].spec, spec);
    spec_free(kinds[i].spec, spec);
  }
}

static void random_specs(void **state) {
  (void)state;
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  for (guint i = 0; i < 600; i++) {
    const FieldTable *table = kinds[i % KIND_N].spec;
    gpointer spec = random_spec(table, random, i % 101);
    assert_round_trip(table, spec);
    spec_free(table, spec);
  }
}

static void is_compact_and_in_row_order(void **state) {
  (void)state;
  g_autoptr(GError) error = NULL;
  VmSpec *vm = spec_from_json(&VmSpec_table,
    "{\"memory\": {\"max\": \"8192MiB\", \"size\": \"2048MiB\"}, \"title\": \"A \\\"b\\\"\", \"cpu\": {\"count\": 2},"
    " \"autostart\": true, \"boot\": {\"order\": [\"disk\"]}, \"disks\": []}", "record", &error);
  assert_null(error);
  g_autofree char *json = spec_to_json(&VmSpec_table, vm);
  assert_string_equal(json, "{\"title\":\"A \\\"b\\\"\",\"autostart\":true,\"boot\":{\"order\":[\"disk\"]},"
                            "\"cpu\":{\"count\":2},\"memory\":{\"size\":\"2GiB\",\"max\":\"8GiB\"},\"disks\":[]}");
  spec_free(&VmSpec_table, vm);
}

static void unknown_keys_are_ignored(void **state) {
  (void)state;
  g_autoptr(GError) error = NULL;
  VmSpec *vm = spec_from_json(&VmSpec_table, "{\"futureField\": [1, {}], \"cpu\": {\"count\": 2, \"quux\": 1}}", "record", &error);
  assert_null(error);
  assert_int_equal(vm->cpu.count, 2);
  spec_free(&VmSpec_table, vm);
}

static void reads_all_of_json(void **state) {
  (void)state;
  g_autoptr(GError) error = NULL;
  VmSpec *vm = spec_from_json(&VmSpec_table,
    " { \"x\" : [ -1.5e3 , true,false,null,\"\\\"\", { \"y\" : { } } ] ,\n\"title\":\"\\u0041\\/\\ud83d\\ude00\\\\\", \"disks\" : [ ] } ", "record", &error);
  assert_null(error);
  assert_string_equal(vm->title, "A/\xf0\x9f\x98\x80\\");
  spec_free(&VmSpec_table, vm);
  MetadataSpec metadata = {0};
  const JsonPart part = {"metadata", &MetadataSpec_table, &metadata};
  assert_true(specs_from_json(&part, 1, "{\"other\":1,\"metadata\":{\"labels\":{\"a\":\"b\"}}}", "record", &error));
  assert_string_equal(string_map_get(metadata.labels, "a"), "b");
  spec_clear(&MetadataSpec_table, &metadata);
}

static void assert_refused(const char *json, const char *message) {
  g_autoptr(GError) error = NULL;
  gpointer spec = spec_from_json(&VmSpec_table, json, "the record of vm/web-1", &error);
  assert_null(spec);
  assert_non_null(error);
  if (!strstr(error->message, message)) fail_msg("'%s' doesn't have '%s'", error->message, message);
  assert_non_null(strstr(error->message, "the record of vm/web-1"));
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  assert_refused("", "not JSON");
  assert_refused("{\"cpu\":", "not JSON");
  assert_refused("{\"cpu\":{\"count\":1},\"cpu\":{}}", "not JSON");
  assert_refused("{\"title\":\"a\"", "not JSON");
  assert_refused("{\"title\":\"a}", "not JSON");
  assert_refused("{\"title\":\"a\"}{}", "not JSON");
  assert_refused("{\"title\":\"a\",}", "not JSON");
  assert_refused("{\"title\" \"a\"}", "not JSON");
  assert_refused("{\"title\":\"\\x\"}", "not JSON");
  assert_refused("{\"title\":\"\\ud83d\"}", "not JSON");
  assert_refused("{\"title\":\"\\u0000\"}", "not JSON");
  assert_refused("{\"title\":\"\\", "not JSON");
  assert_refused("{\"title\":\"\n\"}", "not JSON");
  assert_refused("{\"title\":\"\xff\"}", "not JSON");
  assert_refused("{\"x\":[1,2}", "not JSON");
  assert_refused("{\"x\":nul}", "not JSON");
  g_autofree char *deep = g_strnfill(100000, '[');
  g_autofree char *bomb = g_strconcat("{\"x\":", deep, NULL);
  assert_refused(bomb, "not JSON: nested too deep");
  assert_refused("[]", "expected an object");
  assert_refused("{\"cpu\":3}", "cpu: expected an object");
  assert_refused("{\"cpu\":{\"count\":\"two\"}}", "cpu.count: expected an integer");
  assert_refused("{\"cpu\":{\"count\":0}}", "cpu.count: ");
  assert_refused("{\"autostart\":1}", "autostart: expected true or false");
  assert_refused("{\"memory\":{\"size\":2}}", "memory.size: expected a string");
  assert_refused("{\"memory\":{\"size\":\"2GB\"}}", "memory.size: ");
  assert_refused("{\"powerState\":\"on\"}", "powerState: ");
  assert_refused("{\"boot\":{\"order\":\"disk\"}}", "boot.order: expected an array");
  assert_refused("{\"boot\":{\"order\":[\"disk\",3]}}", "boot.order: expected strings");
  assert_refused("{\"boot\":{\"order\":[\"tape\"]}}", "boot.order: ");
  assert_refused("{\"disks\":{}}", "disks: expected an array");
  assert_refused("{\"disks\":[{\"target\":\"vda\"},{\"size\":\"1GiB\"}]}", "disks[1]: expected the key");
  assert_refused("{\"disks\":[{\"target\":\"vda\"},{\"target\":\"vda\"}]}", "disks[1]: expected no two items of one key");
  assert_refused("{\"disks\":[{\"target\":\"vda\",\"size\":\"1XB\"}]}", "disks[0].size: ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_field), cmocka_unit_test(random_specs), cmocka_unit_test(is_compact_and_in_row_order),
    cmocka_unit_test(unknown_keys_are_ignored), cmocka_unit_test(reads_all_of_json), cmocka_unit_test(refuses_what_is_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
