/* What `reconcile explain` says of one field. */
#include "schema/reference.h"
#include "schema/describe.h"
#include "schema/document.h"
#include "schema/value.h"
#include <string.h>

/* Where a path has led. */
typedef struct {
  Kind kind;
  const FieldTable *table; /* the struct that the place stands for; NULL at a leaf */
  const Field *field;      /* NULL at a kind, its spec or its metadata */
  GString *name;           /* "VirtualMachine.spec.disks" */
} Topic;

static void append_wrapped(GString *out, guint indent, const char *text) {
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  guint column = 0;
  for (guint i = 0; words[i]; i++) {
    guint length = (guint)g_utf8_strlen(words[i], -1);
    if (column && column + 1 + length > 78) {
      g_string_append_c(out, '\n');
      column = 0;
    }
    if (column == 0) g_string_append_printf(out, "%*s%s", (int)indent, "", words[i]);
    else g_string_append_printf(out, " %s", words[i]);
    column = column ? column + 1 + length : indent + length;
  }
  g_string_append_c(out, '\n');
}

static void append_property(GString *out, const char *name, const char *text) {
  if (text) g_string_append_printf(out, "%-10s%s\n", name, text);
}

static void append_fields(GString *out, const FieldTable *table) {
  g_string_append(out, "\nFIELDS\n");
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    g_autofree char *type = describe_type(field);
    g_string_append_printf(out, "  %s  <%s>%s\n", field->key, type, field->required ? "  required" : "");
    append_wrapped(out, 6, field->help);
  }
}

/* What the value looks like. */
static void append_value_notes(GString *out, const Field *field) {
  g_autofree char *words = describe_words(field);
  g_autofree char *bounds = describe_bounds(field);
  append_property(out, "WORDS", words);
  g_autofree char *rounding = describe_rounding(field);
  append_property(out, "BOUNDS", bounds);
  append_property(out, "ROUNDING", rounding);
  if (field->type != VALUE_GROUP && field->type != VALUE_LIST && !words)
    append_property(out, "VALUE", value_info(field->type == VALUE_STRINGS ? field->item : field->type)->expects);
}

static const char *when_removed(const Field *field) {
  if (field->unmanage) return "leaving it out leaves the value as it is";
  if (field->type == VALUE_LIST) return "items that leave the file are removed; those that were never in it stay";
  return "leaving it out again brings back libvirt's default";
}

static void append_row(GString *out, const Field *field) {
  append_value_notes(out, field);
  g_autofree char *effect = describe_effect(field);
  append_property(out, "EFFECT", effect);
  if (field->type != VALUE_GROUP && field->effect != EFFECT_NEVER && field->effect != EFFECT_NONE)
    append_property(out, "REMOVED", when_removed(field));
  append_property(out, "XML", field->xml);
  if (!field->example) return;
  g_string_append(out, "\nEXAMPLE\n");
  g_string_append_printf(out, "  %s: %s\n", field->key, field->example);
}

static char *topic_text(const Topic *topic) {
  GString *out = g_string_new(NULL);
  append_property(out, "KIND", kinds[topic->kind].name);
  append_property(out, "VERSION", API_VERSION);
  if (topic->field) {
    g_autofree char *type = describe_type(topic->field);
    g_autofree char *text = g_strdup_printf("%s  <%s>%s", topic->name->str, type,
                                            topic->field->required ? "  required" : "");
    append_property(out, "FIELD", text);
  }
  g_string_append_c(out, '\n');
  const char *help = topic->field ? topic->field->help : topic->table ? topic->table->help : kinds[topic->kind].help;
  append_wrapped(out, 0, help);
  if (topic->field && topic->table && strcmp(topic->table->help, help) != 0) append_wrapped(out, 0, topic->table->help);
  if (topic->field) {
    g_string_append_c(out, '\n');
    append_row(out, topic->field);
  }
  if (topic->table) append_fields(out, topic->table);
  return g_string_free(out, FALSE);
}

static char *kind_list(void) {
  GString *out = g_string_new("KINDS\n");
  for (guint i = 0; i < KIND_N; i++) {
    g_string_append_printf(out, "  %s  (%s)\n", kinds[i].name, kinds[i].word);
    append_wrapped(out, 6, kinds[i].help);
  }
  g_string_append(out, "\nEach object has apiVersion: " API_VERSION ", kind, metadata and spec.\n"
                       "More: reconcile explain VirtualMachine, reconcile explain vm.disks.size\n");
  return g_string_free(out, FALSE);
}

