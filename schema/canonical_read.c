/* Canonical JSON back into specs, in one pass over the text: each machine of a host has such
 * a record, so no tree is made of it. Strict in what it takes, since the text may come from
 * anywhere. */
#include "schema/canonical.h"
#include "schema/document.h"
#include "schema/value.h"

#include <string.h>

enum { DEEPEST = 64 }; /* of what is passed over */

/* Where we are, as disks[1].size: for messages only. */
typedef struct Step {
  const struct Step *up;
  const char *key; /* NULL: an item */
  guint index;
} Step;

typedef struct {
  const char *text, *at;
  const char *what;
  GString *string; /* the last one that was read */
  GError **error;
} Reader;

static gboolean read_table(Reader *reader, const Step *step, const FieldTable *table, gpointer spec);

static void append_path(GString *out, const Step *step) {
  if (!step)
    return;
  append_path(out, step->up);
  if (step->key)
    g_string_append_printf(out, "%s%s", out->len ? "." : "", step->key);
  else
    g_string_append_printf(out, "[%u]", step->index);
}

static char *path_of(const Step *step) {
  GString *path = g_string_new(NULL);
  append_path(path, step);
  if (path->len)
    g_string_append(path, ": ");
  return g_string_free(path, FALSE);
}

static gboolean refused(Reader *reader, const Step *step) {
  g_autofree char *path = path_of(step);
  g_prefix_error(reader->error, "%s: %s", reader->what, path);
  return FALSE;
}

static gboolean not_json(Reader *reader, const char *why) {
  g_set_error(reader->error, SCHEMA_ERROR, SCHEMA_ERROR_SYNTAX, "%s: not JSON: %s (byte %" G_GSIZE_FORMAT ")", reader->what, why,
              (gsize)(reader->at - reader->text));
  return FALSE;
}

static char next(Reader *reader) {
  reader->at += strspn(reader->at, " \t\r\n");
  return *reader->at;
}

static gboolean fail(Reader *reader, const Step *step, const char *expected) {
  if (!next(reader))
    return not_json(reader, "it ends too early");
  g_autofree char *path = path_of(step);
  g_set_error(reader->error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "%s: %sexpected %s", reader->what, path, expected);
  return FALSE;
}

/* Tokens. */

static gboolean take(Reader *reader, char token) {
  if (next(reader) != token)
    return FALSE;
  reader->at++;
  return TRUE;
}

static gboolean read_hex(Reader *reader, gunichar *ret_code) {
  gunichar code = 0;
  for (guint i = 0; i < 4; i++, reader->at++) {
    if (!g_ascii_isxdigit(*reader->at))
      return FALSE;
    code = code << 4 | (gunichar)g_ascii_xdigit_value(*reader->at);
  }
  *ret_code = code;
  return TRUE;
}

