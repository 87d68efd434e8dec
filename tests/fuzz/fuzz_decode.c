/* Any bytes as a file: errors or objects, never a crash. What was accepted is printed as
 * canonical JSON and as YAML, which must be accepted again and mean the same. */
#include "schema/document.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(const FieldTable *table, gconstpointer spec) {
  g_autofree char *json = spec_to_json(table, spec);
  g_autoptr(GError) error = NULL;
  gpointer again = spec_from_json(table, json, "spec", &error);
  if (!again)
    g_error("%s: %s", json, error->message);
  g_autofree char *json_again = spec_to_json(table, again);
  if (!spec_equal(table, spec, again) || strcmp(json, json_again) != 0)
    g_error("%s became %s", json, json_again);
  spec_free(table, again);
}

static void check_yaml(const Object *object) {
  g_autoptr(GString) yaml = g_string_new(NULL);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  object_to_yaml(object, NULL, yaml);
  desired_decode(desired, "/again.yaml", yaml->str, yaml->len, diagnostics);
  if (diagnostics->errors) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[0]);
    g_error("%s\n%s", line, yaml->str);
  }
  const Object *again = desired->objects->pdata[0];
  if (!spec_equal(kinds[object->kind].spec, object->spec, again->spec) ||
      !spec_equal(&MetadataSpec_table, &object->metadata, &again->metadata))
    g_error("it means something else:\n%s", yaml->str);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  desired_decode(desired, "/fuzz.yaml", (const char *)data, size, diagnostics);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    check_canonical(kinds[object->kind].spec, object->spec);
    check_canonical(&MetadataSpec_table, &object->metadata);
    check_yaml(object);
  }
  desired_finish(desired, diagnostics);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    if (!g_utf8_validate(line, -1, NULL) || strpbrk(line, "\033\n\r"))
      g_error("a message isn't one printable line");
  }
  return 0;
}
