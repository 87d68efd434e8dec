/* What people see, held to files in tests/golden/report: REGENERATE=1 rewrites them for review.
 * Runs from the repository's root. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans.h"
#include "reconciler/plan/planner.h"
#include "reconciler/report/escape.h"
#include "reconciler/report/progress.h"
#include "reconciler/report/report.h"
#include "reconciler/report/table.h"

static void golden(const char *name, const char *text) {
  g_autofree char *file = g_build_filename("tests/golden/report", name, NULL), *stored = NULL;
  g_autoptr(GError) error = NULL;
  if (g_getenv("REGENERATE") && !g_file_set_contents(file, text, -1, &error))
    fail_msg("%s", error->message);
  if (!g_file_get_contents(file, &stored, NULL, &error))
    fail_msg("%s: run with REGENERATE=1 and review it", error->message);
  if (strcmp(stored, text) != 0)
    fail_msg("%s differs; REGENERATE=1 rewrites it for review. Now:\n%s", file, text);
}

/* Nothing that a terminal obeys, but for our own colours. */
static void assert_harmless(const char *text) {
  for (const char *at = text; *at; at++)
    if ((guchar)*at < 0x20 && *at != '\n')
      fail_msg("control character %d in: %s", *at, text);
  assert_null(strstr(text, "\xe2\x80\xae"));
}

static void plan_text(const char *name, const Plan *plan, const ReportView *view) {
  g_autoptr(GString) out = g_string_new(NULL);
  report_text.plan(out, plan, view);
  if (!view->color)
    assert_harmless(out->str);
  golden(name, out->str);
}

static void test_text(void **state) {
  (void)state;
  g_autoptr(Plan) empty = plans_empty(), mixed = plans_mixed();
  const ReportView plain = {.unicode = TRUE, .dry_run = TRUE}, ascii = {.allow = ALLOW(IMPACT_RESTART)},
                   quiet = {.quiet = TRUE, .dry_run = TRUE}, verbose = {.verbose = TRUE, .unicode = TRUE, .dry_run = TRUE},
                   color = {.color = TRUE, .unicode = TRUE, .dry_run = TRUE};
  plan_text("empty.txt", empty, &plain);
  plan_text("empty-verbose.txt", empty, &verbose);
  plan_text("mixed.txt", mixed, &plain);
  plan_text("mixed-apply-ascii.txt", mixed, &ascii);
  plan_text("mixed-quiet.txt", mixed, &quiet);
  plan_text("mixed-verbose.txt", mixed, &verbose);
  plan_text("mixed-color.txt", mixed, &color);
  mixed->refused = g_strdup("it would delete 1 of 2 machines (50%), more than 30%");
  plan_text("refused-quiet.txt", mixed, &quiet);
}

static void add_result(GPtrArray *results, const Plan *plan, guint action, ResultKind kind, const char *message) {
  ActionResult *result = g_new0(ActionResult, 1);
  *result = (ActionResult){plan->actions->pdata[action], kind, g_strdup(message), 1500};
  g_ptr_array_add(results, result);
}

static void free_result(gpointer data) {
  ActionResult *result = data;
  g_free(result->message);
  g_free(result);
}

static RunResult *applied(void) {
  RunResult *result = g_new0(RunResult, 1);
  result->diagnostics = diagnostics_new();
  result->plan = plans_mixed();
  result->results = g_ptr_array_new_with_free_func(free_result);
  add_result(result->results, result->plan, 0, RESULT_DONE, NULL);
  add_result(result->results, result->plan, 1, RESULT_DONE, NULL);
  add_result(result->results, result->plan, 2, RESULT_FAILED, "libvirt: \033[31mno memory\nof this size");
  add_result(result->results, result->plan, 3, RESULT_SKIPPED, "a3 failed");
  add_result(result->results, result->plan, 4, RESULT_SKIPPED, "a4 was skipped");
  add_result(result->results, result->plan, 5, RESULT_REFUSED, "the machine changed since it was planned");
  add_result(result->results, result->plan, 6, RESULT_CANCELLED, NULL);
  add_result(result->results, result->plan, 7, RESULT_PENDING, NULL);
  result->exit_status = 1;
  return result;
}

