/* Domain XML from documents and back, without a hypervisor: for tests that ask libvirt what it
 * makes of them.
 *
 *   xml_probe rows                 each leaf row: path, type, key field of its list or group?, example, flags
 *   xml_probe new DOCUMENT         the canonical spec on one line, then XML
 *   xml_probe read                 XML on stdin: the spec that is read, as JSON
 *   xml_probe patch DOCUMENT [APPLIED]  XML on stdin: "changed" or "unchanged" on one line, then XML
 */
#include "state/domain_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static char *slurp(FILE *file) {
  GString *text = g_string_new(NULL);
  char buffer[4096];
  for (gsize n; (n = fread(buffer, 1, sizeof(buffer), file)) > 0;)
    g_string_append_len(text, buffer, (gssize)n);
  return g_string_free(text, FALSE);
}

static Desired *load(const char *path) {
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_get_contents(path, &text, &length, NULL))
    die(path);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Desired *desired = desired_new();
  desired_decode(desired, path, text, length, diagnostics);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    fprintf(stderr, "%s\n", line);
  }
  if (diagnostics->errors || desired->objects->len != 1)
    exit(1);
  return desired;
}

static const VmSpec *spec_of(const Desired *desired) {
  return object_vm(desired->objects->pdata[0]);
}

static void print_rows(const FieldTable *table, const char *prefix) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    g_autofree char *path = g_strconcat(prefix, *prefix ? "." : "", field->key, NULL);
    if (field->sub) {
      g_autofree char *inner = g_strconcat(path, field->type == VALUE_LIST ? "[]" : "", NULL);
      print_rows(field->sub, inner);
    } else {
      printf("%s\t%s%s%s%s%s\t%s\n", path, field->xml ? "xml " : "", field->key_field ? "key " : "",
             field->required ? "required " : "", field->unmanage ? "unmanage " : "",
             field->match_field ? "match " : "", field->example);
    }
  }
}

static xmlDoc *read_doc(void) {
  g_autofree char *text = slurp(stdin);
  g_autoptr(GError) error = NULL;
  xmlDoc *doc = xml_parse(text, "standard input", &error);
  if (!doc)
    die(error->message);
  return doc;
}

static void print_new(const char *path) {
  g_autoptr(Desired) desired = load(path);
  g_autoptr(GError) error = NULL;
  const Object *object = desired->objects->pdata[0];
  g_autofree char *json = spec_to_json(&VmSpec_table, object->spec);
  g_autoptr(xmlDoc) doc = domain_xml_new(object->metadata.name, object->spec, NULL, &error);
  if (!doc)
    die(error->message);
  g_autofree char *text = xml_text(doc);
  printf("%s\n%s\n", json, text);
}

static void print_read(const char *applied_path) {
  g_autoptr(Desired) applied = applied_path ? load(applied_path) : NULL;
  g_autoptr(xmlDoc) doc = read_doc();
  VmSpec *spec = spec_new(&VmSpec_table);
  domain_xml_read(xmlDocGetRootElement(doc), applied ? spec_of(applied) : NULL, spec);
  g_autofree char *json = spec_to_json(&VmSpec_table, spec);
  printf("%s\n", json);
  spec_free(&VmSpec_table, spec);
}

static void print_patched(const char *path, const char *applied_path) {
  g_autoptr(Desired) desired = load(path), applied = applied_path ? load(applied_path) : NULL;
  g_autoptr(xmlDoc) doc = read_doc();
  g_autoptr(GError) error = NULL;
  gboolean changed = FALSE;
  if (!domain_xml_patch(xmlDocGetRootElement(doc), spec_of(desired), applied ? spec_of(applied) : NULL, NULL, &changed,
                        &error))
    die(error->message);
  g_autofree char *text = xml_text(doc);
  printf("%s\n%s\n", changed ? "changed" : "unchanged", text);
}

int main(int argc, char **argv) {
  const char *command = argc > 1 ? argv[1] : "";
  if (strcmp(command, "rows") == 0)
    print_rows(&VmSpec_table, "");
  else if (strcmp(command, "new") == 0 && argc == 3)
    print_new(argv[2]);
  else if (strcmp(command, "read") == 0)
    print_read(argc > 2 ? argv[2] : NULL);
  else if (strcmp(command, "patch") == 0 && argc >= 3)
    print_patched(argv[2], argc > 3 ? argv[3] : NULL);
  else
    die("usage: xml_probe rows | new DOCUMENT | read [APPLIED] | patch DOCUMENT [APPLIED]");
  return 0;
}
