#include "schema/value.h"
#include "schema/diag.h"
#include "schema/value_quantity.h"
#include "schema/value_text.h"
#include <string.h>

G_DEFINE_QUARK(reconcile-schema-error, schema_error)

#define NUMBER "(0|[1-9][0-9]{0,18})"
#define BYTE_UNIT "([KMGTP]i)?B"
#define CONTROL "\\x7f-\\x9f\xef\xbf\xbe\xef\xbf\xbf" /* DEL, C1, and U+FFFE, U+FFFF, which XML 1.0 can't hold */
#define CPU "(0|[1-9][0-9]{0,3})"
#define CPUS CPU "(-" CPU ")?"
#define HEX "[0-9A-Fa-f]"
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define IPV4 OCTET "([.]" OCTET "){3}"
#define H HEX "{1,4}"
#define IPV6                                                                                                     \
  "(" H ":){7}" H "|(" H ":){1,7}:|(" H ":){1,6}:" H "|(" H ":){1,5}(:" H "){1,2}|(" H ":){1,4}(:" H "){1,3}|"   \
  "(" H ":){1,3}(:" H "){1,4}|(" H ":){1,2}(:" H "){1,5}|" H ":(:" H "){1,6}|:((:" H "){1,7}|:)|"                \
  "(" H ":){6}" IPV4 "|::(" H ":){0,5}" IPV4 "|(" H ":){1,5}:" IPV4 "|" H "::(" H ":){0,4}" IPV4 "|"             \
  "(" H ":){2}:(" H ":){0,3}" IPV4 "|(" H ":){3}:(" H ":){0,2}" IPV4 "|(" H ":){4}:(" H ":)?" IPV4

static const ValueInfo infos[VALUE_N] = {
    [VALUE_BOOL] = {"boolean", "boolean", NULL, "true or false", 0},
    [VALUE_INT] = {"integer", "integer", NULL, "a whole number", 0},
    [VALUE_BYTES] = {"size", "string", "^" NUMBER BYTE_UNIT "$", "a size such as 512MiB or 2GiB", 0},
    [VALUE_RATE] = {"rate", "string", "^" NUMBER BYTE_UNIT "/s$", "a rate such as 100MiB/s", 0},
    [VALUE_DURATION] = {"duration", "string", "^" NUMBER "(ms|s|m|h|d)$", "a duration such as 500ms, 90s or 5m", 0},
    [VALUE_ENUM] = {"word", "string", NULL, "one of the words", 0},
    [VALUE_STRING] = {"string", "string", "^[^\\x00-\\x1f" CONTROL "]+$", "one line of text without control characters", 4096},
    [VALUE_TEXT] = {"text", "string", "^[^\\x00-\\x08\\x0b-\\x1f" CONTROL "]+$", "text without control characters", 65536},
    [VALUE_NAME] = {"name", "string", "^[A-Za-z0-9_.][A-Za-z0-9_.+:@-]*$",
                    "a name of letters, digits and _ . + : @ - (which starts with a letter, digit, _ or .)", 200},
    [VALUE_PATH] = {"path", "string", "^[^~\\x00-\\x1f" CONTROL "][^\\x00-\\x1f" CONTROL "]*$",
                    "a path without control characters (~ isn't expanded)", 4095},
    [VALUE_UUID] = {"UUID", "string", "^" HEX "{8}(-" HEX "{4}){3}-" HEX "{12}$",
                    "a UUID such as 6f1ed002-ab5b-4b1f-9e5c-5d8d6a2b1a11", 36},
    [VALUE_MAC] = {"MAC address", "string", "^" HEX "[02468ACEace](:" HEX "{2}){5}$",
                   "a unicast MAC address such as 52:54:00:12:34:56", 17},
    [VALUE_IP] = {"IP address", "string", "^(" IPV4 "|" IPV6 ")$", "an IPv4 or IPv6 address", 45},
    [VALUE_CPUSET] = {"CPU list", "string", "^" CPUS "(," CPUS ")*$", "a list of CPU numbers and ascending ranges such as 0-3,8", 4096},
    [VALUE_PCI] = {"PCI address", "string", "^(" HEX "{4}:)?" HEX "{2}:[01]" HEX "[.][0-7]$",
                   "a PCI address such as 0000:03:00.0", 12},
    [VALUE_USB] = {"USB id", "string", "^" HEX "{4}:" HEX "{4}$", "a USB vendor and product such as 1d6b:0002", 9},
    [VALUE_TARGET] = {"disk target", "string", "^(x?vd|sd|hd|fd)[a-z]{1,3}$", "a disk target such as vda, sdb or hdc", 6},
    [VALUE_SHA256] = {"SHA-256", "string", "^" HEX "{64}$", "a SHA-256 digest: 64 hexadecimal digits", 64},
    [VALUE_XML] = {"XML element", "string",
                   "^(?![\\s\\S]*(<[!?]|[\\x00-\\x08\\x0b-\\x1f" CONTROL "]))<[A-Za-z_]",
                   "one XML element, without comments, DTD or processing instructions", 65536},
    [VALUE_STRINGS] = {"list", "array", NULL, "a list", 0},
    [VALUE_MAP] = {"map", "object", NULL, "a mapping of words to strings", 0},
    [VALUE_GROUP] = {"group", "object", NULL, "a mapping", 0},
    [VALUE_LIST] = {"list", "array", NULL, "a list of mappings", 0},
};

