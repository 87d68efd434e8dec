/* Documents of a file to objects: apiVersion, kind, metadata, spec. */
#include "schema/document.h"
#include <string.h>

#define ERRORS_MAX 1000 /* of one file; more help nobody */

static const char *const envelope_keys[] = {"apiVersion", "kind", "metadata", "spec", NULL};

static const Node *string_of(const Node *document, const char *key, Diagnostics *diagnostics) {
  const Node *node = node_get(document, key);
  if (!node)
    diag_error(diagnostics, document->at, "\"%s\" is missing", key);
  else if (node->kind == NODE_SCALAR && node->scalar == SCALAR_STRING)
    return node;
  else
    diag_error(diagnostics, node->at, "%s: expected a string", key);
  return NULL;
}

static void check_version(const Node *document, Diagnostics *diagnostics) {
  const Node *version = string_of(document, "apiVersion", diagnostics);
  if (!version || strcmp(version->text, API_VERSION) == 0)
    return;
  g_autofree char *shown = quoted(version->text);
  diag_error(diagnostics, version->at, "apiVersion: expected \"%s\", but got %s", API_VERSION, shown);
}

/* KIND_N when it is missing or unknown. */
static Kind find_kind(const Node *document, Diagnostics *diagnostics) {
  const Node *node = string_of(document, "kind", diagnostics);
  if (!node)
    return KIND_N;
  const char *names[KIND_N + 1] = {NULL};
  for (guint i = 0; i < KIND_N; i++) {
    if (strcmp(kinds[i].name, node->text) == 0)
      return (Kind)i;
    names[i] = kinds[i].name;
  }
  g_autofree char *shown = quoted(node->text);
  const char *near = nearest_word(node->text, names);
  if (near) {
    diag_error(diagnostics, node->at, "unknown kind %s: did you mean \"%s\"?", shown, near);
  } else {
    g_autofree char *all = g_strjoinv(", ", (char **)names);
    diag_error(diagnostics, node->at, "unknown kind %s: expected one of %s", shown, all);
  }
  return KIND_N;
}

static void check_keys(const Node *document, Diagnostics *diagnostics) {
  for (guint i = 0; i < MIN(document->n, ERRORS_MAX); i++) {
    const Node *key = document->keys[i];
    if (g_strv_contains(envelope_keys, key->text))
      continue;
    g_autofree char *shown = quoted(key->text);
    const char *near = nearest_word(key->text, envelope_keys);
    if (near)
      diag_error(diagnostics, key->at, "unknown key %s in a document: did you mean \"%s\"?", shown, near);
    else
      diag_error(diagnostics, key->at, "unknown key %s in a document: it has apiVersion, kind, metadata and spec", shown);
  }
}

static void decode_part(const Node *document, const char *key, const FieldTable *table, const char *base_dir, gpointer spec,
                        Diagnostics *diagnostics) {
  const Node *node = node_get(document, key);
  if (node)
    decode_spec(table, node, base_dir, spec, diagnostics);
  else
    diag_error(diagnostics, document->at, "\"%s\" is missing", key);
}

/* The object with all that is right in it; NULL when not even its kind is known. */
static Object *decode_document(Node *document, const char *base_dir, Diagnostics *diagnostics) {
  if (document->kind != NODE_MAPPING) {
    diag_error(diagnostics, document->at, "expected a document with apiVersion, kind, metadata and spec");
    return NULL;
  }
  check_version(document, diagnostics);
  check_keys(document, diagnostics);
  Kind kind = find_kind(document, diagnostics);
  if (kind == KIND_N) {
    MetadataSpec metadata = {0}; /* said along with the rest */
    decode_part(document, "metadata", &MetadataSpec_table, base_dir, &metadata, diagnostics);
    spec_clear(&MetadataSpec_table, &metadata);
    return NULL;
  }
  Object *object = object_new(kind, NULL);
  object->at = document->at;
  object->node = node_ref(document);
  decode_part(document, "metadata", &MetadataSpec_table, base_dir, &object->metadata, diagnostics);
  decode_part(document, "spec", kinds[kind].spec, base_dir, object->spec, diagnostics);
  return object;
}

/* Takes the object. */
static void add_object(Desired *desired, Object *object, gboolean sound, Diagnostics *diagnostics) {
  g_autoptr(Object) owned = object;
  if (!object->metadata.name)
    return;
  g_autofree char *id = object_id(object->kind, object->metadata.name);
  const Object *same = g_hash_table_lookup(desired->by_id, id);
  const Place *first = same ? &same->at : g_hash_table_lookup(desired->broken, id);
  if (first) {
    diag_error(diagnostics, object->at, "%s \"%s\" is declared twice", kinds[object->kind].name, object->metadata.name);
    diag_note(diagnostics, *first, "first declared here");
  } else if (sound) {
    g_ptr_array_add(desired->objects, g_steal_pointer(&owned));
    g_hash_table_insert(desired->by_id, g_steal_pointer(&id), object);
  } else {
    g_hash_table_insert(desired->broken, g_steal_pointer(&id), g_memdup2(&object->at, sizeof(Place)));
  }
}

/* base_dir NULL: the file has no folder on this host. */
static void decode_documents(Desired *desired, const char *file, const char *base_dir, const char *data, gsize length,
                             Diagnostics *diagnostics) {
  guint before = diagnostics->errors;
  g_autoptr(GPtrArray) documents = node_parse(file, data, length, &node_limits_default, diagnostics);
  gboolean readable = diagnostics->errors == before;
  for (guint i = 0; i < documents->len; i++) {
    guint errors = diagnostics->errors;
    if (errors - before > ERRORS_MAX) {
      diag_error(diagnostics, ((const Node *)documents->pdata[i])->at, "too many errors in this file: the rest wasn't read");
      break;
    }
    Object *object = decode_document(documents->pdata[i], base_dir, diagnostics);
    if (object)
      add_object(desired, object, readable && diagnostics->errors == errors, diagnostics);
  }
}

void desired_decode(Desired *desired, const char *file, const char *data, gsize length, Diagnostics *diagnostics) {
  g_autofree char *folder = g_path_get_dirname(file), *base_dir = g_canonicalize_filename(folder, NULL);
  decode_documents(desired, file, base_dir, data, length, diagnostics);
}

void desired_decode_text(Desired *desired, const char *name, const char *data, gsize length, Diagnostics *diagnostics) {
  decode_documents(desired, name, NULL, data, length, diagnostics);
}
