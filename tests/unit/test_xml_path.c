/* Paths of rows: finding, setting and removing nodes, and what is left untouched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "state/xml_path.h"

static xmlDoc *parse(const char *text) {
  g_autoptr(GError) error = NULL;
  xmlDoc *doc = xml_parse(text, "test", &error);
  assert_null(error);
  assert_non_null(doc);
  return doc;
}

static void expect_get(const char *path, const char *text, const char *value) {
  g_autoptr(xmlDoc) doc = parse(text);
  g_autofree char *got = xml_path_get(xml_path(path), xmlDocGetRootElement(doc));
  if (value)
    assert_string_equal(got, value);
  else
    assert_null(got);
  assert_int_equal(xml_path_exists(xml_path(path), xmlDocGetRootElement(doc)), value != NULL);
}

static void expect_set(const char *path, const char *before, const char *value, const char *after) {
  g_autoptr(xmlDoc) doc = parse(before);
  xml_path_set(xml_path(path), xmlDocGetRootElement(doc), value);
  g_autofree char *text = xml_text(doc);
  assert_string_equal(text, after);
}

static void expect_remove(const char *path, const char *before, const char *after) {
  g_autoptr(xmlDoc) doc = parse(before);
  xml_path_remove(xml_path(path), xmlDocGetRootElement(doc));
  g_autofree char *text = xml_text(doc);
  assert_string_equal(text, after);
}

static void test_get(void **state G_GNUC_UNUSED) {
  expect_get("a/b", "<r><a><b>1</b></a></r>", "1");
  expect_get("a/b", "<r><a/></r>", NULL);
  expect_get("a", "<r><a/></r>", "");
  expect_get("a", "<r><a>x &amp; y</a></r>", "x & y");
  expect_get("a", "<r><a>x<![CDATA[<]]>y</a></r>", "x<y");
  expect_get("a/@n", "<r><a n='x&amp;&#10;y'/></r>", "x&\ny");
  expect_get("@n", "<r n='1'/>", "1");
  expect_get("a", "<r xmlns:o='urn:o'><o:a>1</o:a><a>2</a></r>", "2");
}

static void test_predicates(void **state G_GNUC_UNUSED) {
  expect_get("a[@k='2']/@v", "<r><a k='1' v='x'/><a k='2' v='y'/></r>", "y");
  expect_get("c[t/@n='z'][@k='1']", "<r><c k='1'><t n='y'/><t n='z'/>!</c></r>", "!");
  expect_get("[@type='file']/source/@file", "<d type='block'><source file='x'/></d>", NULL);
  expect_get("[@type='user']", "<d type='user'/>", "");
  expect_get("[@type='user']", "<d type='network'/>", NULL);
  expect_get("[@type='file']/source/@file ?? [@type='block']/source/@dev",
             "<d type='block'><source dev='/dev/sda'/></d>", "/dev/sda");
}

static void test_set(void **state G_GNUC_UNUSED) {
  expect_set("a/b", "<r/>", "1", "<r>\n  <a>\n    <b>1</b>\n  </a>\n</r>");
  expect_set("a/@n", "<r>\n  <a/>\n  <b/>\n</r>", "<&'", "<r>\n  <a n=\"&lt;&amp;'\"/>\n  <b/>\n</r>");
  expect_set("b", "<r>\n  <a/>\n</r>", NULL, "<r>\n  <a/>\n  <b/>\n</r>");
  expect_set("c[@k='1'][t/@n='z']/@v", "<r>\n  <c k=\"0\"/>\n</r>", "2",
             "<r>\n  <c k=\"0\"/>\n  <c k=\"1\" v=\"2\">\n    <t n=\"z\"/>\n  </c>\n</r>");
  expect_set("a", "<r><a>1<b/></a></r>", "2", "<r><a>2</a></r>");
}

static void test_variants(void **state G_GNUC_UNUSED) {
  const char *path = "[@type='file']/source/@file ?? [@type='block']/source/@dev";
  expect_set(path, "<d type=\"file\"><source file=\"a\" index=\"1\"/></d>", "b",
             "<d type=\"file\"><source file=\"b\" index=\"1\"/></d>");
  expect_set(path, "<d type=\"file\">\n  <source file=\"a\"/>\n  <t/>\n</d>", "/dev/sdb",
             "<d type=\"block\">\n  <t/>\n  <source dev=\"/dev/sdb\"/>\n</d>");
  expect_set(path, "<d type=\"block\">\n  <source dev=\"a\"/>\n</d>", "/dev/shm/a",
             "<d type=\"file\">\n  <source file=\"/dev/shm/a\"/>\n</d>");
  expect_remove(path, "<d type=\"block\">\n  <source dev=\"a\"/>\n  <t/>\n</d>", "<d type=\"block\">\n  <t/>\n</d>");
  expect_set("[@type='user']", "<d type=\"network\"/>", NULL, "<d type=\"user\"/>");
}

static void test_fallback(void **state G_GNUC_UNUSED) {
  const char *path = "vcpu/@current ?? vcpu";
  expect_get(path, "<r><vcpu>4</vcpu></r>", "4");
  expect_get(path, "<r><vcpu current='2'>4</vcpu></r>", "2");
  expect_set(path, "<r><vcpu placement=\"static\">4</vcpu></r>", "2",
             "<r><vcpu placement=\"static\" current=\"2\">4</vcpu></r>");
  expect_set(path, "<r><vcpu current=\"2\">4</vcpu></r>", "4", "<r><vcpu>4</vcpu></r>");
  expect_set("currentMemory ?? memory", "<r><memory>4</memory></r>", "4",
             "<r><memory>4</memory>\n  <currentMemory>4</currentMemory>\n</r>");
  expect_remove(path, "<r><vcpu>4</vcpu></r>", "<r><vcpu>4</vcpu></r>");
}

static void test_mirror(void **state G_GNUC_UNUSED) {
  const char *path = "listen[@type='address']/@address | @listen";
  expect_get(path, "<g listen='1.2.3.4'/>", "1.2.3.4");
  expect_set(path, "<g listen=\"a\"><listen type=\"address\" address=\"a\"/></g>", "b",
             "<g><listen type=\"address\" address=\"b\"/></g>");
  expect_remove(path, "<g listen=\"a\"><listen type=\"none\"/></g>", "<g><listen type=\"none\"/></g>");
}

static void test_single(void **state G_GNUC_UNUSED) {
  expect_set("a/x![@m='s']", "<r><a>\n    <x m=\"p\">1</x>\n  </a></r>", NULL, "<r><a>\n    <x m=\"s\"/>\n  </a></r>");
  expect_set("a/x[@m='s']", "<r><a>\n    <x m=\"p\"/>\n  </a></r>", NULL,
             "<r><a>\n    <x m=\"p\"/>\n    <x m=\"s\"/>\n  </a></r>");
}

static void test_remove(void **state G_GNUC_UNUSED) {
  expect_remove("a/b", "<r>\n  <a>\n    <b>1</b>\n  </a>\n  <c/>\n</r>", "<r>\n  <c/>\n</r>");
  expect_remove("a/b", "<r>\n  <a k=\"1\">\n    <b/>\n  </a>\n</r>", "<r>\n  <a k=\"1\"/>\n</r>");
  expect_remove("a/@n", "<r><a n=\"1\"/><c/></r>", "<r><c/></r>");
  expect_remove("a/@n", "<r><a n=\"1\"><!-- kept --></a></r>", "<r><a><!-- kept --></a></r>");
  expect_remove("a", "<r>\n  <a/>\n</r>", "<r/>");
  expect_remove("[@auto='no']/@port", "<g auto=\"no\" port=\"1\" x=\"y\"/>", "<g x=\"y\"/>");
  expect_remove("[@auto='no']/@port", "<g auto=\"yes\" port=\"1\"/>", "<g auto=\"yes\" port=\"1\"/>");
}

static void test_list(void **state G_GNUC_UNUSED) {
  g_autoptr(xmlDoc) doc = parse("<r>\n  <d>\n    <x k=\"1\"/>\n    <x k=\"2\"/>\n    <y/>\n  </d>\n</r>");
  xmlNode *root = xmlDocGetRootElement(doc);
  const XmlPath *path = xml_path("d/x[@k='1']");
  g_autoptr(GPtrArray) all = xml_path_all(path, root), every = xml_path_all(xml_path("d/x"), root);
  assert_int_equal(all->len, 1);
  assert_int_equal(every->len, 2);
  xml_path_append(path, root);
  g_autofree char *text = xml_text(doc);
  assert_string_equal(text, "<r>\n  <d>\n    <x k=\"1\"/>\n    <x k=\"2\"/>\n    <x k=\"1\"/>\n    <y/>\n  </d>\n</r>");
  g_autoptr(GPtrArray) none = xml_path_all(xml_path("e/x"), root);
  assert_int_equal(none->len, 0);
}

static void expect_refused(const char *text, const char *message) {
  g_autoptr(GError) error = NULL;
  assert_null(xml_parse(text, "test", &error));
  assert_non_null(strstr(error->message, message));
}

static void test_hostile(void **state G_GNUC_UNUSED) {
  expect_refused("<!DOCTYPE r [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><r>&a;</r>", "document type");
  expect_refused("<!DOCTYPE r><r/>", "document type");
  expect_refused("<r>&a;</r>", "not well-formed");
  expect_refused("<r><a></r>", "line 1");
  expect_refused("", "not well-formed");
  GString *deep = g_string_new(NULL);
  for (int i = 0; i < 100000; i++)
    g_string_append(deep, "<a>");
  expect_refused(deep->str, "not well-formed");
  g_string_free(deep, TRUE);
}

static void test_stand_alone(void **state G_GNUC_UNUSED) {
  g_autoptr(xmlDoc) doc = parse("<r xmlns:o='urn:o'><a><o:b/></a>\u00e9</r>");
  g_autofree char *text = xml_node_text(xml_path_node(xml_path("a"), xmlDocGetRootElement(doc)));
  assert_string_equal(text, "<a xmlns:o=\"urn:o\"><o:b/></a>");
  g_autofree char *all = xml_text(doc);
  assert_non_null(strstr(all, "\u00e9"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_get),      cmocka_unit_test(test_predicates), cmocka_unit_test(test_set),
      cmocka_unit_test(test_variants), cmocka_unit_test(test_fallback),   cmocka_unit_test(test_mirror),
      cmocka_unit_test(test_single),   cmocka_unit_test(test_remove),     cmocka_unit_test(test_list),
      cmocka_unit_test(test_hostile),  cmocka_unit_test(test_stand_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
