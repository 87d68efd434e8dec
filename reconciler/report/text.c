/* The plan and the outcome as text for people: objects with their fields, old and new, then
 * the actions, in the habits of terraform and kubectl. */
#include <string.h>

#include "reconciler/report/escape.h"
#include "reconciler/report/paint.h"
#include "reconciler/report/report.h"
#include "schema/url_mask.h"

#define VALUE_WIDTH 60  /* longer values are cut, unless verbose */
#define COLUMN_WIDTH 36 /* most that a column is padded to */

static const Paint change_paints[CHANGE_N] = {PAINT_DIM, PAINT_GREEN, PAINT_YELLOW, PAINT_RED, PAINT_BLUE, PAINT_RED};
static const Paint impact_paints[IMPACT_N] = {PAINT_DIM, PAINT_DIM, PAINT_DIM, PAINT_YELLOW, PAINT_RED};

static const char *arrow(const ReportView *view) { return view->unicode ? "→" : "->"; }
static const char *bullet(const ReportView *view) { return view->unicode ? "•" : "*"; }

static void pad(GString *out, guint width, guint to) {
  for (; width < to; width++)
    g_string_append_c(out, ' ');
}

/* A value as it is shown: escaped, cut, and an empty one visible. */
static char *shown(const char *value, const ReportView *view) {
  if (!value)
    return g_strdup("unset");
  g_autofree char *text = escape_text(value);
  if (!*text)
    return g_strdup("\"\"");
  if (view->verbose || g_utf8_strlen(text, -1) <= VALUE_WIDTH)
    return g_steal_pointer(&text);
  g_autofree char *head = g_utf8_substring(text, 0, VALUE_WIDTH - 1);
  return g_strconcat(head, view->unicode ? "…" : "...", NULL);
}

static char *values_of(const FieldChange *change, const ReportView *view) {
  g_autofree char *from = shown(change->from, view), *to = shown(change->to, view);
  if (change->whole || !change->from)
    return g_strdup(change->to ? to : change->from ? from : "");
  if (!change->to)
    return g_strdup_printf("%s %s unset", from, arrow(view));
  return g_strdup_printf("%s %s %s", from, arrow(view), to);
}

static Paint effect_paint(const FieldChange *change) {
  if (change->effect == EFFECT_NEVER)
    return PAINT_RED;
  return change->pending ? PAINT_YELLOW : PAINT_DIM;
}

static void append_field(GString *out, const FieldChange *change, const char *values, guint path_width,
                         guint values_width, const ReportView *view) {
  ChangeKind kind = !change->from && change->to ? CHANGE_CREATE : change->from && !change->to ? CHANGE_DELETE : CHANGE_UPDATE;
  g_autofree char *path = escape_text(change->path), *effect = report_effect(change), *words = escape_text(effect);
  g_string_append(out, "    ");
  paint_append(out, view->color, change_paints[kind], report_symbol(kind));
  g_string_append_printf(out, " %s", path);
  pad(out, text_width(path), path_width);
  g_string_append_printf(out, "  %s", values);
  pad(out, text_width(values), values_width);
  g_string_append(out, "  ");
  paint_append(out, view->color, effect_paint(change), words);
  g_string_append_c(out, '\n');
}

static void append_fields(GString *out, const PlanObject *object, const ReportView *view) {
  g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
  guint path_width = 0, values_width = 0;
  for (guint i = 0; i < object->fields->len; i++) {
    const FieldChange *change = object->fields->pdata[i];
    char *text = values_of(change, view);
    g_ptr_array_add(values, text);
    path_width = MAX(path_width, text_width(change->path));
    values_width = MAX(values_width, text_width(text));
  }
  for (guint i = 0; i < object->fields->len; i++)
    append_field(out, object->fields->pdata[i], values->pdata[i], MIN(path_width, COLUMN_WIDTH),
                 MIN(values_width, COLUMN_WIDTH), view);
}

typedef struct {
  GString *out;
  const ReportView *view;
} Writer;

