#include "reconciler/report/report.h"

#include "reconciler/plan/planner.h"
#include "schema/url_mask.h"
#include "schema/value.h"

const char *const result_words[] = {"pending", "done", "failed", "skipped", "refused", "cancelled"};
G_STATIC_ASSERT(G_N_ELEMENTS(result_words) == RESULT_CANCELLED + 1);

const ReportFormat *report_format(const char *name) {
  static const ReportFormat *const formats[] = {&report_text, &report_json, &report_markdown};
  for (guint i = 0; i < G_N_ELEMENTS(formats); i++)
    if (g_str_equal(formats[i]->name, name))
      return formats[i];
  return NULL;
}

void report_append_number(GString *out, guint number, const char *singular, const char *plural) {
  if (number == 1 || plural)
    g_string_append_printf(out, "%u %s", number, number == 1 ? singular : plural);
  else
    g_string_append_printf(out, "%u %ss", number, singular);
}

void report_append_counts(GString *out, const PlanSummary *summary) {
  g_string_append_printf(out, "%u to create, %u to update, %u to delete, %u unchanged", summary->create,
                         summary->update, summary->delete, summary->unchanged);
  if (summary->adopt)
    g_string_append_printf(out, ", %u to adopt", summary->adopt);
  if (summary->pending)
    g_string_append_printf(out, ", %u pending restart", summary->pending);
  if (summary->orphans) {
    g_string_append(out, ", ");
    report_append_number(out, summary->orphans, "orphan", NULL);
  }
  if (summary->errors) {
    g_string_append(out, ", ");
    report_append_number(out, summary->errors, "error", NULL);
  }
}

const char *report_symbol(ChangeKind change) {
  static const char *const symbols[CHANGE_N] = {"=", "+", "~", "-", "?", "!"};
  return symbols[change];
}

char *report_effect(const FieldChange *change) {
  if (change->effect == EFFECT_NEVER)
    return g_strdup_printf("refused: %s", change->why ? change->why : "it can't be changed");
  const char *word = change->pending                         ? "pending restart"
                     : change->effect == EFFECT_LIVE_REPLUG ? "live, by unplugging"
                     : effect_via(change->effect)           ? "live"
                     : change->effect == EFFECT_NEXT_START  ? "at the next start"
                                                            : "recorded only";
  return change->why ? g_strdup_printf("%s (%s)", word, change->why) : g_strdup(word);
}

const char *report_forbidden(const Action *action, const ReportView *view) {
  if (action->impact < IMPACT_RESTART || action->permitted || (view->allow & ALLOW(action->impact)))
    return NULL;
  return action->impact == IMPACT_RESTART ? "needs --allow restart" : "needs --allow data-loss";
}

gboolean report_is_notable(const PlanObject *object, const GPtrArray *actions) {
  return object->change != CHANGE_NONE || object->adopt || actions || (object->fields && object->fields->len > 0) ||
         (object->notes && object->notes->len > 0);
}

GHashTable *report_actions(const Plan *plan) {
  GHashTable *by_object = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
  for (guint i = 0; i < plan->actions->len; i++) {
    Action *action = plan->actions->pdata[i];
    GPtrArray *actions = g_hash_table_lookup(by_object, action->object);
    if (!actions) {
      actions = g_ptr_array_new();
      g_hash_table_insert(by_object, action->object, actions);
    }
    g_ptr_array_add(actions, action);
  }
  return by_object;
}

guint report_count(const GPtrArray *results, ResultKind kind) {
  guint count = 0;
  for (guint i = 0; results && i < results->len; i++)
    count += ((const ActionResult *)results->pdata[i])->kind == kind;
  return count;
}

/* "size 2GiB, max 8GiB" of a struct; inner structs in brackets. The key of a list item is
 * said by the caller. */
static void append_struct(GString *out, const FieldTable *table, gconstpointer spec, const Field *skip) {
  gboolean first = TRUE;
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (field == skip || !field_given(table, spec, field))
      continue;
    gconstpointer member = field_member(field, spec);
    g_string_append_printf(out, "%s%s ", first ? "" : ", ", field->key);
    first = FALSE;
    if (field->type == VALUE_GROUP) {
      g_string_append_c(out, '(');
      append_struct(out, field->sub, member, NULL);
      g_string_append_c(out, ')');
    } else if (field->type == VALUE_LIST) {
      const GPtrArray *items = *(GPtrArray *const *)member;
      for (guint n = 0; items && n < items->len; n++) {
        g_autofree char *key = item_key(field->sub, items->pdata[n]);
        g_string_append_printf(out, "%s%s", n ? " " : "", key);
      }
    } else {
      g_autofree char *text = value_format(field, member), *shown = url_mask(text);
      g_string_append(out, shown);
    }
  }
}

static void report_items(const Field *field, const GPtrArray *items, SummaryFunction function, gpointer data) {
  const Field *key_field = table_key_field(field->sub);
  for (guint i = 0; items && i < items->len; i++) {
    g_autofree char *key = item_key(field->sub, items->pdata[i]);
    g_autoptr(GString) rest = g_string_new(NULL);
    append_struct(rest, field->sub, items->pdata[i], key_field);
    g_autofree char *value = rest->len ? g_strdup_printf("%s (%s)", key, rest->str) : g_strdup(key);
    function(data, i ? NULL : field->key, value);
  }
}

void report_spec(const FieldTable *table, gconstpointer spec, SummaryFunction function, gpointer data) {
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *field = &table->fields[i];
    if (!field_given(table, spec, field))
      continue;
    gconstpointer member = field_member(field, spec);
    if (field->type == VALUE_LIST) {
      report_items(field, *(GPtrArray *const *)member, function, data);
      continue;
    }
    g_autoptr(GString) text = g_string_new(NULL);
    if (field->type == VALUE_GROUP) {
      append_struct(text, field->sub, member, NULL);
    } else {
      g_autofree char *value = value_format(field, member), *shown = url_mask(value);
      g_string_append(text, shown);
    }
    if (text->len)
      function(data, field->key, text->str);
  }
}