const ValueInfo *value_info(ValueType type) { return &infos[type]; }

gboolean value_is_string(ValueType type) { return infos[type].max_bytes > 0; }

int enum_find(const char *const *words, const char *word) {
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], word) == 0)
      return i;
  return -1;
}

static gboolean fail(GError **error, const char *text, const char *expects, const char *hint) {
  g_autofree char *shown = quoted(text);
  g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "expected %s, but got %s%s%s", expects, shown, hint ? ": " : "",
              hint ? hint : "");
  return FALSE;
}

static gboolean has_bounds(const Field *field) { return field->max > 0 || field->min != field->max; }

static char *format_number(ValueType type, gint64 value) {
  return type == VALUE_INT ? g_strdup_printf("%" G_GINT64_FORMAT, value) : quantity_format(type, (guint64)value);
}

static gboolean in_bounds(const Field *field, gint64 value, const char *text, GError **error) {
  if (!has_bounds(field) || (value >= field->min && value <= field->max))
    return TRUE;
  g_autofree char *min = format_number(field->type, field->min), *max = format_number(field->type, field->max);
  g_autofree char *shown = quoted(text);
  g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "expected %s %s from %s to %s, but got %s",
              field->type == VALUE_INT ? "an" : "a", infos[field->type].name, min, max, shown);
  return FALSE;
}

static gboolean parse_bool(const char *text, gboolean *ret_value, GError **error) {
  static const char *const yes[] = {"yes", "on", "y", "true", NULL}, *const no[] = {"no", "off", "n", "false", NULL};
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
    *ret_value = *text == 't';
    return TRUE;
  }
  g_autofree char *lower = g_ascii_strdown(text, -1);
  const char *hint = g_strv_contains(yes, lower) ? "write true" : g_strv_contains(no, lower) ? "write false" : NULL;
  return fail(error, text, infos[VALUE_BOOL].expects, hint);
}

/* GLib's number functions share a locale that the first call makes. A thread that has to wait for
 * that finds errno set by the waiting, and takes "1" for no number: so it is made before all threads. */
__attribute__((constructor)) static void make_number_locale(void) { g_ascii_strtoll("0", NULL, 10); }

/* Decimal, 0x and 0o, as in YAML 1.2. */
static gboolean read_int(const char *text, gint64 *ret_value) {
  guint base = 10;
  const char *digits = text;
  if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
    base = text[1] == 'x' ? 16 : 8;
    digits += 2;
    if (!g_ascii_isxdigit(*digits)) /* no sign here */
      return FALSE;
  }
  return g_ascii_string_to_signed(digits, base, G_MININT64, G_MAXINT64, ret_value, NULL);
}

static gboolean parse_int(const Field *field, const char *text, gint64 *ret_value, GError **error) {
  gint64 value;
  if (!read_int(text, &value)) {
    const char *digits = text + (*text == '-' || *text == '+');
    gboolean large = *digits && strspn(digits, "0123456789") == strlen(digits);
    return fail(error, text, infos[VALUE_INT].expects, large ? "it is too large" : NULL);
  }
  if (!in_bounds(field, value, text, error))
    return FALSE;
  *ret_value = value;
  return TRUE;
}

