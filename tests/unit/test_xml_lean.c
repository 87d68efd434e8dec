/* Documents that are only read are the same as those that libxml2 makes of a text. */
#include "tests/unit/check.h"

#include <string.h>

#include "state/xml_lean.h"
#include "tests/unit/xml_outline.h"

static void expect_same(const char *text) {
  g_autoptr(GError) error = NULL;
  g_autoptr(xmlDoc) doc = xml_parse(text, "text", &error);
  assert_null(error);
  g_autoptr(XmlLean) lean = xml_parse_lean(text, "text", &error);
  assert_null(error);
  g_autofree char *wanted = xml_outline(xmlDocGetRootElement(doc));
  assert_text(xml_outline(xml_lean_root(lean)), wanted);
}

static void trees_are_the_same(void **state G_GNUC_UNUSED) {
  static const char *const texts[] = {
      "<a/>",
      "<a b=''/>",
      "<a b='1' c=\"&lt;&amp;&#x41;&quot;\">&amp;&gt; &#65;</a>",
      "<a>x<!-- c -->y<b/>z<![CDATA[<&]]></a>",
      "<?xml version='1.0' encoding='UTF-8'?>\n<!-- c --><a>\xc3\xa9<b c='\xc3\xa9'/></a>\n<?p i?>",
      "<a xmlns='u:1' xmlns:p='u:2' p:x='1' y='2'><p:b p:y='1'><c xmlns=''/><c xmlns:p='u:3'><p:d/></c><p:d/></p:b><b/></a>",
      "<a xml:space='preserve' xml:id='i'><p:b q:c='1'/></a>",
      "<a b='1\n2\t3'>\r\n</a>",
  };
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
    expect_same(texts[i]);
}

/* Longer than what libxml2 hands on at once, and than a piece of memory. */
static void long_texts_are_the_same(void **state G_GNUC_UNUSED) {
  g_autoptr(GString) text = g_string_new("<a><b c='");
  for (guint i = 0; i < 20000; i++)
    g_string_append(text, "x&amp;");
  g_string_append(text, "'/>");
  for (guint i = 0; i < 200000; i++)
    g_string_append(text, i % 1000 ? "\xc3\xa9&amp;" : "<c/>long enough for the quick way through the text");
  g_string_append(text, "</a>");
  expect_same(text->str);
}

static void many_elements_are_the_same(void **state G_GNUC_UNUSED) {
  g_autoptr(GString) text = g_string_new("<a>");
  for (guint i = 0; i < 20000; i++)
    g_string_append_printf(text, "<b c='%u'/>", i);
  g_string_append(text, "</a>");
  expect_same(text->str);
}

static void a_copy_stands_alone(void **state G_GNUC_UNUSED) {
  g_autoptr(GError) error = NULL;
  g_autoptr(XmlLean) lean = xml_parse_lean("<a xmlns:p='u:2'>\n  <p:b p:c='&lt;'>x</p:b>\n</a>", "text", &error);
  assert_null(error);
  char *copy = xml_node_text(xml_lean_root(lean)->children);
  g_clear_pointer(&lean, xml_lean_free);
  assert_text(copy, "<p:b xmlns:p=\"u:2\" p:c=\"&lt;\">x</p:b>");
}

/* Also after a broken text: each thread reads with a parser of its own that it keeps. */
static void blanks_are_no_content(void **state G_GNUC_UNUSED) {
  g_autoptr(GError) error = NULL;
  assert_null(xml_parse_lean("<!DOCTYPE a><a/>", "test", &error));
  g_clear_error(&error);
  for (guint i = 0; i < 5000; i++) {
    g_autoptr(XmlLean) lean = xml_parse_lean("<a>\n  <b> x </b>\n  <c> </c>\n  <d>x<e/> <e/></d>\n</a>", "test", &error);
    assert_null(error);
    xmlNode *b = xml_lean_root(lean)->children;
    assert_string_equal(b->name, "b");
    assert_string_equal(b->children->content, " x ");
    assert_string_equal(b->next->name, "c");
    assert_string_equal(b->next->children->content, " ");
    assert_string_equal(b->next->next->children->next->next->content, " ");
    assert_null(b->next->next->next);
  }
  assert_null(xml_parse_lean("<a><b></a>", "test", &error));
  assert_non_null(error);
}

static void what_is_refused_is_refused(void **state G_GNUC_UNUSED) {
  g_autofree char *deep = g_strnfill(3 * 300, 'a');
  for (guint i = 0; i < 300; i++)
    memcpy(deep + 3 * i, "<a>", 3);
  const char *const texts[] = {"", " ", "x", "<a", "<a b='1' b='2'/>", "<a>&b;</a>", "<a b='&c;'/>", "<a/><b/>", "<a>\x01</a>", deep,
                               "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL, same = NULL;
    assert_null(xml_parse_lean(texts[i], "test", &error));
    assert_null(xml_parse(texts[i], "test", &same));
    assert_int_equal(error->code, same->code);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(trees_are_the_same),    cmocka_unit_test(long_texts_are_the_same), cmocka_unit_test(many_elements_are_the_same),
      cmocka_unit_test(a_copy_stands_alone),   cmocka_unit_test(blanks_are_no_content),   cmocka_unit_test(what_is_refused_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
