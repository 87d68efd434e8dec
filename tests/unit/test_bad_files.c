/* What is said about bad files: tests/golden/bad/NAME.yaml and NAME.expected beside it.
 * REGENERATE=1 writes what is expected anew, for review. */
#include "tests/unit/check.h"
#include "schema/document.h"
#include <string.h>

static char *folder(void) {
  return g_canonicalize_filename("../golden/bad", TESTS_UNIT);
}

static char *diagnose(const char *name, const char *data, gsize length) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  desired_decode(desired, name, data, length, diagnostics);
  desired_finish(desired, diagnostics);
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    g_string_append_printf(text, "%s\n", line);
  }
  return g_string_free(text, FALSE);
}

static void check_file(const char *directory, const char *name) {
  g_autofree char *path = g_build_filename(directory, name, NULL), *stem = g_strndup(path, strlen(path) - strlen(".yaml"));
  g_autofree char *golden = g_strconcat(stem, ".expected", NULL), *data = NULL, *expected = NULL;
  gsize length;
  assert_true(g_file_get_contents(path, &data, &length, NULL));
  g_autofree char *said = diagnose(name, data, length);
  if (g_getenv("REGENERATE")) {
    assert_true(g_file_set_contents(golden, said, -1, NULL));
    return;
  }
  if (!g_file_get_contents(golden, &expected, NULL, NULL))
    fail_msg("%s is missing: run with REGENERATE=1 and review it", golden);
  assert_string_equal(said, expected);
  assert_non_null(strstr(said, ": ")); /* something is wrong with each */
}

static void bad_files(void **state) {
  (void)state;
  g_autofree char *directory = folder();
  g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
  assert_non_null(dir);
  guint files = 0;
  for (const char *name; (name = g_dir_read_name(dir));)
    if (g_str_has_suffix(name, ".yaml")) {
      check_file(directory, name);
      files++;
    }
  assert_true(files > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(bad_files)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
