#include "schema/value_quantity.h"
#include "schema/value.h"
#include <string.h>

typedef struct {
  const char *name;
  guint64 factor;
} Unit;

/* Ascending; the last entry ends the list. */
static const Unit byte_units[] = {
    {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}, {"PiB", 1ull << 50}, {NULL, 0},
};
static const Unit rate_units[] = {
    {"B/s", 1}, {"KiB/s", 1ull << 10}, {"MiB/s", 1ull << 20}, {"GiB/s", 1ull << 30}, {"TiB/s", 1ull << 40}, {"PiB/s", 1ull << 50}, {NULL, 0},
};
static const Unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static const Unit *units_of(ValueType type) {
  return type == VALUE_BYTES ? byte_units : type == VALUE_RATE ? rate_units : duration_units;
}

#define QUANTITY_MAX ((guint64)G_MAXINT64) /* libvirt's own numbers are signed in many places */

static gboolean read_number(const char **at, guint64 *ret_number) {
  const char *start = *at;
  guint64 number = 0;
  for (; g_ascii_isdigit(**at); (*at)++) {
    guint64 digit = (guint64)(**at - '0');
    if (number > (QUANTITY_MAX - digit) / 10)
      return FALSE;
    number = number * 10 + digit;
  }
  *ret_number = number;
  return *at > start;
}

gboolean quantity_parse(ValueType type, const char *text, guint64 *ret_value) {
  guint64 number;
  if (text[0] == '0' && g_ascii_isdigit(text[1]))
    return FALSE;
  if (!read_number(&text, &number))
    return FALSE;
  for (const Unit *unit = units_of(type); unit->name; unit++) {
    if (strcmp(text, unit->name) != 0)
      continue;
    if (number > QUANTITY_MAX / unit->factor)
      return FALSE;
    *ret_value = number * unit->factor;
    return TRUE;
  }
  return FALSE;
}

gboolean quantity_too_large(ValueType type, const char *text) {
  guint64 value;
  gsize digits = strspn(text, "0123456789");
  for (const Unit *unit = units_of(type); unit->name; unit++)
    if (digits > 0 && *text != '0' && strcmp(text + digits, unit->name) == 0)
      return !quantity_parse(type, text, &value);
  return FALSE;
}

char *quantity_format(ValueType type, guint64 value) {
  const Unit *best = units_of(type);
  if (value == 0)
    return g_strdup(type == VALUE_BYTES ? "0B" : type == VALUE_RATE ? "0B/s" : "0s");
  for (const Unit *unit = best; unit->name; unit++)
    if (value % unit->factor == 0)
      best = unit;
  return g_strdup_printf("%" G_GUINT64_FORMAT "%s", value / best->factor, best->name);
}

/* The unit that a word such as "gb", "G" or "sec" most likely means. */
static const Unit *guess_unit(ValueType type, const char *word) {
  if (!g_ascii_isalpha(*word))
    return NULL;
  if (type != VALUE_DURATION) {
    for (const Unit *unit = units_of(type); unit->name; unit++)
      if (g_ascii_tolower(*word) == g_ascii_tolower(unit->name[0]))
        return unit;
    return NULL;
  }
  if (g_ascii_strncasecmp(word, "ms", 2) == 0 || g_ascii_strncasecmp(word, "milli", 5) == 0)
    return &duration_units[0];
  for (const Unit *unit = &duration_units[1]; unit->name; unit++)
    if (g_ascii_tolower(*word) == unit->name[0])
      return unit;
  return NULL;
}

char *quantity_suggest(ValueType type, const char *text) {
  guint64 whole;
  while (*text == ' ')
    text++;
  const char *start = text;
  if (!read_number(&text, &whole))
    return NULL;
  gboolean fraction = *text == '.' && g_ascii_isdigit(text[1]);
  if (fraction)
    for (text++; g_ascii_isdigit(*text);)
      text++;
  double number = g_ascii_strtod(start, NULL);
  while (*text == ' ')
    text++;
  const Unit *unit = guess_unit(type, text);
  if (!unit || (double)unit->factor * number > 9e15) /* beyond that a double isn't exact */
    return NULL;
  if (!fraction)
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", whole, unit->name);
  /* 1.5GiB is 1536MiB */
  double exact = number * (double)unit->factor;
  return exact == (double)(guint64)exact && exact >= 1 ? quantity_format(type, (guint64)exact) : NULL;
}

char *bytes_format(guint64 bytes) { return quantity_format(VALUE_BYTES, bytes); }

char *bytes_format_short(guint64 bytes) {
  const Unit *unit = byte_units;
  while (unit[1].name && bytes >= unit[1].factor)
    unit++;
  double number = (double)bytes / (double)unit->factor;
  return g_strdup_printf(unit == byte_units || number >= 100 ? "%.0f %s" : "%.1f %s", number, unit->name);
}
