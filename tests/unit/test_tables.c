/* Every row says all that the stages need to know of its field. */
#include "rows.h"
#include "schema/describe.h"
#include "state/xml_path.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* All faulty rows are listed, not the first alone. */
static guint faults;

static void expect(gboolean good, const char *path, const char *what) {
  if (good) return;
  faults++;
  print_error("%s: %s\n", path, what);
}

static gboolean is_leaf(const Field *field) { return field->type != VALUE_GROUP && field->type != VALUE_LIST; }

static gboolean is_quantity(const Field *field) {
  return field->type == VALUE_INT || field->type == VALUE_BYTES || field->type == VALUE_RATE || field->type == VALUE_DURATION;
}

/* Integers that aren't amounts of anything. */
static gboolean is_number_of_something(const Field *field) {
  static const char *const keys[] = {"vcpu", "port", "id", "bootIndex", "ioThread", "vlan", "compressionLevel", NULL};
  return g_strv_contains(keys, field->key);
}

/* Of bytes, rates and durations it is part of the value. */
static void check_unit(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  gboolean needs = field->type == VALUE_INT && !is_number_of_something(field);
  expect(needs == (field->unit != NULL), path, needs ? "a quantity without a unit" : "a unit, and no amount of it");
  g_autofree char *bounds = describe_bounds(field);
  if (field->unit)
    expect(g_str_has_suffix(bounds, field->unit), path, "the reference doesn't tell the unit");
  else if (is_quantity(field) && field->type != VALUE_INT)
    expect(bounds && strpbrk(bounds, "Bsmhd"), path, "the reference doesn't tell the unit");
}

static void check_words(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  expect(field->help && *field->help, path, "no help");
  expect(!field->help || (!strchr(field->help, '\n') && !g_str_has_suffix(field->help, ".")), path,
         "help is one line without a full stop");
  expect(!is_leaf(field) || (field->example && *field->example), path, "no example");
  expect(field->effect != EFFECT_NEVER || (field->why && *field->why), path, "never, and no reason why");
  expect(field->effect == EFFECT_NEVER || !field->why, path, "a reason why, but the effect isn't never");
}

static void check_effect(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  gboolean needs = is_leaf(field) || field->type == VALUE_LIST || field->device;
  expect(!needs || field->effect != EFFECT_UNSET, path, "no effect");
  expect((field->effect == EFFECT_LIVE_CALL) == (field->call != CALL_NONE), path, "a call goes with the effect live call");
  expect(field->call == CALL_NONE || describe_call(field->call), path, "a call without a name");
}

static void check_values(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  expect(!is_quantity(field) || field_has_bounds(field), path, "no bounds");
  expect(field->min <= field->max || field->max == 0, path, "bounds the wrong way round");
  expect(field->rounding == ROUNDING_NONE || field->type == VALUE_BYTES, path, "rounded, and no size");
  expect((field->rounding == ROUNDING_LIVE) == (field->granule != 0), path, "a granule goes with rounding to multiples of it");
  gboolean has_words = field->type == VALUE_ENUM || (field->type == VALUE_STRINGS && field->item == VALUE_ENUM);
  expect(has_words == (field->words != NULL), path, "words go with an enum");
  expect((field->type == VALUE_GROUP || field->type == VALUE_LIST) == (field->sub != NULL), path,
         "a table goes with a group or list");
  if (!field->absent) return;
  union { gint64 number; char *text; } value = {0};
  expect(value_parse(field, field->absent, &value, NULL), path, "what a missing node means isn't a value");
  value_clear(field, &value);
}

static void check_list(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  if (field->type != VALUE_LIST) return;
  guint keys = 0, matches = 0;
  for (guint i = 0; i < field->sub->n_fields; i++) {
    keys += field->sub->fields[i].key_field != 0;
    matches += field->sub->fields[i].match_field != 0;
  }
  expect(keys == 1, path, "a list has one key field");
  expect(matches <= 1, path, "a list has at most one match field");
  expect(keys != 1 || table_key_field(field->sub)->required, path, "the key is required");
}

static void check_path(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  if (field->xml) expect(xml_path(field->xml) != NULL, path, "malformed path"); /* aborts by itself */
  expect(!field->device || field->xml, path, "a device without a path");
  expect(!field->from_host || !field->create_only, path, "observed, yet only for creation");
}

static void check_secret(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)table, (void)data;
  if (!field->secret) return;
  char *value = g_strdup("hush");
  g_autofree char *shown = value_is_string(field->type) ? value_format(field, &value) : g_strdup("(secret)");
  expect(strcmp(shown, "(secret)") == 0, path, "a secret is shown");
  g_free(value);
}

static void run(RowFunction function) {
  faults = 0;
  each_row(function, NULL);
  assert_int_equal(faults, 0);
}

static void units(void **state) { (void)state; run(check_unit); }
static void words(void **state) { (void)state; run(check_words); }
static void effects(void **state) { (void)state; run(check_effect); }
static void values(void **state) { (void)state; run(check_values); }
static void lists(void **state) { (void)state; run(check_list); }
static void paths(void **state) { (void)state; run(check_path); }
static void secrets(void **state) { (void)state; run(check_secret); }

static void count_row(const FieldTable *table, const Field *field, const char *path, gpointer data) {
  (void)field;
  expect(table->n_fields <= 64, path, "more than 64 rows");
  ++*(guint *)data;
}

static void at_most_64_rows(void **state) {
  (void)state;
  guint n = 0;
  faults = 0;
  each_row(count_row, &n);
  assert_int_equal(faults, 0);
  assert_true(n > 200); /* the walk has seen the tables */
}

static void check_examples(const FieldTable *table, const char *name) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  gpointer spec = example_spec(table, diagnostics);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *text = diagnostic_format(diagnostics->items->pdata[i]);
    expect(FALSE, name, text);
  }
  for (guint i = 0; spec && i < table->n_fields; i++)
    expect(field_given(table, spec, &table->fields[i]), name, table->fields[i].key);
  spec_free(table, spec);
}

static void examples_are_accepted(void **state) {
  (void)state;
  faults = 0;
  check_examples(&MetadataSpec_table, "metadata");
  for (guint i = 0; i < KIND_N; i++) check_examples(kinds[i].spec, kinds[i].name);
  check_examples(&ServiceSpec_table, "service");
  assert_int_equal(faults, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(words), cmocka_unit_test(units), cmocka_unit_test(effects), cmocka_unit_test(values), cmocka_unit_test(lists),
    cmocka_unit_test(paths), cmocka_unit_test(secrets), cmocka_unit_test(at_most_64_rows),
    cmocka_unit_test(examples_are_accepted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