static void test_result(void **state) {
  (void)state;
  g_autoptr(RunResult) result = applied();
  const ReportView view = {.unicode = TRUE}, quiet = {.quiet = TRUE};
  g_autoptr(GString) text = g_string_new(NULL), short_text = g_string_new(NULL), json = g_string_new(NULL),
                     markdown = g_string_new(NULL);
  report_text.result(text, result, &view);
  report_text.result(short_text, result, &quiet);
  report_json.result(json, result, &view);
  report_markdown.result(markdown, result, &view);
  assert_harmless(text->str);
  assert_harmless(markdown->str);
  golden("applied.txt", text->str);
  golden("applied-quiet.txt", short_text->str);
  golden("applied.json", json->str);
  golden("applied.md", markdown->str);
}

static void test_failure(void **state) {
  (void)state;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  diag_error(diagnostics, (Place){g_intern_string("a.yaml"), 3, 7}, "unknown key \"<b>`sise`\"");
  g_autoptr(GError) error = g_error_new_literal(G_FILE_ERROR, 0, "specs: nothing is done until all of it can be read");
  g_autoptr(GString) json = g_string_new(NULL), markdown = g_string_new(NULL);
  report_json.failure(json, error, diagnostics);
  report_markdown.failure(markdown, error, diagnostics);
  golden("failure.json", json->str);
  golden("failure.md", markdown->str);
}

/* A plan of thousands still fits a comment, and says that it was cut. */
static void test_markdown_fits(void **state) {
  (void)state;
  RunResult *result = g_new0(RunResult, 1);
  result->diagnostics = diagnostics_new();
  result->plan = plan_new();
  for (guint i = 0; i < 3000; i++) {
    g_autofree char *name = g_strdup_printf("vm-%u", i);
    PlanObject *object = plans_object(result->plan, KIND_VIRTUAL_MACHINE, name, CHANGE_UPDATE);
    for (guint n = 0; n < (i == 1 ? 2000 : 2); n++)
      plans_field(object, "description", "|||||||||", "<<<<<<<<<<<<<<<<", EFFECT_LIVE_CALL);
  }
  g_autoptr(GString) out = g_string_new(NULL);
  const ReportView view = {.dry_run = TRUE};
  report_markdown.result(out, result, &view);
  assert_true(out->len <= 60000);
  assert_true(out->len > 30000);
  assert_non_null(strstr(out->str, "more objects aren't shown (update: 2"));
  assert_non_null(strstr(out->str, "more fields aren't shown"));
  guint opened = 0, closed = 0;
  for (const char *at = out->str; (at = strstr(at, "<details>")); at++)
    opened++;
  for (const char *at = out->str; (at = strstr(at, "</details>")); at++)
    closed++;
  assert_int_equal(opened, closed);
  run_result_free(result);
}

/* 500 objects: what is dangerous is first and isn't cut, and no object is lost in the counts. */
static void test_markdown_shows_danger_first(void **state) {
  (void)state;
  RunResult *result = g_new0(RunResult, 1);
  result->diagnostics = diagnostics_new();
  result->plan = plan_new();
  for (guint i = 0; i < 500; i++) {
    g_autofree char *name = g_strdup_printf("vm-%u", i);
    ChangeKind change = i == 499 ? CHANGE_DELETE : i == 498 ? CHANGE_ERROR : i % 2 ? CHANGE_CREATE : CHANGE_UPDATE;
    PlanObject *object = plans_object(result->plan, KIND_VIRTUAL_MACHINE, name, change);
    for (guint n = 0; change == CHANGE_UPDATE && n < 4; n++)
      plans_field(object, "description", "a text that was there", "another text that shall be there", EFFECT_LIVE_CALL);
  }
  g_autoptr(GString) out = g_string_new(NULL);
  const ReportView view = {.dry_run = TRUE};
  report_markdown.result(out, result, &view);
  assert_true(g_utf8_strlen(out->str, -1) < 65536);
  const char *deleted = strstr(out->str, "<code>vm/vm-499</code> delete"), *broken = strstr(out->str, "<code>vm/vm-498</code> error");
  const char *other = strstr(out->str, "<code>vm/vm-0</code> update");
  assert_true(deleted && broken && other && deleted < other && broken < other);
  guint shown = 0, more = 0, created = 0, updated = 0;
  for (const char *at = out->str; (at = strstr(at, "<details>")); at++)
    shown++;
  const char *rest = strchr(strstr(out->str, "\n_"), '_') + 1;
  assert_int_equal(sscanf(rest, "%u more objects aren't shown (create: %u, update: %u)", &more, &created, &updated), 3);
  assert_int_equal(shown + more, 500);
  assert_int_equal(created + updated, more);
  run_result_free(result);
}