static void append_summary_line(gpointer data, const char *key, const char *value) {
  const Writer *writer = data;
  g_autofree char *text = shown(value, writer->view);
  g_string_append_printf(writer->out, "      %-12s  %s\n", key ? key : "", text);
}

/* What is made is shown by its main fields rather than as a list of differences. */
static void append_body(GString *out, const PlanObject *object, const ReportView *view) {
  const Object *state = object->declared ? object->declared : object->desired;
  if (object->change == CHANGE_CREATE && state) {
    Writer writer = {out, view};
    report_spec(kinds[state->kind].spec, state->spec, append_summary_line, &writer);
  } else if (object->fields) {
    append_fields(out, object, view);
  }
}

static void append_header(GString *out, const PlanObject *object, const ReportView *view) {
  g_autofree char *id = plan_object_id(object), *shown_id = escape_text(id);
  gboolean adopt_only = object->adopt && object->change == CHANGE_NONE;
  const char *word = adopt_only ? "adopt" : object->change == CHANGE_NONE ? "unchanged" : change_words[object->change];
  paint_append(out, view->color, change_paints[object->change], report_symbol(object->change));
  g_string_append_c(out, ' ');
  paint_append(out, view->color, PAINT_BOLD, shown_id);
  g_string_append_printf(out, "  %s%s", word, object->adopt && !adopt_only ? ", adopt" : "");
  if (object->place) {
    g_autofree char *place = escape_text(object->place), *dim = g_strdup_printf("  %s", place);
    paint_append(out, view->color, PAINT_DIM, dim);
  }
  g_string_append_c(out, '\n');
}

static void append_args(GString *out, const Action *action) {
  for (guint i = 0; action->args && i < action->args->keys->len; i++) {
    g_autofree char *key = escape_text(action->args->keys->pdata[i]), *shown = url_mask(action->args->values->pdata[i]), *value = escape_text(shown);
    g_string_append_printf(out, "        %s=%s\n", key, value);
  }
}

static void append_action(GString *out, const Action *action, const ReportView *view) {
  g_autofree char *description = escape_text(action->description);
  const char *forbidden = report_forbidden(action, view);
  g_autofree char *impact = g_strdup_printf("[%s%s%s]", impact_words[action->impact], forbidden ? ": " : "", forbidden ? forbidden : "");
  g_string_append_printf(out, "    %s ", bullet(view));
  if (view->verbose) {
    g_autofree char *id = escape_text(action->id);
    g_string_append_printf(out, "%s %s: ", id, action_words[action->kind]);
  }
  g_string_append_printf(out, "%s ", description);
  paint_append(out, view->color, forbidden ? PAINT_RED : impact_paints[action->impact], impact);
  g_string_append_c(out, '\n');
  if (view->verbose)
    append_args(out, action);
}

static void append_remark(GString *out, const ReportView *view, Paint paint, const char *word, const char *text) {
  g_autoptr(GString) line = g_string_new(word);
  escape_append_lines(line, text, 6);
  g_string_append(out, "    ");
  paint_append(out, view->color, paint, line->str);
  g_string_append_c(out, '\n');
}

static void append_object(GString *out, const PlanObject *object, const GPtrArray *actions, const ReportView *view) {
  append_header(out, object, view);
  if (object->error)
    append_remark(out, view, PAINT_RED, "error: ", object->error);
  if (view->quiet)
    return;
  append_body(out, object, view);
  for (guint i = 0; object->notes && i < object->notes->len; i++)
    append_remark(out, view, PAINT_DIM, "note: ", object->notes->pdata[i]);
  for (guint i = 0; actions && i < actions->len; i++)
    append_action(out, actions->pdata[i], view);
}

static void append_objects(GString *out, const Plan *plan, const ReportView *view) {
  g_autoptr(GHashTable) actions = report_actions(plan);
  for (guint i = 0; i < plan->objects->len; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    const GPtrArray *own = g_hash_table_lookup(actions, id);
    gboolean notable = view->quiet ? object->error != NULL : view->verbose || report_is_notable(object, own);
    if (!notable)
      continue;
    append_object(out, object, own, view);
    if (!view->quiet)
      g_string_append_c(out, '\n');
  }
}

