/* The YAML 1.2 core schema: what a plain word is. */
#include <string.h>

#include "schema/node.h"

static gboolean is_digits(const char *text, const char *digits) { return *text && text[strspn(text, digits)] == '\0'; }

static gboolean is_int(const char *text) {
  if (text[0] == '0' && text[1] == 'x')
    return is_digits(text + 2, "0123456789abcdefABCDEF");
  if (text[0] == '0' && text[1] == 'o')
    return is_digits(text + 2, "01234567");
  return is_digits(text + (*text == '-' || *text == '+'), "0123456789");
}

static gboolean is_float(const char *text) {
  static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL}, *const nans[] = {".nan", ".NaN", ".NAN", NULL};
  if (g_strv_contains(nans, text))
    return TRUE;
  text += *text == '-' || *text == '+';
  if (g_strv_contains(infinities, text))
    return TRUE;
  gsize whole = strspn(text, "0123456789"), part = 0;
  text += whole;
  if (*text == '.') {
    part = strspn(++text, "0123456789");
    text += part;
  }
  if (whole + part == 0)
    return FALSE;
  if (*text == 'e' || *text == 'E') {
    text++;
    text += *text == '-' || *text == '+';
    return is_digits(text, "0123456789");
  }
  return !*text;
}

ScalarType scalar_resolve(const char *text) {
  if (!*text || !strchr("~nNtTfF.+-0123456789", *text)) /* most words */
    return *text ? SCALAR_STRING : SCALAR_NULL;
  static const char *const nulls[] = {"~", "null", "Null", "NULL", NULL};
  static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
  return g_strv_contains(nulls, text)   ? SCALAR_NULL
         : g_strv_contains(bools, text) ? SCALAR_BOOL
         : is_int(text)                 ? SCALAR_INT
         : is_float(text)               ? SCALAR_FLOAT
                                        : SCALAR_STRING;
}

const char *scalar_type_name(ScalarType type) {
  static const char *const names[] = {"a string", "an integer", "a number", "a boolean", "null"};
  return names[type];
}
