/* Writing a plan as JSON: the fixed format, and beside its keys what applying it later needs. */
#include "reconciler/plan/json.h"

#include "reconciler/source/source.h"

/* A key that is left out when there is nothing to say. */
static void set_text(json_t *object, const char *key, const char *text) {
  if (text)
    json_object_set_new(object, key, json_text(text));
}

static void set_number(json_t *object, const char *key, guint number) {
  if (number)
    json_object_set_new(object, key, json_integer(number));
}

static void set_true(json_t *object, const char *key, gboolean value) {
  if (value)
    json_object_set_new(object, key, json_true());
}

json_t *json_time(gint64 microseconds) {
  g_autoptr(GDateTime) utc = microseconds ? g_date_time_new_from_unix_utc(microseconds / G_USEC_PER_SEC) : NULL;
  g_autofree char *text = utc ? g_date_time_format_iso8601(utc) : NULL;
  return json_text(text);
}

json_t *json_text(const char *text) {
  if (!text)
    return json_null();
  json_t *value = json_string(text);
  if (value)
    return value;
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return json_string(valid);
}

static json_t *texts_json(const GPtrArray *texts) {
  json_t *array = json_array();
  for (guint i = 0; texts && i < texts->len; i++)
    json_array_append_new(array, json_text(texts->pdata[i]));
  return array;
}

static json_t *field_json(const FieldChange *change) {
  json_t *object = json_object();
  json_object_set_new(object, "path", json_text(change->path));
  json_object_set_new(object, "from", json_text(change->from));
  json_object_set_new(object, "to", json_text(change->to));
  json_object_set_new(object, "effect", json_text(effect_word(change->effect)));
  set_text(object, "via", effect_via(change->effect));
  set_true(object, "whole", change->whole);
  set_true(object, "persistent", change->persistent);
  set_true(object, "live", change->live);
  set_true(object, "pending", change->pending);
  set_text(object, "why", change->why);
  return object;
}

static json_t *spec_json(const FieldTable *table, gconstpointer spec) {
  g_autofree char *text = spec_to_json(table, spec);
  return json_loads(text, JSON_DECODE_ANY, NULL);
}

static void set_state(json_t *object, const char *key, const Object *state) {
  if (!state)
    return;
  json_t *value = json_object();
  json_object_set_new(value, "metadata", spec_json(&MetadataSpec_table, &state->metadata));
  json_object_set_new(value, "spec", spec_json(kinds[state->kind].spec, state->spec));
  json_object_set_new(object, key, value);
}

static json_t *object_json(const PlanObject *plan_object) {
  json_t *object = json_object();
  json_object_set_new(object, "kind", json_text(kinds[plan_object->kind].name));
  json_object_set_new(object, "name", json_text(plan_object->name));
  set_text(object, "host", plan_object->host);
  json_object_set_new(object, "change", json_text(change_words[plan_object->change]));
  set_true(object, "adopt", plan_object->adopt);
  set_text(object, "place", plan_object->place);
  set_text(object, "error", plan_object->error);
  json_t *fields = json_array();
  for (guint i = 0; plan_object->fields && i < plan_object->fields->len; i++)
    json_array_append_new(fields, field_json(plan_object->fields->pdata[i]));
  json_object_set_new(object, "fields", fields);
  if (plan_object->notes && plan_object->notes->len > 0)
    json_object_set_new(object, "notes", texts_json(plan_object->notes));
  set_text(object, "fingerprint", plan_object->fingerprint);
  set_state(object, "declared", plan_object->declared);
  set_state(object, "desired", plan_object->desired);
  return object;
}

static json_t *action_json(const Action *action) {
  json_t *object = json_object();
  json_object_set_new(object, "id", json_text(action->id));
  json_object_set_new(object, "kind", json_text(action_words[action->kind]));
  json_object_set_new(object, "object", json_text(action->object));
  json_object_set_new(object, "impact", json_text(impact_words[action->impact]));
  json_object_set_new(object, "after", texts_json(action->after));
  if (action->regardless && action->regardless->len > 0)
    json_object_set_new(object, "regardless", texts_json(action->regardless));
  json_object_set_new(object, "description", json_text(action->description));
  if (action->args && action->args->keys->len > 0) {
    json_t *args = json_object();
    for (guint i = 0; i < action->args->keys->len; i++)
      json_object_set_new(args, action->args->keys->pdata[i], json_text(action->args->values->pdata[i]));
    json_object_set_new(object, "args", args);
  }
  set_true(object, "permitted", action->permitted);
  return object;
}

static json_t *source_json(const Plan *plan) {
  json_t *object = json_object();
  set_text(object, plan->source && source_is_git(plan->source) ? "url" : "path", plan->source);
  json_object_set_new(object, "revision", json_text(plan->revision));
  set_true(object, "rewritten", plan->rewritten);
  return object;
}

static json_t *summary_json(const Plan *plan) {
  PlanSummary summary = plan_summary(plan);
  const struct {
    const char *key;
    guint value;
  } counts[] = {
      {"create", summary.create},   {"update", summary.update},       {"delete", summary.delete},
      {"adopt", summary.adopt},     {"unchanged", summary.unchanged}, {"errors", summary.errors},
      {"orphans", summary.orphans}, {"pending", summary.pending},     {"actions", summary.actions},
  };
  json_t *object = json_object();
  for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
    json_object_set_new(object, counts[i].key, json_integer(counts[i].value));
  return object;
}

static void set_hosts(json_t *root, const Plan *plan) {
  if (plan->hosts->len == 0)
    return;
  json_t *hosts = json_array();
  for (guint i = 0; i < plan->hosts->len; i++) {
    const PlanHost *host = plan->hosts->pdata[i];
    json_t *object = json_object();
    json_object_set_new(object, "name", json_text(host->name));
    json_object_set_new(object, "connection", json_text(host->connection));
    set_number(object, "jobs", host->jobs);
    set_number(object, "migrations", host->migrations);
    set_true(object, "unasked", host->unasked);
    set_true(object, "fenced", host->fenced);
    if (host->spec != NULL)
      json_object_set_new(object, "spec", spec_json(&HostSpec_table, host->spec));
    json_array_append_new(hosts, object);
  }
  json_object_set_new(root, "hosts", hosts);
}

json_t *plan_json(const Plan *plan) {
  json_t *root = json_object();
  json_object_set_new(root, "formatVersion", json_integer(1));
  json_object_set_new(root, "source", source_json(plan));
  json_object_set_new(root, "connection", json_text(plan->connection));
  set_hosts(root, plan);
  set_text(root, "refused", plan->refused);
  json_t *objects = json_array(), *actions = json_array();
  for (guint i = 0; i < plan->objects->len; i++)
    json_array_append_new(objects, object_json(plan->objects->pdata[i]));
  for (guint i = 0; i < plan->actions->len; i++)
    json_array_append_new(actions, action_json(plan->actions->pdata[i]));
  json_object_set_new(root, "objects", objects);
  json_object_set_new(root, "actions", actions);
  json_object_set_new(root, "summary", summary_json(plan));
  return root;
}

char *plan_to_json(const Plan *plan) {
  json_auto_t *root = plan_json(plan);
  g_autofree char *text = json_dumps(root, JSON_INDENT(2));
  return g_strconcat(text, "\n", NULL);
}
