/* The good files of tests/golden are decoded without a word, and between them they
 * use every row: other tests can rely on that. */
#include "rows.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char *good_folder(void) {
  return g_build_filename(TESTS_UNIT, "..", "golden", "good", NULL);
}

static void decode_file(Desired *desired, const char *file) {
  g_autofree char *data = NULL;
  gsize length;
  g_autoptr(GError) error = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  if (!g_file_get_contents(file, &data, &length, &error)) fail_msg("%s", error->message);
  desired_decode(desired, file, data, length, diagnostics);
  if (diagnostics->items->len == 0) return;
  g_autofree char *text = diagnostic_format(diagnostics->items->pdata[0]);
  fail_msg("%s", text);
}

static Desired *decode_all(void) {
  g_autofree char *folder = good_folder();
  g_autoptr(GError) error = NULL;
  g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
  if (!dir) fail_msg("%s", error->message);
  Desired *desired = desired_new();
  for (const char *name; (name = g_dir_read_name(dir));) {
    g_autofree char *file = g_build_filename(folder, name, NULL);
    if (g_str_has_suffix(name, ".yaml")) decode_file(desired, file);
  }
  return desired;
}

/* Rows that a struct gives, as Field * in a set. */
static void collect(const FieldTable *table, gconstpointer spec, GHashTable *used) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, spec, field)) continue;
    g_hash_table_add(used, (gpointer)field);
    if (field->type == VALUE_GROUP) collect(field->sub, field_member(field, spec), used);
    if (field->type != VALUE_LIST) continue;
    const GPtrArray *items = *(GPtrArray **)field_member(field, spec);
    for (guint j = 0; j < items->len; j++) collect(field->sub, items->pdata[j], used);
  }
}

typedef struct { GHashTable *used; guint missing; } Coverage;

static void check_used(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  Coverage *coverage = data;
  (void)table;
  if (g_hash_table_contains(coverage->used, field)) return;
  coverage->missing++;
  print_error("%s: in none of the good files\n", path);
}

static void every_row_is_used(void **state) {
  (void)state;
  g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
  g_autoptr(Desired) desired = decode_all();
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    collect(&MetadataSpec_table, &object->metadata, used);
    collect(kinds[object->kind].spec, object->spec, used);
  }
  Coverage coverage = {used, 0};
  each_row(check_used, &coverage);
  assert_int_equal(coverage.missing, 0);
}

/* What import writes of them, and what the record keeps of them, is the same again. */
static void survive_writing(void **state) {
  (void)state;
  g_autoptr(Desired) desired = decode_all();
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    const FieldTable *table = kinds[object->kind].spec;
    g_autoptr(GString) yaml = g_string_new(NULL);
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    g_autoptr(Desired) again = desired_new();
    object_to_yaml(object, NULL, yaml);
    desired_decode(again, "/again.yaml", yaml->str, yaml->len, diagnostics);
    assert_int_equal(diagnostics->items->len, 0);
    assert_int_equal(again->objects->len, 1);
    const Object *read = again->objects->pdata[0];
    forget_secrets(table, object->spec);
    if (!spec_equal(table, object->spec, read->spec)) fail_msg("differs:\n%s", yaml->str);
    g_autofree char *json = spec_to_json(table, object->spec), *other = spec_to_json(table, read->spec);
    assert_string_equal(json, other);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_row_is_used), cmocka_unit_test(survive_writing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
