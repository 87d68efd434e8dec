/* Compiling the paths of rows, and the cache of them. */
#include "state/xml_path_compile.h"

#include <string.h>

/* A hand on the text of a row. The rows are ours: what doesn't parse is a bug. */
typedef struct {
  const char *row, *at;
} Cursor;

static gboolean skip(Cursor *cursor, const char *token) {
  if (!g_str_has_prefix(cursor->at, token))
    return FALSE;
  cursor->at += strlen(token);
  return TRUE;
}

static void expect(Cursor *cursor, const char *token) {
  if (!skip(cursor, token))
    g_error("path \"%s\": expected %s at \"%s\"", cursor->row, token, cursor->at);
}

static char *take_name(Cursor *cursor) {
  gsize length = strcspn(cursor->at, "/@[]='! |?");
  if (length == 0)
    g_error("path \"%s\": expected a name at \"%s\"", cursor->row, cursor->at);
  char *name = g_strndup(cursor->at, length);
  cursor->at += length;
  return name;
}

static void take_predicates(Cursor *cursor, GArray *predicates) {
  while (skip(cursor, "[")) {
    Predicate predicate = {0};
    if (!skip(cursor, "@")) {
      predicate.child = take_name(cursor);
      expect(cursor, "/@");
    }
    predicate.attribute = take_name(cursor);
    expect(cursor, "='");
    const char *end = strchr(cursor->at, '\'');
    if (!end)
      g_error("path \"%s\": a quote isn't closed", cursor->row);
    predicate.value = g_strndup(cursor->at, end - cursor->at);
    cursor->at = end;
    expect(cursor, "']");
    g_array_append_val(predicates, predicate);
  }
}

static void take_steps(Cursor *cursor, Alternative *alternative) {
  do {
    if (skip(cursor, "@")) {
      alternative->attribute = take_name(cursor);
      return;
    }
    Step step = {.name = take_name(cursor), .predicates = g_array_new(FALSE, TRUE, sizeof(Predicate))};
    step.single = skip(cursor, "!");
    take_predicates(cursor, step.predicates);
    g_array_append_val(alternative->steps, step);
  } while (skip(cursor, "/"));
}

static Alternative take_alternative(Cursor *cursor) {
  Alternative alternative = {.leading = g_array_new(FALSE, TRUE, sizeof(Predicate)),
                             .steps = g_array_new(FALSE, TRUE, sizeof(Step))};
  take_predicates(cursor, alternative.leading);
  if (alternative.leading->len == 0 || skip(cursor, "/"))
    take_steps(cursor, &alternative);
  return alternative;
}

static XmlPath *compile(const char *text) {
  XmlPath *path = g_new0(XmlPath, 1);
  path->text = g_strdup(text);
  path->alternatives = g_array_new(FALSE, TRUE, sizeof(Alternative));
  Cursor cursor = {text, text};
  do {
    Alternative alternative = take_alternative(&cursor);
    g_array_append_val(path->alternatives, alternative);
    if (skip(&cursor, " | "))
      path->mirrored = TRUE;
    else if (!skip(&cursor, " ?? "))
      break;
  } while (TRUE);
  if (*cursor.at)
    g_error("path \"%s\": unexpected \"%s\"", text, cursor.at);

  Alternative *alternatives = &path_alternative(path, 0);
  path->variants = path->alternatives->len > 1 && alternatives[0].leading->len > 0;
  if (path->alternatives->len > 1 && !path->variants && !path->mirrored)
    path->fallback = xml_path(strstr(text, " ?? ") + 4);
  return path;
}

/* Compiled paths by the address of the row's text, filled once and read without a lock;
 * what doesn't fit is found by its text, under the lock. */
#define N_SLOTS 1024
static const XmlPath *slots[N_SLOTS];
static const char *slot_texts[N_SLOTS];
static GRecMutex lock; /* recursive: a fallback is a path of its own */
static GHashTable *by_text;

static const XmlPath *compiled(const char *text) {
  if (!by_text)
    by_text = g_hash_table_new(g_str_hash, g_str_equal);
  const XmlPath *path = g_hash_table_lookup(by_text, text);
  if (!path) {
    XmlPath *fresh = compile(text);
    g_hash_table_insert(by_text, fresh->text, fresh);
    path = fresh;
  }
  return path;
}

const XmlPath *xml_path(const char *text) {
  gsize slot = ((guintptr)text * G_GUINT64_CONSTANT(0x9E3779B97F4A7C15)) >> 54;
  for (guint probe = 0; probe < 8; probe++) {
    guint i = (slot + probe) % N_SLOTS;
    const XmlPath *path = g_atomic_pointer_get(&slots[i]);
    if (!path)
      break;
    /* The address may have been another text's before: only the text decides. */
    if (slot_texts[i] == text && strcmp(path->text, text) == 0)
      return path;
  }
  g_rec_mutex_lock(&lock);
  const XmlPath *path = compiled(text);
  for (guint probe = 0; probe < 8; probe++) {
    guint i = (slot + probe) % N_SLOTS;
    if (slots[i] && slot_texts[i] == text && slots[i] == path)
      break;
    if (!slots[i]) {
      slot_texts[i] = text;
      g_atomic_pointer_set(&slots[i], path); /* publishes the text too */
      break;
    }
  }
  g_rec_mutex_unlock(&lock);
  return path;
}
