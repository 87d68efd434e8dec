/* The plan and the outcome as a comment for a merge request: a line that says it all, and an
 * object's details folded. What comes from others is escaped (see escape.h), and the whole
 * stays below what GitHub and GitLab accept. */
#include <string.h>

#include "reconciler/report/escape.h"
#include "reconciler/report/report.h"

#define PAGE_SIZE 60000   /* bytes, so never more characters */
#define OBJECT_SIZE 12000 /* of one object's rows */
#define VALUE_SIZE 200    /* characters of one value */
#define PAGE_RESERVE 4000 /* for the first and last lines */

static void append_value(GString *out, const char *value) {
  if (!value) {
    g_string_append(out, "unset");
    return;
  }
  g_autofree char *valid = g_utf8_make_valid(value, -1);
  gboolean cut = g_utf8_strlen(valid, -1) > VALUE_SIZE;
  g_autofree char *head = cut ? g_utf8_substring(valid, 0, VALUE_SIZE) : NULL;
  markdown_append_code(out, cut ? head : valid);
  if (cut)
    g_string_append(out, "…");
}

static void append_prose(GString *out, const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  gboolean cut = g_utf8_strlen(valid, -1) > 4 * VALUE_SIZE;
  g_autofree char *head = cut ? g_utf8_substring(valid, 0, 4 * VALUE_SIZE) : NULL;
  markdown_append_text(out, cut ? head : valid);
  if (cut)
    g_string_append(out, "…");
}

static void append_field_row(GString *out, const FieldChange *change) {
  g_autofree char *effect = report_effect(change);
  g_string_append(out, "| ");
  append_value(out, change->path);
  g_string_append(out, " | ");
  append_value(out, change->from);
  g_string_append(out, " | ");
  append_value(out, change->to);
  g_string_append(out, " | ");
  append_prose(out, effect);
  g_string_append(out, " |\n");
}

static void append_fields(GString *out, const GPtrArray *fields) {
  if (!fields || fields->len == 0)
    return;
  g_string_append(out, "| field | from | to | effect |\n|---|---|---|---|\n");
  for (guint i = 0; i < fields->len; i++) {
    if (out->len > OBJECT_SIZE) {
      g_string_append_printf(out, "\n%u more fields aren't shown here.\n", fields->len - i);
      break;
    }
    append_field_row(out, fields->pdata[i]);
  }
  g_string_append_c(out, '\n');
}

static void append_spec_row(gpointer data, const char *key, const char *value) {
  GString *out = data;
  if (out->len > OBJECT_SIZE)
    return;
  g_string_append(out, "| ");
  if (key)
    append_value(out, key);
  g_string_append(out, " | ");
  append_value(out, value);
  g_string_append(out, " |\n");
}

static void append_spec(GString *out, const Object *state) {
  g_string_append(out, "| field | value |\n|---|---|\n");
  report_spec(kinds[state->kind].spec, state->spec, append_spec_row, out);
  g_string_append_c(out, '\n');
}

static void append_actions(GString *out, const GPtrArray *actions, const ReportView *view) {
  for (guint i = 0; actions && i < actions->len; i++) {
    const Action *action = actions->pdata[i];
    if (out->len > 2 * OBJECT_SIZE) {
      g_string_append_printf(out, "- … and %u more actions\n", actions->len - i);
      break;
    }
    const char *forbidden = report_forbidden(action, view);
    g_string_append(out, "- ");
    append_prose(out, action->description);
    g_string_append_printf(out, action->impact >= IMPACT_RESTART ? " — **%s**" : " — %s", impact_words[action->impact]);
    if (forbidden)
      g_string_append_printf(out, ", %s", forbidden);
    g_string_append_c(out, '\n');
  }
}

static Impact greatest_impact(const GPtrArray *actions) {
  Impact impact = IMPACT_NONE;
  for (guint i = 0; actions && i < actions->len; i++)
    impact = MAX(impact, ((const Action *)actions->pdata[i])->impact);
  return impact;
}

static void append_summary(GString *out, const PlanObject *object, const GPtrArray *actions) {
  g_autofree char *id = plan_object_id(object);
  gboolean adopt_only = object->adopt && object->change == CHANGE_NONE;
  g_string_append(out, "<details><summary>");
  append_value(out, id);
  const char *word = adopt_only ? "adopt" : object->change == CHANGE_NONE ? "unchanged" : change_words[object->change];
  g_string_append_printf(out, " %s%s", word, object->adopt && !adopt_only ? ", adopt" : "");
  if (actions)
    g_string_append_printf(out, ", impact %s", impact_words[greatest_impact(actions)]);
  g_string_append(out, "</summary>\n\n");
}

static char *object_block(const PlanObject *object, const GPtrArray *actions, const ReportView *view) {
  GString *out = g_string_new(NULL);
  const Object *state = object->declared ? object->declared : object->desired;
  append_summary(out, object, actions);
  if (object->error) {
    g_string_append(out, "**Error:** ");
    append_prose(out, object->error);
    g_string_append(out, "\n\n");
  }
  if (object->change == CHANGE_CREATE && state)
    append_spec(out, state);
  else
    append_fields(out, object->fields);
  for (guint i = 0; object->notes && i < object->notes->len && out->len < 2 * OBJECT_SIZE; i++) {
    g_string_append(out, "- Note: ");
    append_prose(out, object->notes->pdata[i]);
    g_string_append_c(out, '\n');
  }
  append_actions(out, actions, view);
  g_string_append(out, "\n</details>\n\n");
  return g_string_free(out, FALSE);
}

