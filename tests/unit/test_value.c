/* The notation of values: what is accepted, its canonical text, what errors say. */
#include "tests/unit/check.h"
#include "schema/spec.h"
#include "schema/value.h"
#include "schema/value_text.h"
#include <string.h>

typedef struct {
  ValueType type;
  const char *text, *canonical; /* canonical NULL: refused */
} Case;

static void canonical_text(void **state) {
  (void)state;
  static const Case cases[] = {
      {VALUE_BYTES, "1024MiB", "1GiB"}, {VALUE_BYTES, "0B", "0B"}, {VALUE_BYTES, "1536MiB", "1536MiB"},
      {VALUE_BYTES, "1000B", "1000B"}, {VALUE_BYTES, "8191PiB", "8191PiB"}, {VALUE_BYTES, "8192PiB", NULL},
      {VALUE_BYTES, "9223372036854775807B", "9223372036854775807B"}, {VALUE_BYTES, "9223372036854775808B", NULL},
      {VALUE_BYTES, "99999999999999999999999B", NULL}, {VALUE_BYTES, "2G", NULL}, {VALUE_BYTES, "2GB", NULL},
      {VALUE_BYTES, "2048", NULL}, {VALUE_BYTES, "1.5GiB", NULL}, {VALUE_BYTES, "2 GiB", NULL}, {VALUE_BYTES, "02GiB", NULL},
      {VALUE_BYTES, "-2GiB", NULL}, {VALUE_BYTES, "2GiB/s", NULL}, {VALUE_BYTES, "", NULL}, {VALUE_BYTES, "GiB", NULL},
      {VALUE_RATE, "2048KiB/s", "2MiB/s"}, {VALUE_RATE, "0MiB/s", "0B/s"}, {VALUE_RATE, "2MiB", NULL},
      {VALUE_DURATION, "90s", "90s"}, {VALUE_DURATION, "120s", "2m"}, {VALUE_DURATION, "1000ms", "1s"},
      {VALUE_DURATION, "0ms", "0s"}, {VALUE_DURATION, "48h", "2d"}, {VALUE_DURATION, "1m30s", NULL}, {VALUE_DURATION, "5", NULL},
      {VALUE_BOOL, "true", "true"}, {VALUE_BOOL, "yes", NULL}, {VALUE_BOOL, "True", NULL},
      {VALUE_INT, "0x10", "16"}, {VALUE_INT, "0o17", "15"}, {VALUE_INT, "-3", "-3"}, {VALUE_INT, "+3", "3"},
      {VALUE_INT, "0x-3", NULL}, {VALUE_INT, "1.0", NULL}, {VALUE_INT, " 1", NULL}, {VALUE_INT, "9223372036854775808", NULL},
      {VALUE_STRING, "a b", "a b"}, {VALUE_STRING, "", NULL}, {VALUE_STRING, "a\nb", NULL}, {VALUE_STRING, "a\033[1m", NULL},
      {VALUE_STRING, "a\x7f", NULL}, {VALUE_STRING, "\xc2\x9b", NULL}, {VALUE_STRING, "\xef\xbf\xbe", NULL},
      {VALUE_STRING, "ü\xf0\x9f\x98\x80", "ü\xf0\x9f\x98\x80"}, {VALUE_STRING, "\xff", NULL}, {VALUE_STRING, "\xed\xa0\x80", NULL},
      {VALUE_TEXT, "a\n\tb\n", "a\n\tb\n"}, {VALUE_TEXT, "a\rb", NULL},
      {VALUE_NAME, "web-1.example@x:y+z_", "web-1.example@x:y+z_"}, {VALUE_NAME, "-a", NULL}, {VALUE_NAME, "a/b", NULL},
      {VALUE_NAME, "a b", NULL}, {VALUE_NAME, "ä", NULL}, {VALUE_NAME, "a\n", NULL},
      {VALUE_PATH, "/a//b/./c/../d", "/a/b/d"}, {VALUE_PATH, "//a", "/a"}, {VALUE_PATH, "/../..", "/"}, {VALUE_PATH, "/a/", "/a"},
      {VALUE_PATH, "a/b", NULL}, {VALUE_PATH, "~/a", NULL}, {VALUE_PATH, "/a\n", NULL},
      {VALUE_UUID, "6F1ED002-ab5b-4b1f-9e5c-5d8d6a2b1a11", "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11"},
      {VALUE_UUID, "6f1ed002ab5b4b1f9e5c5d8d6a2b1a11", NULL},
      {VALUE_MAC, "52:54:00:AB:cd:EF", "52:54:00:ab:cd:ef"}, {VALUE_MAC, "53:54:00:ab:cd:ef", NULL}, {VALUE_MAC, "52-54-00-ab-cd-ef", NULL},
      {VALUE_IP, "192.168.1.1", "192.168.1.1"}, {VALUE_IP, "192.168.01.1", NULL}, {VALUE_IP, "256.1.1.1", NULL},
      {VALUE_IP, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"}, {VALUE_IP, "::", "::"}, {VALUE_IP, "::ffff:1.2.3.4", "::ffff:1.2.3.4"},
      {VALUE_IP, "::ffff:102:304", "::ffff:1.2.3.4"}, {VALUE_IP, "1:2:3", NULL}, {VALUE_IP, "fe80::1%eth0", NULL},
      {VALUE_CPUSET, "8,0-2,3,2", "0-3,8"}, {VALUE_CPUSET, "9999", "9999"}, {VALUE_CPUSET, "3-1", NULL}, {VALUE_CPUSET, "0,", NULL},
      {VALUE_CPUSET, "^1", NULL}, {VALUE_CPUSET, "10000", NULL}, {VALUE_CPUSET, "01", NULL},
      {VALUE_PCI, "0000:03:00.0", "0000:03:00.0"}, {VALUE_PCI, "AF:1f.7", "0000:af:1f.7"}, {VALUE_PCI, "03:20.0", NULL},
      {VALUE_USB, "1D6B:0002", "1d6b:0002"}, {VALUE_USB, "1d6b:2", NULL},
      {VALUE_TARGET, "vda", "vda"}, {VALUE_TARGET, "xvdb", "xvdb"}, {VALUE_TARGET, "sdaaa", "sdaaa"}, {VALUE_TARGET, "vd", NULL},
      {VALUE_TARGET, "xsda", NULL}, {VALUE_TARGET, "vda1", NULL}, {VALUE_TARGET, "", NULL}, {VALUE_TARGET, "v", NULL}, {VALUE_TARGET, "x", NULL},
      {VALUE_XML, "<a b='c'/>\n", "<a b='c'/>\n"}, {VALUE_XML, "<!-- a --><b/>", NULL}, {VALUE_XML, "<?x?>", NULL},
      {VALUE_XML, "<a><![CDATA[x]]></a>", NULL}, {VALUE_XML, "a", NULL}, {VALUE_XML, "", NULL}, {VALUE_XML, "<a\001/>", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    const Field field = {.key = "x", .type = cases[i].type};
    union { int word; guint64 number; char *text; } member = {0};
    g_autoptr(GError) error = NULL;
    gboolean ok = value_parse(&field, cases[i].text, &member, &error);
    if (ok != (cases[i].canonical != NULL))
      fail_msg("%s \"%s\": %s", value_info(cases[i].type)->name, cases[i].text, ok ? "accepted" : error->message);
    if (!ok) {
      assert_true(g_error_matches(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE));
      assert_true(member.number == 0);
      continue;
    }
    assert_text(value_format(&field, &member), cases[i].canonical);
    value_clear(&field, &member);
    assert_true(member.number == 0);
  }
}

static void messages(void **state) {
  (void)state;
  static const char *const words[] = {"vnc", "spice", NULL};
  static const EnumWords some = {"Some", words, words};
  const struct { Field field; const char *text, *message; } cases[] = {
      {{.type = VALUE_BYTES}, "2G", "expected a size such as 512MiB or 2GiB, but got \"2G\": write 2GiB"},
      {{.type = VALUE_BYTES}, "2 gb", "expected a size such as 512MiB or 2GiB, but got \"2 gb\": write 2GiB"},
      {{.type = VALUE_BYTES}, "1.5GiB", "expected a size such as 512MiB or 2GiB, but got \"1.5GiB\": write 1536MiB"},
      {{.type = VALUE_BYTES}, "2048", "expected a size such as 512MiB or 2GiB, but got \"2048\": the unit is missing"},
      {{.type = VALUE_RATE}, "5MB/s", "expected a rate such as 100MiB/s, but got \"5MB/s\": write 5MiB/s"},
      {{.type = VALUE_DURATION}, "5 min", "expected a duration such as 500ms, 90s or 5m, but got \"5 min\": write 5m"},
      {{.type = VALUE_BYTES, .min = 1048576, .max = 1073741824}, "512KiB", "expected a size from 1MiB to 1GiB, but got \"512KiB\""},
      {{.type = VALUE_INT, .min = 1, .max = 16}, "17", "expected an integer from 1 to 16, but got \"17\""},
      {{.type = VALUE_BOOL}, "Yes", "expected true or false, but got \"Yes\": write true"},
      {{.type = VALUE_ENUM, .words = &some}, "spcie", "expected one of vnc, spice, but got \"spcie\": did you mean spice?"},
      {{.type = VALUE_STRING}, "", "expected a value, but got \"\": give one, or remove the key"},
      {{.type = VALUE_STRING, .max = 3}, "abcd", "expected a string of at most 3 bytes, but \"abcd\" has 4"},
      {{.type = VALUE_STRING}, "\033]0;x\007", "expected one line of text without control characters, but got \"\\u001b]0;x\\u0007\""},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    union { int word; guint64 number; char *text; } member = {0};
    assert_false(value_parse(&cases[i].field, cases[i].text, &member, &error));
    assert_string_equal(error->message, cases[i].message);
  }
}

/* Every string either matches the pattern and has a canonical form, or neither; and the canonical
 * form is accepted and its own canonical form. The JSON Schema uses the patterns. */
static void check_against_pattern(ValueType type, const char *text, GRegex *pattern) {
  g_autofree char *canonical = text_canonical(type, text);
  gboolean matches = g_utf8_validate(text, -1, NULL) && g_regex_match(pattern, text, 0, NULL);
  gboolean descending = type == VALUE_CPUSET && matches && !canonical; /* an order no pattern can tell */
  if (!descending && matches != (canonical != NULL))
    fail_msg("%s \"%s\": pattern %d, check %d", value_info(type)->name, text, matches, canonical != NULL);
  if (!canonical)
    return;
  g_autofree char *again = text_canonical(type, canonical);
  if (g_strcmp0(again, canonical) != 0)
    fail_msg("%s \"%s\": \"%s\" becomes \"%s\"", value_info(type)->name, text, canonical, again ? again : "(refused)");
}

static char *mutate(GRand *rand, const char *seed) {
  static const char alphabet[] = "0123456789abcdefABCDEFgxvsdhyz:.,-/_@+~ <>!?%\t\n\r\033\x7f";
  GString *text = g_string_new(seed);
  for (int n = g_rand_int_range(rand, 0, 4); n > 0; n--) {
    gssize at = g_rand_int_range(rand, 0, (int)text->len + 1);
    char c = alphabet[g_rand_int_range(rand, 0, (int)sizeof(alphabet) - 1)];
    int what = g_rand_int_range(rand, 0, 4);
    if (what == 0 && (gsize)at < text->len)
      g_string_erase(text, at, 1);
    else if (what == 1 && (gsize)at < text->len)
      text->str[at] = c;
    else if (what == 2 && (gsize)at < text->len)
      g_string_insert_len(text, at, text->str + at, MIN(5, (gssize)text->len - at));
    else
      g_string_insert_c(text, at, c);
  }
  return g_string_free(text, FALSE);
}

static void patterns_and_checks_agree(void **state) {
  (void)state;
  static const char *const seeds[] = {
      "", "a b", "a\nb", "web-1", "/a/b", "6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11", "52:54:00:12:34:56", "192.168.100.1",
      "2001:db8::1", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4",
      "1:2::3:1.2.3.4", "1::1.2.3.4", "1:2:3:4:5::1.2.3.4", "::2:3:4:5:6:1.2.3.4", "255.249.199.99", "0-3,8", "10-20,5", "0000:03:00.0",
      "03:1f.7", "1d6b:0002", "vda", "xvdz", "sdab", "hdc", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      "<a b='c'><d/></a>", "ü€\xf0\x9f\x98\x80", "\xc2\x85", "\xef\xbf\xbf",
  };
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  for (int type = 0; type < VALUE_N; type++) {
    if (!value_is_string((ValueType)type))
      continue;
    g_autoptr(GError) error = NULL;
    g_autoptr(GRegex) pattern = g_regex_new(value_info((ValueType)type)->pattern, G_REGEX_DOLLAR_ENDONLY | G_REGEX_OPTIMIZE, 0, &error);
    if (!pattern)
      fail_msg("%s: %s", value_info((ValueType)type)->name, error->message);
    for (guint i = 0; i < G_N_ELEMENTS(seeds); i++)
      for (guint n = 0; n < 400; n++) {
        g_autofree char *text = mutate(rand, seeds[i]);
        check_against_pattern((ValueType)type, text, pattern);
      }
  }
}

static void quantities_match_their_patterns(void **state) {
  (void)state;
  static const ValueType types[] = {VALUE_BYTES, VALUE_RATE, VALUE_DURATION};
  static const char *const seeds[] = {"0B", "2GiB", "100MiB/s", "1000ms", "5m", "3h", "17d", "12TiB"};
  g_autoptr(GRand) rand = g_rand_new_with_seed(2);
  for (guint t = 0; t < G_N_ELEMENTS(types); t++) {
    g_autoptr(GRegex) pattern = g_regex_new(value_info(types[t])->pattern, G_REGEX_DOLLAR_ENDONLY, 0, NULL);
    const Field field = {.type = types[t]};
    for (guint i = 0; i < G_N_ELEMENTS(seeds) * 2000; i++) {
      g_autofree char *text = mutate(rand, seeds[i % G_N_ELEMENTS(seeds)]);
      guint64 value;
      gboolean accepted = value_parse(&field, text, &value, NULL);
      assert_int_equal(accepted, g_regex_match(pattern, text, 0, NULL));
    }
  }
}

/* The example of each row is accepted by the row. */
static void check_examples(const FieldTable *table) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field->sub) {
      check_examples(field->sub);
      continue;
    }
    if (field->type == VALUE_MAP || field->type == VALUE_STRINGS || !field->example)
      continue;
    g_autofree char *text = g_strdup(field->example);
    if (*text == '\'' && text[strlen(text) - 1] == '\'') {
      text[strlen(text) - 1] = '\0';
      memmove(text, text + 1, strlen(text));
    }
    if (field->type == VALUE_PATH && *text != '/')
      continue;
    union { int word; guint64 number; char *text; } member = {0};
    g_autoptr(GError) error = NULL;
    if (!value_parse(field, text, &member, &error))
      fail_msg("%s.%s: %s", table->name, field->key, error->message);
    value_clear(field, &member);
  }
}

