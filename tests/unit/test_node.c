/* YAML as trees: scalars, places, limits, hostile input. */
#include "tests/unit/check.h"
#include "schema/node.h"
#include <string.h>

static GPtrArray *parse_bytes(const char *data, gsize length, Diagnostics *diagnostics) {
  return node_parse("f.yaml", data, length, &node_limits_default, diagnostics);
}

/* The single document of a text without errors. */
static Node *parse(const char *text) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) documents = parse_bytes(text, strlen(text), diagnostics);
  if (diagnostics->errors)
    fail_msg("%s: %s", text, ((Diagnostic *)diagnostics->items->pdata[0])->message);
  assert_int_equal(documents->len, 1);
  return node_ref(documents->pdata[0]);
}

/* The text gives no documents and this first diagnostic. */
static void refuse_bytes(const char *data, gsize length, const char *expected) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) documents = parse_bytes(data, length, diagnostics);
  assert_true(diagnostics->errors > 0);
  assert_text(diagnostic_format(diagnostics->items->pdata[0]), expected);
  assert_int_equal(documents->len, 0);
}

static void refuse(const char *text, const char *expected) { refuse_bytes(text, strlen(text), expected); }

/* There are documents, but also this first error. */
static void complain(const char *text, const char *expected, const char *note) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) documents = parse_bytes(text, strlen(text), diagnostics);
  assert_true(documents->len > 0 && diagnostics->errors > 0);
  assert_text(diagnostic_format(diagnostics->items->pdata[0]), expected);
  if (note)
    assert_text(diagnostic_format(diagnostics->items->pdata[1]), note);
}

static void scalar_types(void **state) {
  (void)state;
  const struct { const char *text; ScalarType type; } cases[] = {
      {"abc", SCALAR_STRING}, {"12", SCALAR_INT}, {"-12", SCALAR_INT}, {"+12", SCALAR_INT}, {"0x1F", SCALAR_INT}, {"0o17", SCALAR_INT},
      {"0x", SCALAR_STRING}, {"0o8", SCALAR_STRING}, {"012", SCALAR_INT}, {"1_000", SCALAR_STRING}, {"1.5", SCALAR_FLOAT},
      {".5", SCALAR_FLOAT}, {"1.", SCALAR_FLOAT}, {"1e3", SCALAR_FLOAT}, {"1e", SCALAR_STRING}, {".", SCALAR_STRING}, {"-", SCALAR_STRING},
      {".inf", SCALAR_FLOAT}, {"-.INF", SCALAR_FLOAT}, {".nan", SCALAR_FLOAT}, {"-.nan", SCALAR_STRING}, {"true", SCALAR_BOOL},
      {"FALSE", SCALAR_BOOL}, {"yes", SCALAR_STRING}, {"on", SCALAR_STRING}, {"null", SCALAR_NULL}, {"~", SCALAR_NULL}, {"", SCALAR_NULL},
      {"'12'", SCALAR_STRING}, {"\"true\"", SCALAR_STRING}, {"''", SCALAR_STRING}, {"52:54:00:12:34:56", SCALAR_STRING},
      {"0000:03:00.0", SCALAR_STRING}, {"2026-01-01", SCALAR_STRING}, {"!!str 12", SCALAR_STRING}, {"!!int 12", SCALAR_INT},
      {"! 12", SCALAR_STRING}, {"!!float 1", SCALAR_FLOAT}, {"|\n  12\n", SCALAR_STRING},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    if (strcmp(cases[i].text, "-") == 0)
      continue; /* a list at the top */
    g_autofree char *text = g_strconcat("k: ", cases[i].text, NULL);
    Node *node = parse(text);
    const Node *value = node_get(node, "k");
    if (value->scalar != cases[i].type)
      fail_msg("%s: %s", cases[i].text, scalar_type_name(value->scalar));
    node_free(node);
  }
}

static void places_and_structure(void **state) {
  (void)state;
  Node *node = parse("# comment\na: 1\nü: {b: [x, 'y']}\n");
  assert_int_equal(node->kind, NODE_MAPPING);
  assert_int_equal(node->at.line, 2);
  const Node *list = node_get(node_get(node, "ü"), "b");
  assert_int_equal(list->n, 2);
  const Node *y = list->items[1];
  assert_string_equal(y->text, "y");
  assert_text(place_format(y->at), "f.yaml:3:12");
  assert_null(node_get(node, "b"));
  assert_null(node_get(list, "b"));
  assert_null(node_get(NULL, "b"));
  node_free(node);
  node_free(NULL);
}

static void documents(void **state) {
  (void)state;
  const struct { const char *text; guint count; } cases[] = {
      {"", 0}, {"# only a comment\n", 0}, {"---\n---\n", 0}, {"---\n# x\n...\n", 0}, {"a: 1\n---\nb: 1\n---\n", 2}, {"\xef\xbb\xbf" "a: 1\n", 1},
      {"a: 1\r\nb: |\r\n  x\r\n", 1}, {"null\n", 0}, {"''\n", 1}, {"%YAML 1.2\n---\na: 1\n", 1}, {"\xef\xbb\xbf", 0},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    g_autoptr(GPtrArray) found = parse_bytes(cases[i].text, strlen(cases[i].text), diagnostics);
    assert_int_equal(diagnostics->errors, 0);
    assert_int_equal(found->len, cases[i].count);
  }
  Node *node = parse("a: 1\r\nb: |\r\n  x\r\n  y\r\n");
  assert_string_equal(node_get(node, "b")->text, "x\ny\n");
  node_free(node);
}