/* Nothing at all to do, not even an adoption. */
static gboolean is_empty(const Plan *plan, const PlanSummary *summary) {
  return plan_in_sync(plan) && summary->adopt == 0;
}

static void append_last_line(GString *out, const Plan *plan, const ReportView *view) {
  PlanSummary summary = plan_summary(plan);
  if (is_empty(plan, &summary)) {
    paint_append(out, view->color, PAINT_GREEN, "In sync: nothing to do");
    g_string_append(out, " (");
    report_append_number(out, summary.unchanged, "object", NULL);
    if (summary.pending)
      g_string_append_printf(out, ", %u pending restart", summary.pending);
    if (summary.orphans) {
      g_string_append(out, ", ");
      report_append_number(out, summary.orphans, "orphan", NULL);
    }
    g_string_append(out, ").\n");
    return;
  }
  paint_append(out, view->color, PAINT_BOLD, "Plan:");
  g_string_append_c(out, ' ');
  report_append_counts(out, &summary);
  g_string_append(out, "; ");
  report_append_number(out, summary.actions, "action", NULL);
  g_string_append(out, view->dry_run ? "; nothing is changed by a dry run.\n" : ".\n");
}

static void text_plan(GString *out, const Plan *plan, const ReportView *view) {
  append_objects(out, plan, view);
  if (plan->refused) {
    g_autoptr(GString) line = g_string_new("Refused: ");
    escape_append_lines(line, plan->refused, 2);
    paint_append(out, view->color, PAINT_RED, line->str);
    g_string_append_c(out, '\n');
  }
  append_last_line(out, plan, view);
}

/* What wasn't done, with its reason, or was, with what is to be told of it. */
static void append_told(GString *out, const ActionResult *result, const ReportView *view) {
  Paint paint = result->kind == RESULT_FAILED || result->kind == RESULT_REFUSED ? PAINT_RED : result->kind == RESULT_DONE ? PAINT_GREEN : PAINT_YELLOW;
  g_autofree char *object = escape_text(result->action->object), *description = escape_text(result->action->description);
  g_string_append_printf(out, "%s ", result->kind == RESULT_FAILED ? "!" : bullet(view));
  paint_append(out, view->color, paint, result_words[result->kind]);
  g_string_append_printf(out, "  %s: %s", object, description);
  if (result->message) {
    g_string_append(out, "\n    ");
    escape_append_lines(out, result->message, 4);
  }
  g_string_append_c(out, '\n');
}

static void append_outcome(GString *out, const RunResult *result, const ReportView *view) {
  const GPtrArray *results = result->results;
  guint errors = plan_summary(result->plan).errors;
  gboolean all = report_count(results, RESULT_DONE) == results->len && errors == 0;
  paint_append(out, view->color, all ? PAINT_GREEN : PAINT_RED, all ? "Applied:" : "Not all applied:");
  for (ResultKind kind = RESULT_DONE; kind <= RESULT_CANCELLED; kind++) {
    guint count = report_count(results, kind);
    if (count || kind == RESULT_DONE)
      g_string_append_printf(out, "%s%u %s", kind == RESULT_DONE ? " " : ", ", count, result_words[kind]);
  }
  guint pending = report_count(results, RESULT_PENDING);
  if (pending)
    g_string_append_printf(out, ", %u not begun", pending);
  if (errors) {
    g_string_append(out, ", ");
    report_append_number(out, errors, "object in error", "objects in error");
  }
  g_string_append(out, ".\n");
}

static void text_result(GString *out, const RunResult *result, const ReportView *view) {
  if (!result->results || result->results->len == 0)
    return;
  for (guint i = 0; i < result->results->len; i++) {
    const ActionResult *one = result->results->pdata[i];
    gboolean wrong = one->kind == RESULT_FAILED || one->kind == RESULT_REFUSED;
    if ((one->kind != RESULT_DONE || one->message) && one->kind != RESULT_PENDING && (wrong || !view->quiet))
      append_told(out, one, view);
  }
  append_outcome(out, result, view);
}

const ReportFormat report_text = {.name = "text", .plan = text_plan, .result = text_result};
