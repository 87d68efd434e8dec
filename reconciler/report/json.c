/* One JSON document, whatever happens: the plan in the fixed format, after an apply with the
 * results, or the error and the diagnostics. */
#include "reconciler/plan/json.h"
#include "reconciler/report/report.h"
#include "schema/url_mask.h"

static json_t *results_json(const GPtrArray *results) {
  json_t *array = json_array();
  for (guint i = 0; i < results->len; i++) {
    const ActionResult *result = results->pdata[i];
    json_t *object = json_object();
    json_object_set_new(object, "id", json_text(result->action->id));
    json_object_set_new(object, "result", json_text(result_words[result->kind]));
    json_object_set_new(object, "message", json_text(result->message));
    json_object_set_new(object, "milliseconds", json_integer(result->milliseconds));
    json_array_append_new(array, object);
  }
  return array;
}

static json_t *diagnostics_json(const Diagnostics *diagnostics) {
  static const char *const severities[] = {"error", "warning", "note"};
  json_t *array = json_array();
  for (guint i = 0; diagnostics && i < diagnostics->items->len; i++) {
    const Diagnostic *diagnostic = diagnostics->items->pdata[i];
    json_t *object = json_object();
    json_object_set_new(object, "severity", json_text(severities[diagnostic->severity]));
    json_object_set_new(object, "file", json_text(diagnostic->at.file));
    json_object_set_new(object, "line", json_integer(diagnostic->at.line));
    json_object_set_new(object, "column", json_integer(diagnostic->at.column));
    json_object_set_new(object, "message", json_text(diagnostic->message));
    json_array_append_new(array, object);
  }
  return array;
}

static void append_document(GString *out, const json_t *root) {
  g_autofree char *whole = json_dumps(root, JSON_INDENT(2)), *text = url_mask(whole);
  g_string_append_printf(out, "%s\n", text);
}

static void append_trouble(json_t *root, const GError *error, const Diagnostics *diagnostics) {
  if (error)
    json_object_set_new(root, "error", json_text(error->message));
  if (error || (diagnostics && diagnostics->items->len > 0))
    json_object_set_new(root, "diagnostics", diagnostics_json(diagnostics));
}

static json_t *empty_document(void) {
  json_t *root = json_object();
  json_object_set_new(root, "formatVersion", json_integer(1));
  return root;
}

static void json_result(GString *out, const RunResult *result, G_GNUC_UNUSED const ReportView *view) {
  json_auto_t *root = result->plan ? plan_json(result->plan) : empty_document();
  if (result->results)
    json_object_set_new(root, "results", results_json(result->results));
  append_trouble(root, result->error, result->diagnostics);
  json_object_set_new(root, "exitStatus", json_integer(result->exit_status));
  append_document(out, root);
}

static void json_failure(GString *out, const GError *error, const Diagnostics *diagnostics) {
  json_auto_t *root = empty_document();
  append_trouble(root, error, diagnostics);
  json_object_set_new(root, "exitStatus", json_integer(1));
  append_document(out, root);
}

const ReportFormat report_json = {.name = "json", .result = json_result, .failure = json_failure};