static void test_escape(void **state) {
  (void)state;
  assert_text(escape_text("a\033[2J\tb\r\n"), "a\\x1b[2J\\tb\\r\\n");
  assert_text(escape_text("\xc3\xa4\xe2\x80\xae\xc2\x9b\xff"), "\xc3\xa4\\u{202e}\\u{9b}\\xff");
  assert_text(escape_text(NULL), "");
  g_autoptr(GString) lines = g_string_new(NULL), code = g_string_new(NULL), prose = g_string_new(NULL);
  escape_append_lines(lines, "one\ntwo\033\n", 2);
  assert_string_equal(lines->str, "one\n  two\\x1b");
  markdown_append_code(code, "a|b`c</code>@all");
  assert_string_equal(code->str, "<code>a&#124;b&#96;c&#60;/code&#62;@all</code>");
  markdown_append_text(prose, "*@all* [x](y)");
  assert_string_equal(prose->str, "&#42;&#64;<!-- -->all&#42; &#91;x&#93;(y)");
}

static gint64 clock_now;
static gint64 test_clock(void) { return clock_now; }

static char *run_progress(gboolean terminal) {
  char *text = NULL;
  gsize size = 0;
  FILE *out = open_memstream(&text, &size);
  g_autoptr(Plan) plan = plans_mixed();
  const ReportView view = {0};
  ProgressOutput output = {out, terminal, 60, test_clock};
  Progress *progress = progress_new(&output, &view);
  Action *volume = plan->actions->pdata[7], *memory = plan->actions->pdata[2];
  clock_now = 0;
  progress_started(progress, plan, volume);
  for (guint i = 1; i <= 1200; i++) { /* 12 s, a hundred steps a second */
    clock_now += G_USEC_PER_SEC / 100;
    progress_step(progress, volume, i << 20, 1200u << 20, "copying\033[2J");
    if (i == 1000)
      progress_started(progress, plan, memory);
  }
  ActionResult done = {memory, RESULT_DONE, NULL, 2000}, failed = {volume, RESULT_FAILED, NULL, 12000},
               skipped = {plan->actions->pdata[8], RESULT_SKIPPED, NULL, 0};
  progress_ended(progress, plan, &done);
  progress_ended(progress, plan, &failed);
  progress_ended(progress, plan, &skipped);
  progress_free(progress);
  fclose(out);
  return text;
}

static void test_progress(void **state) {
  (void)state;
  char *log = run_progress(FALSE);
  assert_harmless(log);
  golden("progress.txt", log);
  free(log);
  char *terminal = run_progress(TRUE);
  guint drawn = 0;
  for (const char *at = terminal; (at = strstr(at, "copying")); at++)
    drawn++;
  assert_in_range(drawn, 100, 125); /* ten a second, and at starts and ends */
  assert_null(strstr(terminal, "\033[2J"));
  g_auto(GStrv) lines = g_strsplit(terminal, "\n", -1);
  for (char **line = lines; *line; line++) {
    const char *shown = strrchr(*line, 'K'); /* behind the escapes that cleared the line */
    if (strstr(*line, "copying"))
      assert_true(g_utf8_strlen(shown ? shown + 1 : *line, -1) < 60);
  }
  free(terminal);
}

static void test_table(void **state) {
  (void)state;
  g_autoptr(Table) table = table_new((const char *[]){"NAME", "STATE", NULL});
  table_add(table, "web\033-1");
  table_add(table, "running");
  table_add(table, "b|\xc3\xa4");
  table_add(table, NULL);
  g_autoptr(GString) text = g_string_new(NULL), markdown = g_string_new(NULL);
  table_text(table, text, FALSE);
  table_markdown(table, markdown);
  assert_string_equal(text->str, "NAME       STATE\nweb\\x1b-1  running\nb|\xc3\xa4        -\n");
  assert_string_equal(markdown->str, "| NAME | STATE |\n|---|---|\n| <code>web\\x1b-1</code> | <code>running</code> |\n"
                                     "| <code>b&#124;\xc3\xa4</code> | <code>-</code> |\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text),           cmocka_unit_test(test_result), cmocka_unit_test(test_failure),
      cmocka_unit_test(test_markdown_fits), cmocka_unit_test(test_markdown_shows_danger_first),  cmocka_unit_test(test_escape), cmocka_unit_test(test_progress),
      cmocka_unit_test(test_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
