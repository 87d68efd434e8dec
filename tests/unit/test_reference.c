/* The reference on the screen and the files that are written out of the rows.
 * REGENERATE=1 rewrites the files, for review. */
#include "rows.h"
#include "schema/jsonschema.h"
#include "schema/reference.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char *source_file(const char *name) {
  return g_build_filename(TESTS_UNIT, "..", "..", name, NULL);
}

static void assert_current(const char *name, const char *text) {
  g_autofree char *file = source_file(name), *stored = NULL;
  g_autoptr(GError) error = NULL;
  if (g_getenv("REGENERATE") && !g_file_set_contents(file, text, -1, &error)) fail_msg("%s", error->message);
  if (!g_file_get_contents(file, &stored, NULL, &error)) fail_msg("%s", error->message);
  if (strcmp(stored, text) != 0) fail_msg("%s isn't what the rows say: run this test with REGENERATE=1", name);
}

static void fields_are_current(void **state) {
  (void)state;
  g_autofree char *text = reference_markdown();
  assert_current("docs/fields.md", text);
}

static void man_page_is_current(void **state) {
  (void)state;
  g_autofree char *text = reference_man();
  assert_current("packaging/reconcile-spec.5", text);
}

static void configuration_is_current(void **state) {
  (void)state;
  g_autofree char *markdown = configuration_markdown(), *man = configuration_man();
  assert_current("docs/configuration.md", markdown);
  assert_current("packaging/reconcile.yaml.5", man);
}

static void schema_is_current(void **state) {
  (void)state;
  g_autofree char *text = json_schema();
  assert_current("schema/reconcile.schema.json", text);
}

typedef struct { json_t *definitions; guint faults; } SchemaCheck;

static void check_in_schema(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  SchemaCheck *check = data;
  json_t *properties = json_object_get(json_object_get(check->definitions, table->name), "properties");
  json_t *row = json_object_get(properties, field->key);
  gboolean is_struct = field->type == VALUE_GROUP || field->type == VALUE_LIST;
  if (row && json_object_get(row, "description") && (is_struct || json_object_get(row, "examples"))) return;
  print_error("%s: not in the schema, or without its description or example\n", path);
  check->faults++;
}

static void schema_has_every_row(void **state) {
  (void)state;
  g_autofree char *text = json_schema();
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(root);
  SchemaCheck check = {json_object_get(root, "definitions"), 0};
  each_row(check_in_schema, &check);
  assert_int_equal(check.faults, 0);
  json_decref(root);
}

static void explains_row(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = reference_text(path, &error);
  if (!text) fail_msg("%s: %s", path, error->message);
  assert_non_null(strstr(text, field->key));
  for (const char *line = text; line; line = strchr(line + 1, '\n')) {
    const char *end = strchr(line + 1, '\n');
    assert_true(!end || end - line < 400);
  }
}

static void explains_every_row(void **state) {
  (void)state;
  each_row(explains_row, NULL);
}

static void assert_explains(const char *path, const char *part) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = reference_text(path, &error);
  if (!text) fail_msg("%s: %s", path, error->message);
  if (!strstr(text, part)) fail_msg("'%s' isn't in the explanation of %s:\n%s", part, path ? path : "nothing", text);
}

static void takes_paths_as_people_write_them(void **state) {
  (void)state;
  assert_explains(NULL, "VirtualMachine");
  assert_explains("[", "KINDS");
  assert_explains("VirtualMachine", "FIELDS");
  assert_explains("vm", "memory");
  assert_explains("vm.spec", "memory");
  assert_explains("vm.disks.size", "FIELD     VirtualMachine.spec.disks.size  <size>");
  assert_explains("VirtualMachine.spec.disks", "keyed by target");
  assert_explains("virtualmachine.spec.disks.size", "grown in place");
  assert_explains("disks[vda].size", "virDomainBlockResize");
  assert_explains("disks[a.b].ioLimits.read", "VirtualMachine.spec.disks.ioLimits.read");
  assert_explains("memory.size", "1MiB to 16TiB");
  assert_explains("vm.metadata.labels", "Labels");
  assert_explains("metadata.name", "required");
  assert_explains("Image.sha256", "Digest");
  assert_explains("vm.uuid", "is refused: libvirt knows a domain by its UUID");
  assert_explains("vm.disks.format", "qcow2, raw");
}

static void assert_unknown(const char *path, const char *part) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = reference_text(path, &error);
  assert_null(text);
  assert_true(g_error_matches(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE));
  if (!strstr(error->message, part)) fail_msg("'%s' isn't in: %s", part, error->message);
}

static void names_the_nearest(void **state) {
  (void)state;
  assert_unknown("VirtualMachin", "did you mean 'VirtualMachine'?");
  assert_unknown("vm.disk", "did you mean 'disks'?");
  assert_unknown("vm.disks.sise", "VirtualMachine.spec.disks has no field 'sise'; did you mean 'size'?");
  assert_unknown("vm.disks.size.more", "it is a value");
  assert_unknown("vm..disks", "has no field ''");
  assert_unknown("qqqqqqqqqq", "there are ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(fields_are_current), cmocka_unit_test(man_page_is_current),
    cmocka_unit_test(configuration_is_current), cmocka_unit_test(schema_is_current),
    cmocka_unit_test(schema_has_every_row), cmocka_unit_test(explains_every_row),
    cmocka_unit_test(takes_paths_as_people_write_them), cmocka_unit_test(names_the_nearest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