static gboolean parse_quantity(const Field *field, const char *text, guint64 *ret_value, GError **error) {
  guint64 value;
  if (!quantity_parse(field->type, text, &value)) {
    g_autofree char *near = quantity_too_large(field->type, text) ? NULL : quantity_suggest(field->type, text);
    g_autofree char *hint = near ? g_strconcat("write ", near, NULL) : NULL;
    gboolean bare = *text && strspn(text, "0123456789.") == strlen(text);
    const char *why = hint ? hint : bare ? "the unit is missing" : quantity_too_large(field->type, text) ? "it is too large" : NULL;
    return fail(error, text, infos[field->type].expects, why);
  }
  if (!in_bounds(field, (gint64)value, text, error))
    return FALSE;
  *ret_value = value;
  return TRUE;
}

static gboolean parse_enum(const Field *field, const char *text, int *ret_value, GError **error) {
  int value = enum_find(field->words->words, text);
  if (value >= 0) {
    *ret_value = value;
    return TRUE;
  }
  g_autofree char *all = g_strjoinv(", ", (char **)field->words->words);
  g_autofree char *expects = g_strconcat("one of ", all, NULL);
  const char *near = nearest_word(text, field->words->words);
  g_autofree char *hint = near ? g_strconcat("did you mean ", near, "?", NULL) : NULL;
  return fail(error, text, expects, hint);
}

/* The canonical text of a string-like type, or NULL. */
static char *parse_text(const Field *field, ValueType type, const char *text, GError **error) {
  gsize max = infos[type].max_bytes;
  if (field->type == type && field->max > 0) /* of STRINGS, max counts items */
    max = (gsize)field->max;
  g_autofree char *canonical = text_canonical(type, text);
  if (!canonical) {
    fail(error, text, *text ? infos[type].expects : "a value", *text ? NULL : "give one, or remove the key");
    return NULL;
  }
  if (strlen(canonical) > max) {
    g_autofree char *shown = quoted(text);
    g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "expected a %s of at most %" G_GSIZE_FORMAT " bytes, but %s has %" G_GSIZE_FORMAT,
                infos[type].name, max, shown, strlen(canonical));
    return NULL;
  }
  if (type == VALUE_PATH && *canonical != '/') {
    fail(error, text, "an absolute path", NULL);
    return NULL;
  }
  return g_steal_pointer(&canonical);
}

char *value_parse_item(const Field *field, const char *text, GError **error) {
  if (field->item != VALUE_ENUM)
    return parse_text(field, field->item, text, error);
  int index;
  return parse_enum(field, text, &index, error) ? g_strdup(field->words->words[index]) : NULL;
}

static gboolean parse_strings(const Field *field, const char *text, char ***ret_items, GError **error) {
  /* XML may hold the separator: it is one item */
  int most = field->item == VALUE_XML ? 1 : -1;
  g_auto(GStrv) parts = g_strsplit(text, ", ", most);
  for (guint i = 0; parts[i]; i++) {
    char *item = value_parse_item(field, parts[i], error);
    if (!item)
      return FALSE;
    g_free(parts[i]);
    parts[i] = item;
  }
  g_strfreev(*ret_items);
  *ret_items = g_steal_pointer(&parts);
  return TRUE;
}

gboolean value_parse(const Field *field, const char *text, gpointer member, GError **error) {
  switch (field->type) {
  case VALUE_BOOL:
    return parse_bool(text, member, error);
  case VALUE_INT:
    return parse_int(field, text, member, error);
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    return parse_quantity(field, text, member, error);
  case VALUE_ENUM:
    return parse_enum(field, text, member, error);
  case VALUE_STRINGS:
    return parse_strings(field, text, member, error);
  default:
    break;
  }
  g_return_val_if_fail(value_is_string(field->type), FALSE);
  char *canonical = parse_text(field, field->type, text, error);
  if (!canonical)
    return FALSE;
  g_free(*(char **)member);
  *(char **)member = canonical;
  return TRUE;
}

static char *format_map(const StringMap *map) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; map && i < map->keys->len; i++)
    g_string_append_printf(out, "%s%s=%s", i ? ", " : "", (char *)map->keys->pdata[i], (char *)map->values->pdata[i]);
  return g_string_free(out, FALSE);
}