static void aliases_are_shared(void **state) {
  (void)state;
  Node *node = parse("a: &x {k: [1, 2]}\nb: *x\n");
  assert_ptr_equal(node_get(node, "a"), node_get(node, "b"));
  assert_int_equal(node->size, 1 + 2 + 2 * 5);
  assert_int_equal(node->height, 4);
  node_free(node);
}

static void hostile_text(void **state) {
  (void)state;
  refuse("a: *x\n", "f.yaml:1:4: error: no anchor is named \"x\"");
  refuse("a: &x [*x]\n", "f.yaml:1:8: error: the alias \"x\" stands within what it refers to");
  refuse("a: &x 1\n---\nb: *x\n", "f.yaml:3:4: error: no anchor is named \"x\"");
  refuse("a: [1, 2\n", "f.yaml:2:1: error: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins at line 1)");
  refuse("a: 1\n b: 2\n", "f.yaml:2:3: error: not valid YAML: mapping values are not allowed in this context");
  refuse("a: \"\\0\"\n", "f.yaml:1:4: error: the text holds a NUL byte or isn't valid UTF-8");
  refuse("a: 1\nb: \x01\n", "f.yaml:2:4: error: not valid YAML: control characters are not allowed");
  refuse("a: 1\nü: \xff\n", "f.yaml:2:4: error: not valid UTF-8");
  refuse("\xff\xfe" "a", "f.yaml:1:1: error: not valid UTF-8");
  refuse("{[a]: 1}\n", "f.yaml:1:2: error: a key must be a word, not a list");
  refuse_bytes("a: \0\n", 5, "f.yaml:1:4: error: a NUL byte: this isn't a text file");
  complain("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: error: the key \"a\" is given twice", "f.yaml:1:1: note: first given here");
  complain("a: &x {k: 1}\nb: {<<: *x}\n", "f.yaml:2:5: error: merge keys (<<) aren't supported: use a Profile, or repeat the keys", NULL);
  complain("a: !mine 1\n", "f.yaml:1:4: error: the tag \"!mine\" isn't supported: remove it", NULL);
  complain("a: !!int abc\n", "f.yaml:1:4: error: the tag says an integer, but \"abc\" is a string", NULL);
  complain("a: !!binary aGk=\n", "f.yaml:1:4: error: the tag \"tag:yaml.org,2002:binary\" isn't supported: remove it", NULL);
  complain("a: !!set {x}\n", "f.yaml:1:4: error: the tag \"tag:yaml.org,2002:set\" isn't supported: remove it", NULL);
  complain("~: 1\n", "f.yaml:1:1: error: a key can't be empty or null", NULL);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) found = parse_bytes("a: {'<<': 1}\n", 13, diagnostics); /* quoted, it is a word */
  assert_true(found->len == 1 && diagnostics->errors == 0);
}

static void limits(void **state) {
  (void)state;
  GString *text = g_string_new("a: ");
  for (int i = 0; i < 100; i++)
    g_string_append_c(text, '[');
  refuse(text->str, "f.yaml:1:67: error: nested deeper than 64 levels");
  g_string_assign(text, "a0: &a0 [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
                        "b: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n");
  refuse(text->str, "f.yaml:2:34: error: nested deeper than 64 levels");
  g_string_free(text, TRUE);
  g_autofree char *big = g_strnfill((4 << 20) + 1, '\n');
  refuse(big, "f.yaml: error: the file is larger than 4.0\u00a0MiB: split it");
}

/* Nine levels of nine aliases: 387 million nodes when expanded. */
static void alias_bomb_ends_at_once(void **state) {
  (void)state;
  g_autoptr(GString) text = g_string_new("a: &a [x,x,x,x,x,x,x,x,x]\n");
  for (char c = 'b'; c <= 'i'; c++) {
    g_string_append_printf(text, "%c: &%c [", c, c);
    for (int i = 0; i < 9; i++)
      g_string_append_printf(text, "%s*%c", i ? "," : "", c - 1);
    g_string_append(text, "]\n");
  }
  gint64 start = g_get_monotonic_time();
  refuse(text->str, "f.yaml:6:26: error: the file has more than 500000 nodes with its aliases expanded: split it");
  assert_true(g_get_monotonic_time() - start < 50 * 1000); /* microseconds, with sanitizers */
}

static void errors_are_bounded(void **state) {
  (void)state;
  g_autoptr(GString) text = g_string_new(NULL);
  for (int i = 0; i < 100000; i++)
    g_string_append(text, "a: 1\n");
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GPtrArray) found = parse_bytes(text->str, text->len, diagnostics);
  assert_int_equal(found->len, 0);
  assert_int_equal(diagnostics->errors, 1001);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scalar_types), cmocka_unit_test(places_and_structure), cmocka_unit_test(documents),
      cmocka_unit_test(aliases_are_shared), cmocka_unit_test(hostile_text), cmocka_unit_test(limits),
      cmocka_unit_test(alias_bomb_ends_at_once), cmocka_unit_test(errors_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