static void examples_are_accepted(void **state) {
  (void)state;
  const FieldTable *tables[] = {&VmSpec_table, &ImageSpec_table, &VolumeSpec_table, &StoragePoolSpec_table, &NetworkSpec_table, &MetadataSpec_table};
  for (guint i = 0; i < G_N_ELEMENTS(tables); i++)
    check_examples(tables[i]);
}

static void strings_lists(void **state) {
  (void)state;
  const Field *order = table_find(&BootSpec_table, "order"), *extra = table_find(&DevicesSpec_table, "extra");
  char **items = NULL;
  assert_true(value_parse(order, "disk, network", &items, NULL));
  assert_int_equal(g_strv_length(items), 2);
  assert_text(value_format(order, &items), "disk, network");
  assert_false(value_parse(order, "disk, nowhere", &items, NULL));
  assert_text(value_format(order, &items), "disk, network");
  char **xml = NULL;
  assert_true(value_parse(extra, "<a b='c, d'/>", &xml, NULL));
  assert_int_equal(g_strv_length(xml), 1);
  assert_false(value_equal(extra, &items, &xml));
  value_copy(order, &items, &xml);
  assert_true(value_equal(order, &items, &xml));
  value_clear(order, &items);
  value_clear(order, &xml);
}

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* What libvirt makes of a value is met by it, and by nothing else. */
static void rounding(void **state) {
  (void)state;
  const Field *max = table_find(&MemorySpec_table, "max"), *size = table_find(&MemorySpec_table, "size"), *vram = table_find(&VideoSpec_table, "vram");
  const guint64 odd = G_GUINT64_CONSTANT(1000000) * KIB, up = 977 * MIB, over = 978 * MIB, page = 90004 * KIB, off_page = 90001 * KIB;
  assert_true(value_is_met(max, &odd, &up, TRUE));
  assert_true(value_is_met(max, &odd, &odd, TRUE));
  assert_false(value_is_met(max, &odd, &up, FALSE));
  assert_false(value_is_met(max, &odd, &over, TRUE));
  assert_false(value_is_met(max, &up, &odd, TRUE));
  assert_true(value_is_met(size, &off_page, &page, TRUE));
  const guint64 wanted = 24 * MIB, power = 32 * MIB, less = 16 * MIB, most = G_MAXUINT64;
  assert_true(value_is_met(vram, &wanted, &power, FALSE));
  assert_true(value_is_met(vram, &wanted, &power, TRUE));
  assert_false(value_is_met(vram, &wanted, &less, FALSE));
  assert_false(value_is_met(vram, &power, &wanted, FALSE));
  assert_false(value_is_met(vram, &most, &power, FALSE));
}

static void short_sizes(void **state) {
  (void)state;
  assert_text(bytes_format_short(0), "0 B");
  assert_text(bytes_format_short(1023), "1023 B");
  assert_text(bytes_format_short(1536), "1.5 KiB");
  assert_text(bytes_format_short(G_GUINT64_CONSTANT(1503238553)), "1.4 GiB");
  assert_text(bytes_format_short(200ull << 30), "200 GiB");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(canonical_text),       cmocka_unit_test(messages),
      cmocka_unit_test(patterns_and_checks_agree), cmocka_unit_test(quantities_match_their_patterns),
      cmocka_unit_test(examples_are_accepted), cmocka_unit_test(strings_lists),
      cmocka_unit_test(rounding),
      cmocka_unit_test(short_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