char *value_format(const Field *field, gconstpointer member) {
  if (field->secret)
    return g_strdup("(secret)");
  switch (field->type) {
  case VALUE_BOOL:
    return g_strdup(*(const gboolean *)member ? "true" : "false");
  case VALUE_INT:
    return format_number(VALUE_INT, *(const gint64 *)member);
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    return quantity_format(field->type, *(const guint64 *)member);
  case VALUE_ENUM:
    return g_strdup(field->words->words[*(const int *)member]);
  case VALUE_STRINGS: {
    char **items = *(char **const *)member;
    return items ? g_strjoinv(", ", items) : g_strdup("");
  }
  case VALUE_MAP:
    return format_map(*(StringMap *const *)member);
  default:
    g_return_val_if_fail(value_is_string(field->type), NULL);
    return g_strdup(*(char *const *)member);
  }
}

static gboolean map_equal(const StringMap *a, const StringMap *b) {
  if (!a || !b)
    return (a ? a->keys->len : 0) == (b ? b->keys->len : 0);
  if (a->keys->len != b->keys->len)
    return FALSE;
  for (guint i = 0; i < a->keys->len; i++)
    if (strcmp(a->keys->pdata[i], b->keys->pdata[i]) != 0 || strcmp(a->values->pdata[i], b->values->pdata[i]) != 0)
      return FALSE;
  return TRUE;
}

static gboolean strings_equal(char **a, char **b) {
  static char *none[] = {NULL};
  return g_strv_equal((const char *const *)(a ? a : none), (const char *const *)(b ? b : none));
}

gboolean value_equal(const Field *field, gconstpointer a, gconstpointer b) {
  switch (field->type) {
  case VALUE_BOOL:
    return !*(const gboolean *)a == !*(const gboolean *)b;
  case VALUE_ENUM:
    return *(const int *)a == *(const int *)b;
  case VALUE_INT:
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    return *(const guint64 *)a == *(const guint64 *)b;
  case VALUE_STRINGS:
    return strings_equal(*(char **const *)a, *(char **const *)b);
  case VALUE_MAP:
    return map_equal(*(StringMap *const *)a, *(StringMap *const *)b);
  default:
    return g_strcmp0(*(char *const *)a, *(char *const *)b) == 0;
  }
}

/* 0: more than can be held. */
static guint64 rounded(const Field *field, guint64 value, gboolean running) {
  guint64 power = 1;
  switch (field->rounding) {
  case ROUNDING_LIVE:
    return running ? (value / field->granule + (value % field->granule != 0)) * field->granule : value;
  case ROUNDING_POWER_OF_TWO:
    while (power != 0 && power < value)
      power <<= 1;
    return power;
  default:
    return value;
  }
}

gboolean value_is_met(const Field *field, gconstpointer wanted, gconstpointer found, gboolean running) {
  return value_equal(field, wanted, found) ||
         (field->rounding != ROUNDING_NONE && *(const guint64 *)found == rounded(field, *(const guint64 *)wanted, running));
}

void value_clear(const Field *field, gpointer member) {
  switch (field->type) {
  case VALUE_BOOL:
  case VALUE_ENUM:
    *(int *)member = 0;
    break;
  case VALUE_INT:
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    *(guint64 *)member = 0;
    break;
  case VALUE_STRINGS:
    g_clear_pointer((char ***)member, g_strfreev);
    break;
  case VALUE_MAP:
    g_clear_pointer((StringMap **)member, string_map_free);
    break;
  default:
    g_clear_pointer((char **)member, g_free);
  }
}

static StringMap *map_copy(const StringMap *map) {
  if (!map)
    return NULL;
  StringMap *copy = string_map_new();
  for (guint i = 0; i < map->keys->len; i++) {
    g_ptr_array_add(copy->keys, g_strdup(map->keys->pdata[i]));
    g_ptr_array_add(copy->values, g_strdup(map->values->pdata[i]));
  }
  return copy;
}

void value_copy(const Field *field, gconstpointer from, gpointer to) {
  if (from == to)
    return;
  value_clear(field, to);
  switch (field->type) {
  case VALUE_BOOL:
  case VALUE_ENUM:
    *(int *)to = *(const int *)from;
    break;
  case VALUE_INT:
  case VALUE_BYTES:
  case VALUE_RATE:
  case VALUE_DURATION:
    *(guint64 *)to = *(const guint64 *)from;
    break;
  case VALUE_STRINGS:
    *(char ***)to = g_strdupv(*(char **const *)from);
    break;
  case VALUE_MAP:
    *(StringMap **)to = map_copy(*(StringMap *const *)from);
    break;
  default:
    *(char **)to = g_strdup(*(char *const *)from);
  }
}
