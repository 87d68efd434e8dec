/* Domain XML from documents and back, without a hypervisor: for tests that ask libvirt what it
 * makes of them.
 *
 *   rows                      each leaf row: path, type, key field of its list or group?, example, flags
 *   new DOCUMENT              the canonical spec on one line, then XML
 *   read [APPLIED]            of XML: the spec that is read, as JSON
 *   patch DOCUMENT [APPLIED]  of XML: "changed" or "unchanged" on one line, then XML
 *
 * A request on standard input is one line, its words and the length of the XML separated by tabs, and the XML. The
 * answer is a line "ok LENGTH" or "failed LENGTH", and so many bytes. One process for a thousand questions: under
 * sanitizers each start costs more than all that it is asked.
 */
#include "state/domain_xml.h"

#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  char **words; /* command and arguments */
  const char *xml;
  GString *answer;
} Request;

static const char *argument(const Request *request, guint i) {
  return g_strv_length(request->words) > i ? request->words[i] : NULL;
}

static gboolean fail(GError **error, const char *message) {
  g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, message);
  return FALSE;
}

/* NULL without an error: there is no such argument. */
static Desired *load(const char *path, GError **error) {
  g_autofree char *text = NULL;
  gsize length;
  if (!path || !g_file_get_contents(path, &text, &length, error))
    return NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  desired_decode(desired, path, text, length, diagnostics);
  g_autoptr(GString) said = g_string_new(path);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    g_string_append_printf(said, "\n%s", line);
  }
  if (!diagnostics->errors && desired->objects->len == 1)
    return g_steal_pointer(&desired);
  fail(error, said->str);
  return NULL;
}

static const VmSpec *spec_of(const Desired *desired) { return desired ? object_vm(desired->objects->pdata[0]) : NULL; }

static void add_rows(GString *answer, const FieldTable *table, const char *prefix) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    g_autofree char *path = g_strconcat(prefix, *prefix ? "." : "", field->key, NULL);
    if (field->sub) {
      g_autofree char *inner = g_strconcat(path, field->type == VALUE_LIST ? "[]" : "", NULL);
      add_rows(answer, field->sub, inner);
    } else {
      g_string_append_printf(answer, "%s\t%s%s%s%s%s\t%s\n", path, field->xml ? "xml " : "", field->key_field ? "key " : "",
                             field->required ? "required " : "", field->unmanage ? "unmanage " : "",
                             field->match_field ? "match " : "", field->example);
    }
  }
}

static gboolean answer_rows(const Request *request, GError **error G_GNUC_UNUSED) {
  add_rows(request->answer, &VmSpec_table, "");
  return TRUE;
}

static gboolean answer_new(const Request *request, GError **error) {
  g_autoptr(Desired) desired = load(argument(request, 1), error);
  if (!desired)
    return FALSE;
  const Object *object = desired->objects->pdata[0];
  g_autoptr(xmlDoc) doc = domain_xml_new(object->metadata.name, object->spec, NULL, error);
  if (!doc)
    return FALSE;
  g_autofree char *json = spec_to_json(&VmSpec_table, object->spec), *text = xml_text(doc);
  g_string_append_printf(request->answer, "%s\n%s\n", json, text);
  return TRUE;
}

static gboolean answer_read(const Request *request, GError **error) {
  GError *failed = NULL;
  g_autoptr(Desired) applied = load(argument(request, 1), &failed);
  g_autoptr(xmlDoc) doc = failed ? NULL : xml_parse(request->xml, "the request", &failed);
  if (failed) {
    g_propagate_error(error, failed);
    return FALSE;
  }
  VmSpec *spec = spec_new(&VmSpec_table);
  domain_xml_read(xmlDocGetRootElement(doc), spec_of(applied), spec);
  g_autofree char *json = spec_to_json(&VmSpec_table, spec);
  g_string_append_printf(request->answer, "%s\n", json);
  spec_free(&VmSpec_table, spec);
  return TRUE;
}

static gboolean answer_patch(const Request *request, GError **error) {
  GError *failed = NULL;
  g_autoptr(Desired) desired = load(argument(request, 1), &failed);
  g_autoptr(Desired) applied = failed ? NULL : load(argument(request, 2), &failed);
  g_autoptr(xmlDoc) doc = failed ? NULL : xml_parse(request->xml, "the request", &failed);
  gboolean changed = FALSE;
  if (!failed)
    domain_xml_patch(xmlDocGetRootElement(doc), spec_of(desired), spec_of(applied), NULL, &changed, &failed);
  if (failed) {
    g_propagate_error(error, failed);
    return FALSE;
  }
  g_autofree char *text = xml_text(doc);
  g_string_append_printf(request->answer, "%s\n%s\n", changed ? "changed" : "unchanged", text);
  return TRUE;
}

static const struct {
  const char *name;
  guint least, most; /* arguments */
  gboolean (*answer)(const Request *request, GError **error);
} commands[] = {
    {"rows", 0, 0, answer_rows},
    {"new", 1, 1, answer_new},
    {"read", 0, 1, answer_read},
    {"patch", 1, 2, answer_patch},
};

static gboolean answer(const Request *request, GError **error) {
  guint arguments = g_strv_length(request->words) - 1;
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
    if (strcmp(commands[i].name, request->words[0]) == 0 && arguments >= commands[i].least && arguments <= commands[i].most)
      return commands[i].answer(request, error);
  return fail(error, "unknown request");
}

/* line: as sent. FALSE: the text ended before its length. */
static gboolean serve(char *line) {
  g_auto(GStrv) words = g_strsplit(g_strchomp(line), "\t", -1);
  guint last = g_strv_length(words) - 1;
  gsize length = (gsize)g_ascii_strtoull(words[last], NULL, 10);
  g_clear_pointer(&words[last], g_free);
  g_autofree char *xml = g_malloc0(length + 1);
  if (last == 0 || fread(xml, 1, length, stdin) != length)
    return FALSE;
  g_autoptr(GString) text = g_string_new(NULL);
  Request request = {words, xml, text};
  g_autoptr(GError) error = NULL;
  gboolean ok = answer(&request, &error);
  const char *said = ok ? text->str : error->message;
  printf("%s %zu\n%s", ok ? "ok" : "failed", strlen(said), said);
  fflush(stdout);
  return TRUE;
}

int main(void) {
  char *line = NULL;
  size_t size = 0;
  gboolean ok = TRUE;
  while (ok && getline(&line, &size, stdin) > 0)
    ok = serve(line);
  free(line);
  return ok ? 0 : 1;
}