/* \u0041, or a pair such as \ud83d\ude00. */
static gboolean read_code_point(Reader *reader) {
  gunichar code, low;
  if (!read_hex(reader, &code))
    return not_json(reader, "four hexadecimal digits are missing");
  if (code >= 0xd800 && code < 0xdc00) {
    gboolean pair = reader->at[0] == '\\' && reader->at[1] == 'u';
    reader->at += pair ? 2 : 0;
    if (!pair || !read_hex(reader, &low) || low < 0xdc00 || low > 0xdfff)
      return not_json(reader, "half a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (code == 0 || !g_unichar_validate(code))
    return not_json(reader, "a character that no text has");
  g_string_append_unichar(reader->string, code);
  return TRUE;
}

static gboolean read_escape(Reader *reader) {
  static const char names[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
  char name = *++reader->at;
  const char *found = name ? strchr(names, name) : NULL;
  if (found) {
    g_string_append_c(reader->string, characters[found - names]);
    reader->at++;
    return TRUE;
  }
  if (name != 'u')
    return not_json(reader, "an unknown escape");
  reader->at++;
  return read_code_point(reader);
}

static gboolean read_string(Reader *reader) {
  if (!take(reader, '"'))
    return not_json(reader, "a string is missing");
  g_string_truncate(reader->string, 0);
  for (;;) {
    const char *start = reader->at;
    while ((guchar)*reader->at >= 0x20 && *reader->at != '"' && *reader->at != '\\')
      reader->at++;
    g_string_append_len(reader->string, start, reader->at - start);
    if (*reader->at == '"')
      break;
    if (*reader->at != '\\')
      return not_json(reader, "a string doesn't end");
    if (!read_escape(reader))
      return FALSE;
  }
  reader->at++;
  return TRUE;
}

/* Behind a member or an item. */
static gboolean goes_on(Reader *reader, char end, gboolean *ret_more) {
  *ret_more = take(reader, ',');
  return *ret_more || take(reader, end) || not_json(reader, "a comma or a closing bracket is missing");
}

static gboolean read_key(Reader *reader) {
  return read_string(reader) && (take(reader, ':') || not_json(reader, "a colon is missing"));
}

/* Digits, sign and all, as a string that value_parse judges. */
static gboolean read_number(Reader *reader) {
  gsize length = strspn(reader->at, "+-.0123456789eE");
  g_string_truncate(reader->string, 0);
  g_string_append_len(reader->string, reader->at, (gssize)length);
  reader->at += length;
  return length > 0 || not_json(reader, "a value is missing");
}

static gboolean take_word(Reader *reader, const char *word) {
  gsize length = strlen(word);
  if (strncmp(reader->at, word, length) != 0)
    return FALSE;
  reader->at += length;
  return TRUE;
}

/* What is unknown here: a newer version may have written it. */
static gboolean skip(Reader *reader, guint depth) {
  char first = next(reader);
  if (first == '"')
    return read_string(reader);
  if (first != '{' && first != '[')
    return take_word(reader, "true") || take_word(reader, "false") || take_word(reader, "null") || read_number(reader);
  if (depth == DEEPEST)
    return not_json(reader, "nested too deep");
  char end = first == '{' ? '}' : ']';
  reader->at++;
  gboolean more = !take(reader, end);
  while (more)
    if ((first == '{' && !read_key(reader)) || !skip(reader, depth + 1) || !goes_on(reader, end, &more))
      return FALSE;
  return TRUE;
}

/* Values. */

static gboolean parse(Reader *reader, const Step *step, const Field *field, gpointer member) {
  return value_parse(field, reader->string->str, member, reader->error) || refused(reader, step);
}

static gboolean read_scalar(Reader *reader, const Step *step, const Field *field, gpointer member) {
  char first = next(reader);
  if (field->type == VALUE_BOOL) {
    *(gboolean *)member = first == 't';
    return take_word(reader, "true") || take_word(reader, "false") || fail(reader, step, "true or false");
  }
  if (field->type != VALUE_INT)
    return first == '"' ? read_string(reader) && parse(reader, step, field, member) : fail(reader, step, "a string");
  if (first != '-' && !g_ascii_isdigit(first))
    return fail(reader, step, "an integer");
  return read_number(reader) && parse(reader, step, field, member);
}

static gboolean read_strings(Reader *reader, const Step *step, const Field *field, char ***member) {
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  if (!take(reader, '['))
    return fail(reader, step, "an array");
  for (gboolean more = !take(reader, ']'); more;) {
    if (next(reader) != '"')
      return fail(reader, step, "strings");
    if (!read_string(reader))
      return FALSE;
    g_autofree char *text = value_parse_item(field, reader->string->str, reader->error);
    if (!text)
      return refused(reader, step);
    g_strv_builder_add(builder, text);
    if (!goes_on(reader, ']', &more))
      return FALSE;
  }
  *member = g_strv_builder_end(builder);
  return TRUE;
}

static gboolean read_map(Reader *reader, const Step *step, StringMap **member) {
  g_autoptr(StringMap) map = string_map_new();
  if (!take(reader, '{'))
    return fail(reader, step, "an object");
  for (gboolean more = !take(reader, '}'); more;) {
    if (!read_key(reader))
      return FALSE;
    g_autofree char *key = g_strdup(reader->string->str);
    if (string_map_get(map, key))
      return not_json(reader, "a key is given twice");
    if (next(reader) != '"')
      return fail(reader, step, "strings as values");
    if (!read_string(reader))
      return FALSE;
    string_map_set(map, key, reader->string->str);
    if (!goes_on(reader, '}', &more))
      return FALSE;
  }
  *member = g_steal_pointer(&map);
  return TRUE;
}

static gboolean read_item(Reader *reader, const Step *step, const FieldTable *sub, GPtrArray *items) {
  gpointer item = spec_new(sub);
  gboolean good = read_table(reader, step, sub, item);
  if (good && !field_given(sub, item, table_key_field(sub)))
    good = fail(reader, step, "the key of the item");
  g_autofree char *key = good ? item_key(sub, item) : NULL;
  if (good && list_find(sub, items, table_key_field(sub), key))
    good = fail(reader, step, "no two items of one key");
  if (good)
    g_ptr_array_add(items, item);
  else
    spec_free(sub, item);
  return good;
}

/* The list is filled in place: what was read so far is freed with the spec. */
static gboolean read_list(Reader *reader, const Step *step, const Field *field, GPtrArray **member) {
  if (!take(reader, '['))
    return fail(reader, step, "an array");
  *member = spec_list_new(field->sub);
  for (gboolean more = !take(reader, ']'); more;) {
    const Step item = {.up = step, .index = (*member)->len};
    if (!read_item(reader, &item, field->sub, *member) || !goes_on(reader, ']', &more))
      return FALSE;
  }
  return TRUE;
}

static gboolean read_field(Reader *reader, const Step *step, const Field *field, gpointer member) {
  switch (field->type) {
  case VALUE_STRINGS:
    return read_strings(reader, step, field, member);
  case VALUE_MAP:
    return read_map(reader, step, member);
  case VALUE_GROUP:
    return read_table(reader, step, field->sub, member);
  case VALUE_LIST:
    return read_list(reader, step, field, member);
  default:
    return read_scalar(reader, step, field, member);
  }
}

static gboolean read_table(Reader *reader, const Step *step, const FieldTable *table, gpointer spec) {
  if (!take(reader, '{'))
    return fail(reader, step, "an object");
  for (gboolean more = !take(reader, '}'); more;) {
    if (!read_key(reader))
      return FALSE;
    const Field *field = table_find(table, reader->string->str);
    if (field && field_given(table, spec, field))
      return not_json(reader, "a key is given twice");
    if (field)
      field_set_given(table, spec, field);
    const Step inner = {.up = step, .key = field ? field->key : NULL};
    if (!(field ? read_field(reader, &inner, field, field_member(field, spec)) : skip(reader, 0)) || !goes_on(reader, '}', &more))
      return FALSE;
  }
  return TRUE;
}

/* Whole texts. */

static gboolean check_end(Reader *reader) {
  return !next(reader) || not_json(reader, "something follows it");
}

static gboolean read_parts(Reader *reader, const JsonPart *parts, guint n_parts) {
  guint seen = 0;
  if (!take(reader, '{'))
    return fail(reader, NULL, "an object");
  for (gboolean more = !take(reader, '}'); more;) {
    if (!read_key(reader))
      return FALSE;
    guint i = 0;
    while (i < n_parts && strcmp(parts[i].key, reader->string->str) != 0)
      i++;
    const Step step = {.key = i < n_parts ? parts[i].key : NULL};
    if (i < n_parts && (seen & 1u << i))
      return not_json(reader, "a key is given twice");
    seen |= 1u << i;
    if (!(i < n_parts ? read_table(reader, &step, parts[i].table, parts[i].spec) : skip(reader, 0)) || !goes_on(reader, '}', &more))
      return FALSE;
  }
  for (guint i = 0; i < n_parts; i++)
    if (!(seen & 1u << i) && !parts[i].optional) {
      g_set_error(reader->error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "%s: it has no \"%s\"", reader->what, parts[i].key);
      return FALSE;
    }
  return check_end(reader);
}

static gboolean is_text(Reader *reader) {
  return g_utf8_validate(reader->text, -1, NULL) || not_json(reader, "not valid UTF-8");
}

gboolean specs_from_json(const JsonPart *parts, guint n_parts, const char *json, const char *what, GError **error) {
  g_autoptr(GString) string = g_string_sized_new(256);
  Reader reader = {json, json, what, string, error};
  return is_text(&reader) && read_parts(&reader, parts, n_parts);
}

gpointer spec_from_json(const FieldTable *table, const char *json, const char *what, GError **error) {
  g_autoptr(GString) string = g_string_sized_new(256);
  Reader reader = {json, json, what, string, error};
  gpointer spec = spec_new(table);
  if (is_text(&reader) && read_table(&reader, NULL, table, spec) && check_end(&reader))
    return spec;
  spec_free(table, spec);
  return NULL;
}