static void append_paths(GString *out, const char *above, const FieldTable *table) {
  for (guint i = 0; i < table->n_fields; i++) {
    g_autofree char *path = g_strconcat(above, ".", table->fields[i].key, NULL);
    g_string_append_printf(out, "%s\n", path);
    if (table->fields[i].sub)
      append_paths(out, path, table->fields[i].sub);
  }
}

char *reference_paths(void) {
  GString *out = g_string_new(NULL);
  for (guint i = 0; i < KIND_N; i++) {
    g_string_append_printf(out, "%s\n", kinds[i].word);
    append_paths(out, kinds[i].word, kinds[i].spec);
  }
  return g_string_free(out, FALSE);
}

static gboolean find_kind(const char *word, Kind *ret_kind) {
  for (guint i = 0; i < KIND_N; i++) {
    if (g_ascii_strcasecmp(word, kinds[i].name) && g_ascii_strcasecmp(word, kinds[i].word)) continue;
    *ret_kind = i;
    return TRUE;
  }
  return FALSE;
}

static gboolean unknown(const char *what, const char *written, const char *const *candidates, GError **error) {
  const char *near = nearest_word(written, candidates);
  g_autofree char *all = near ? NULL : g_strjoinv(", ", (char **)candidates);
  g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "%s '%s'; %s%s%s", what, written,
              near ? "did you mean '" : "there are ", near ? near : all, near ? "'?" : "");
  return FALSE;
}

static gboolean unknown_kind(const char *word, GError **error) {
  const char *names[2 * KIND_N + 1];
  for (guint i = 0; i < KIND_N; i++) {
    names[i] = kinds[i].name;
    names[KIND_N + i] = kinds[i].word;
  }
  names[2 * KIND_N] = NULL;
  return unknown("no kind", word, names, error);
}

static gboolean unknown_field(const Topic *topic, const char *word, GError **error) {
  g_autofree char *what = g_strdup_printf("%s has no field", topic->name->str);
  if (!topic->table) {
    g_set_error(error, SCHEMA_ERROR, SCHEMA_ERROR_VALUE, "%s '%s': it is a value", what, word);
    return FALSE;
  }
  g_autoptr(GPtrArray) keys = g_ptr_array_new();
  for (guint i = 0; i < topic->table->n_fields; i++) g_ptr_array_add(keys, (gpointer)topic->table->fields[i].key);
  g_ptr_array_add(keys, NULL);
  return unknown(what, word, (const char *const *)keys->pdata, error);
}

static gboolean step_into(Topic *topic, const char *word, GError **error) {
  const Field *field = topic->table ? table_find(topic->table, word) : NULL;
  if (!field) return unknown_field(topic, word, error);
  topic->field = field;
  topic->table = field->sub;
  g_string_append_printf(topic->name, ".%s", field->key);
  return TRUE;
}

/* The kind and the part of the document; returns how many words that took. A path
 * that starts with a field of a machine means the machine's. */
static guint find_start(char *const *words, Topic *topic, GError **error) {
  guint n = 0;
  topic->kind = KIND_VIRTUAL_MACHINE;
  if (find_kind(words[0], &topic->kind)) n = 1;
  else if (!table_find(&VmSpec_table, words[0])) {
    if (strcmp(words[0], "spec") && strcmp(words[0], "metadata")) {
      unknown_kind(words[0], error);
      return G_MAXUINT;
    }
  }
  g_string_assign(topic->name, kinds[topic->kind].name);
  gboolean metadata = words[n] && strcmp(words[n], "metadata") == 0;
  topic->table = metadata ? &MetadataSpec_table : kinds[topic->kind].spec;
  g_string_append(topic->name, metadata ? ".metadata" : ".spec");
  if (metadata || (words[n] && strcmp(words[n], "spec") == 0)) n++;
  return n;
}

/* "disks[vda].size", as plans write it, means "disks.size". */
static char *without_items(const char *path) {
  GString *plain = g_string_new(NULL);
  guint depth = 0;
  for (; *path; path++) {
    if (*path == '[') depth++;
    else if (*path == ']' && depth) depth--;
    else if (!depth) g_string_append_c(plain, *path);
  }
  return g_string_free(plain, FALSE);
}

char *reference_text(const char *path, GError **error) {
  if (!path || !*path) return kind_list();
  g_autofree char *plain = without_items(path);
  g_auto(GStrv) words = g_strsplit(plain, ".", -1);
  if (!words[0]) return kind_list();
  g_autoptr(GString) name = g_string_new(NULL);
  Topic topic = {.name = name};
  guint n = find_start(words, &topic, error);
  if (n == G_MAXUINT) return NULL;
  for (; words[n]; n++)
    if (!step_into(&topic, words[n], error)) return NULL;
  return topic_text(&topic);
}