/* What a reviewer mustn't miss comes first, and so is the last to be cut. */
typedef enum { WEIGHT_DANGER, WEIGHT_RESTART, WEIGHT_OTHER, WEIGHT_N } Weight;

static Weight weigh(const PlanObject *object, const GPtrArray *actions) {
  Impact impact = greatest_impact(actions);
  if (object->error || object->change == CHANGE_ERROR || object->change == CHANGE_DELETE || impact >= IMPACT_DATA_LOSS)
    return WEIGHT_DANGER;
  return impact >= IMPACT_RESTART ? WEIGHT_RESTART : WEIGHT_OTHER;
}

typedef struct {
  GString *out;
  const Plan *plan;
  const ReportView *view;
  GHashTable *actions;         /* report_actions */
  guint left_out[CHANGE_N], n; /* of them, and together */
} Page;

static void append_weighing(Page *page, Weight weight) {
  for (guint i = 0; i < page->plan->objects->len; i++) {
    const PlanObject *object = page->plan->objects->pdata[i];
    g_autofree char *id = plan_object_id(object);
    const GPtrArray *own = g_hash_table_lookup(page->actions, id);
    if (!report_is_notable(object, own) || weigh(object, own) != weight)
      continue;
    g_autofree char *block = object_block(object, own, page->view);
    if (page->n == 0 && page->out->len + strlen(block) <= PAGE_SIZE - PAGE_RESERVE) {
      g_string_append(page->out, block);
      continue;
    }
    page->left_out[object->change]++;
    page->n++;
  }
}

static void append_objects(GString *out, const Plan *plan, const ReportView *view) {
  g_autoptr(GHashTable) actions = report_actions(plan);
  Page page = {.out = out, .plan = plan, .view = view, .actions = actions};
  for (Weight weight = 0; weight < WEIGHT_N; weight++)
    append_weighing(&page, weight);
  if (page.n == 0)
    return;
  g_string_append_printf(out, "_%u more objects aren't shown (", page.n);
  const char *separator = "";
  for (ChangeKind change = 0; change < CHANGE_N; change++) {
    if (page.left_out[change] == 0)
      continue;
    g_string_append_printf(out, "%s%s: %u", separator, change_words[change], page.left_out[change]);
    separator = ", ";
  }
  g_string_append_printf(out, "): this text is cut at %d characters. The whole plan is in the output of `-o text` or `-o json`._\n\n",
                         PAGE_SIZE);
}

static void append_results(GString *out, const GPtrArray *results) {
  for (ResultKind kind = RESULT_DONE; kind <= RESULT_CANCELLED; kind++)
    g_string_append_printf(out, "%s%u %s", kind == RESULT_DONE ? "**Applied:** " : ", ", report_count(results, kind), result_words[kind]);
  g_string_append(out, "\n\n");
  for (guint i = 0; i < results->len; i++) {
    const ActionResult *result = results->pdata[i];
    if ((result->kind == RESULT_DONE && !result->message) || result->kind == RESULT_PENDING || out->len > PAGE_SIZE / 3)
      continue;
    g_string_append_printf(out, "- **%s** ", result_words[result->kind]);
    append_value(out, result->action->object);
    g_string_append(out, ": ");
    append_prose(out, result->action->description);
    if (result->message) {
      g_string_append(out, " — ");
      append_prose(out, result->message);
    }
    g_string_append_c(out, '\n');
  }
  g_string_append_c(out, '\n');
}

static void append_headline(GString *out, const Plan *plan) {
  PlanSummary summary = plan_summary(plan);
  if (plan_in_sync(plan) && summary.adopt == 0) {
    g_string_append(out, "**In sync**: nothing to do (");
    report_append_number(out, summary.unchanged, "object", NULL);
    g_string_append(out, ")\n\n");
    return;
  }
  g_string_append(out, "**Plan**: ");
  report_append_counts(out, &summary);
  g_string_append(out, "; ");
  report_append_number(out, summary.actions, "action", NULL);
  g_string_append(out, "\n\n");
}

static void append_error(GString *out, const GError *error, const Diagnostics *diagnostics) {
  if (error) {
    g_string_append(out, "**Error:** ");
    append_prose(out, error->message);
    g_string_append(out, "\n\n");
  }
  for (guint i = 0; diagnostics && i < diagnostics->items->len && out->len < PAGE_SIZE / 3; i++) {
    g_autofree char *text = diagnostic_format(diagnostics->items->pdata[i]);
    g_string_append(out, "- ");
    append_prose(out, text);
    g_string_append_c(out, '\n');
  }
}

static void markdown_result(GString *out, const RunResult *result, const ReportView *view) {
  append_error(out, result->error, result->diagnostics);
  if (!result->plan)
    return;
  append_headline(out, result->plan);
  if (result->plan->refused) {
    g_string_append(out, "**Refused:** ");
    append_prose(out, result->plan->refused);
    g_string_append(out, "\n\n");
  }
  if (result->results && result->results->len > 0)
    append_results(out, result->results);
  append_objects(out, result->plan, view);
}

const ReportFormat report_markdown = {.name = "markdown", .result = markdown_result, .failure = append_error};
