/* Reading a saved plan. It may have been written by anybody: everything that execute relies
 * on is checked here, and what doesn't fit is an error, never guessed. */
#include <string.h>

#include "reconciler/plan/load_values.h"
#include "schema/value.h"

#define PLAN_MAX_ENTRIES 1000000

/* Actions that are about their object itself fit one kind of object only. */
static const struct {
  const char *prefix;
  Kind kind;
} action_kinds[] = {
    {"pool-", KIND_STORAGE_POOL},      {"network-", KIND_NETWORK},   {"image-", KIND_IMAGE},
    {"domain-", KIND_VIRTUAL_MACHINE}, {"set-", KIND_VIRTUAL_MACHINE}, {"pin-", KIND_VIRTUAL_MACHINE},
};

typedef struct {
  Plan *plan;
  GHashTable *objects; /* id → PlanObject *, for lookups in a plan of thousands */
  GHashTable *ids;     /* of the actions read so far */
} Loader;

static gboolean load_effect(const json_t *object, Effect *ret_effect, GError **error) {
  g_autofree char *word = NULL, *via = NULL;
  if (!load_text(object, "effect", TRUE, &word, error) || !load_text(object, "via", FALSE, &via, error))
    return FALSE;
  for (Effect effect = EFFECT_NONE; effect < EFFECT_N; effect++)
    if (g_str_equal(effect_word(effect), word) && (!via || !g_strcmp0(effect_via(effect), via))) {
      *ret_effect = effect;
      return TRUE;
    }
  return load_invalid(error, "unknown effect \"%s\"", word);
}

static gboolean load_field(const json_t *json, FieldChange *change, GError **error) {
  return (json_is_object(json) || load_invalid(error, "a field must be an object")) &&
         load_text(json, "path", TRUE, &change->path, error) && load_text(json, "from", FALSE, &change->from, error) &&
         load_text(json, "to", FALSE, &change->to, error) && load_effect(json, &change->effect, error) &&
         load_flag(json, "whole", &change->whole, error) &&
         load_flag(json, "persistent", &change->persistent, error) && load_flag(json, "live", &change->live, error) &&
         load_flag(json, "pending", &change->pending, error) && load_text(json, "why", FALSE, &change->why, error);
}

static gboolean load_fields(const json_t *json, PlanObject *object, GError **error) {
  const json_t *array = json_object_get(json, "fields");
  if (!json_is_array(array))
    return load_invalid(error, "fields must be a list");
  for (gsize i = 0; i < json_array_size(array); i++) {
    FieldChange *change = g_new0(FieldChange, 1);
    g_ptr_array_add(object->fields, change);
    if (!load_field(json_array_get(array, i), change, error)) {
      g_prefix_error(error, "fields[%zu]: ", i);
      return FALSE;
    }
  }
  return TRUE;
}

/* "web.yaml:3:7", as place_format() writes it. */
static Place parse_place(const char *text) {
  Place at = {0};
  if (!text)
    return at;
  g_autoptr(GRegex) regex = g_regex_new("^(.*?)(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?$", G_REGEX_DOTALL, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  if (!g_regex_match(regex, text, 0, &match))
    return at;
  g_autofree char *file = g_match_info_fetch(match, 1), *line = g_match_info_fetch(match, 2),
                  *column = g_match_info_fetch(match, 3);
  at.file = g_intern_string(file);
  at.line = line ? (guint)g_ascii_strtoull(line, NULL, 10) : 0;
  at.column = column ? (guint)g_ascii_strtoull(column, NULL, 10) : 0;
  return at;
}

static gpointer load_spec(const FieldTable *table, const json_t *json, const char *key, GError **error) {
  const json_t *value = json_object_get(json, key);
  if (!json_is_object(value)) {
    load_invalid(error, "%s must be an object", key);
    return NULL;
  }
  g_autofree char *text = json_dumps(value, JSON_COMPACT);
  return spec_from_json(table, text, key, error);
}

/* Metadata and spec, declared or desired. */
static gboolean load_parts(const json_t *json, Object *state, GError **error) {
  MetadataSpec *metadata = load_spec(&MetadataSpec_table, json, "metadata", error);
  if (!metadata)
    return FALSE;
  g_autofree char *name = g_strdup(state->metadata.name);
  spec_clear(&MetadataSpec_table, &state->metadata);
  spec_copy_into(&MetadataSpec_table, metadata, &state->metadata);
  spec_free(&MetadataSpec_table, metadata);
  if (g_strcmp0(state->metadata.name, name))
    return load_invalid(error, "metadata.name isn't the object's name");
  gpointer spec = load_spec(kinds[state->kind].spec, json, "spec", error);
  if (!spec)
    return FALSE;
  spec_free(kinds[state->kind].spec, state->spec);
  state->spec = spec;
  return TRUE;
}

static gboolean load_state(const json_t *json, const char *key, const PlanObject *object, Object **ret_state,
                           GError **error) {
  const json_t *value = json_object_get(json, key);
  if (!value || json_is_null(value))
    return TRUE;
  g_autoptr(Object) state = object_new(object->kind, object->name);
  if (!load_parts(value, state, error)) {
    g_prefix_error(error, "%s: ", key);
    return FALSE;
  }
  state->at = parse_place(object->place);
  *ret_state = g_steal_pointer(&state);
  return TRUE;
}

static gboolean load_kind_and_name(const json_t *json, PlanObject *object, GError **error) {
  const char *names[KIND_N + 1] = {0};
  for (Kind kind = 0; kind < KIND_N; kind++)
    names[kind] = kinds[kind].name;
  int kind = 0;
  g_autofree char *name = NULL;
  if (!load_word(json, "kind", names, &kind, error) || !load_text(json, "name", TRUE, &name, error))
    return FALSE;
  object->kind = (Kind)kind;
  if (object->kind == KIND_PROFILE)
    return load_invalid(error, "a Profile isn't planned");
  return value_parse(table_find(&MetadataSpec_table, "name"), name, &object->name, error);
}

/* Of one of the plan's hosts; without where the plan has none, or nothing is done to it: it has no place, or is a host. */
static gboolean load_host(const Plan *plan, const json_t *json, PlanObject *object, GError **error) {
  if (!load_text(json, "host", FALSE, &object->host, error))
    return FALSE;
  gboolean known = !object->host && (plan->hosts->len == 0 || object->change == CHANGE_ERROR);
  for (guint i = 0; object->host && i < plan->hosts->len && !known; i++)
    known = g_str_equal(((const PlanHost *)plan->hosts->pdata[i])->name, object->host);
  return known || load_invalid(error, "host \"%s\" isn't one of the plan's", object->host ? object->host : "");
}

static gboolean load_object(const Plan *plan, const json_t *json, PlanObject *object, GError **error) {
  object->fields = g_ptr_array_new_with_free_func((GDestroyNotify)field_change_free);
  object->notes = g_ptr_array_new_with_free_func(g_free);
  int change = 0;
  if (!json_is_object(json))
    return load_invalid(error, "an object is expected");
  if (!load_kind_and_name(json, object, error) || !load_word(json, "change", change_words, &change, error))
    return FALSE;
  object->change = (ChangeKind)change;
  return load_host(plan, json, object, error) && load_flag(json, "adopt", &object->adopt, error) &&
         load_text(json, "place", FALSE, &object->place, error) &&
         load_text(json, "error", FALSE, &object->error, error) && load_fields(json, object, error) &&
         load_texts(json, "notes", object->notes, error) &&
         load_text(json, "fingerprint", FALSE, &object->fingerprint, error) &&
         load_state(json, "declared", object, &object->declared, error) &&
         load_state(json, "desired", object, &object->desired, error);
}

static gboolean load_objects(Loader *loader, const json_t *array, GError **error) {
  for (gsize i = 0; i < json_array_size(array); i++) {
    PlanObject *object = g_new0(PlanObject, 1);
    g_ptr_array_add(loader->plan->objects, object);
    if (!load_object(loader->plan, json_array_get(array, i), object, error)) {
      g_prefix_error(error, "objects[%zu]: ", i);
      return FALSE;
    }
    g_autofree char *id = plan_object_id(object);
    if (g_hash_table_contains(loader->objects, id))
      return load_invalid(error, "objects[%zu]: %s stands in the plan twice", i, id);
    g_hash_table_insert(loader->objects, g_steal_pointer(&id), object);
  }
  return TRUE;
}

static gboolean load_args(const json_t *json, Action *action, GError **error) {
  json_t *args = json_object_get(json, "args");
  if (!args)
    return TRUE;
  if (!json_is_object(args))
    return load_invalid(error, "args must be an object");
  const char *key;
  json_t *value;
  json_object_foreach(args, key, value) {
    if (!json_is_string(value))
      return load_invalid(error, "args.%s must be a string", key);
    string_map_set(action->args, key, json_string_value(value));
  }
  return TRUE;
}

/* The order of the list respects `after`, so a cycle can't be written down without an action
 * that comes before one it waits for. */
static gboolean check_after(const Loader *loader, const Action *action, GError **error) {
  for (guint i = 0; i < action->after->len; i++) {
    const char *id = action->after->pdata[i];
    if (!g_hash_table_contains(loader->ids, id))
      return load_invalid(error, "it waits for \"%s\", which isn't an action before it (unknown, or a cycle)", id);
  }
  for (guint i = 0; i < action->regardless->len; i++) {
    const char *id = action->regardless->pdata[i];
    if (!g_ptr_array_find_with_equal_func(action->after, id, g_str_equal, NULL))
      return load_invalid(error, "it goes on however \"%s\" ends, and doesn't come after that", id);
  }
  return TRUE;
}

/* Whether such an action belongs to what is planned for its object. */
static gboolean check_object(const PlanObject *object, const Action *action, GError **error) {
  const char *name = action_words[action->kind];
  if (object->change == CHANGE_ERROR || object->change == CHANGE_ORPHAN)
    return load_invalid(error, "\"%s\" is %s, which has no actions", action->object, change_words[object->change]);
  if (!object->fingerprint)
    return load_invalid(error, "\"%s\" has no fingerprint: what was planned can't be checked", action->object);
  if (object->change != CHANGE_DELETE && (!object->declared || !object->desired))
    return load_invalid(error, "\"%s\" has no declared or no desired state", action->object);
  if (object->change != CHANGE_DELETE && g_str_has_suffix(name, "-undefine"))
    return load_invalid(error, "%s of \"%s\", which isn't to be deleted", name, action->object);
  for (guint i = 0; i < G_N_ELEMENTS(action_kinds); i++)
    if (g_str_has_prefix(name, action_kinds[i].prefix) && object->kind != action_kinds[i].kind)
      return load_invalid(error, "%s isn't an action of %s", name, action->object);
  return TRUE;
}

static gboolean check_action(const Loader *loader, const Action *action, GError **error) {
  const PlanObject *object = g_hash_table_lookup(loader->objects, action->object);
  if (!*action->id || g_hash_table_contains(loader->ids, action->id))
    return load_invalid(error, "id \"%s\" is empty or stands in the plan twice", action->id);
  if (!object)
    return load_invalid(error, "its object \"%s\" isn't in the plan", action->object);
  if (action->impact < action_least_impact[action->kind]) /* a plan can't talk an impact down */
    return load_invalid(error, "impact %s of %s is at least %s", impact_words[action->impact], action_words[action->kind],
                   impact_words[action_least_impact[action->kind]]);
  return check_object(object, action, error) && check_after(loader, action, error);
}

static const Action *action_before(const Plan *plan, const char *id) {
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    if (g_str_equal(action->id, id))
      return action;
  }
  return NULL;
}

/* Plans of the version before had no word for it: a start went on however the replacement of a disk ended. */
static gboolean load_regardless(const Loader *loader, const json_t *json, Action *action, GError **error) {
  if (json_object_get(json, "regardless") != NULL || action->kind != ACTION_DOMAIN_START)
    return load_texts(json, "regardless", action->regardless, error);
  for (guint i = 0; i < action->after->len; i++) {
    const Action *before = action_before(loader->plan, action->after->pdata[i]);
    if (before != NULL && before != action && action_replaces_disk(before))
      g_ptr_array_add(action->regardless, g_strdup(before->id));
  }
  return TRUE;
}

static gboolean load_action(const Loader *loader, const json_t *json, Action *action, GError **error) {
  action->after = g_ptr_array_new_with_free_func(g_free);
  action->regardless = g_ptr_array_new_with_free_func(g_free);
  action->args = string_map_new();
  int kind = 0, impact = 0;
  if (!json_is_object(json))
    return load_invalid(error, "an object is expected");
  if (!load_text(json, "id", TRUE, &action->id, error) || !load_word(json, "kind", action_words, &kind, error) ||
      !load_text(json, "object", TRUE, &action->object, error) ||
      !load_word(json, "impact", impact_words, &impact, error) || !load_texts(json, "after", action->after, error) ||
      !load_text(json, "description", TRUE, &action->description, error) || !load_args(json, action, error) ||
      !load_flag(json, "permitted", &action->permitted, error))
    return FALSE;
  action->kind = (ActionKind)kind;
  action->impact = (Impact)impact;
  return load_regardless(loader, json, action, error) && check_action(loader, action, error);
}

static gboolean load_actions(Loader *loader, const json_t *array, GError **error) {
  for (gsize i = 0; i < json_array_size(array); i++) {
    Action *action = g_new0(Action, 1);
    g_ptr_array_add(loader->plan->actions, action);
    if (!load_action(loader, json_array_get(array, i), action, error)) {
      g_prefix_error(error, "actions[%zu]: ", i);
      return FALSE;
    }
    g_hash_table_add(loader->ids, action->id);
  }
  return TRUE;
}

static gboolean load_source(const json_t *root, Plan *plan, GError **error) {
  const json_t *source = json_object_get(root, "source");
  if (!json_is_object(source))
    return load_invalid(error, "source must be an object");
  plan->rewritten = json_is_true(json_object_get(source, "rewritten"));
  return load_text(source, json_object_get(source, "url") ? "url" : "path", FALSE, &plan->source, error) &&
         load_text(source, "revision", FALSE, &plan->revision, error);
}

static gboolean load_hosts(const json_t *root, Plan *plan, GError **error) {
  const json_t *array = json_object_get(root, "hosts");
  if (array && !json_is_array(array))
    return load_invalid(error, "hosts must be a list");
  for (gsize i = 0; i < json_array_size(array); i++) {
    PlanHost *host = g_new0(PlanHost, 1);
    g_ptr_array_add(plan->hosts, host);
    const json_t *item = json_array_get(array, i);
    if (!json_is_object(item))
      return load_invalid(error, "hosts[%zu] must be an object", i);
    if (!load_text(item, "name", TRUE, &host->name, error) || !load_text(item, "connection", TRUE, &host->connection, error) ||
        !load_limit(item, "jobs", &host->jobs, error) || !load_limit(item, "migrations", &host->migrations, error))
      return FALSE;
    host->unasked = json_is_true(json_object_get(item, "unasked"));
    host->fenced = json_is_true(json_object_get(item, "fenced"));
    if (json_object_get(item, "spec") && !(host->spec = load_spec(&HostSpec_table, item, "spec", error)))
      return FALSE;
  }
  return TRUE;
}

static gboolean load_plan(Loader *loader, const json_t *root, GError **error) {
  const json_t *objects = json_object_get(root, "objects"), *actions = json_object_get(root, "actions");
  if (!json_is_array(objects) || !json_is_array(actions))
    return load_invalid(error, "objects and actions must be lists");
  if (json_array_size(objects) > PLAN_MAX_ENTRIES || json_array_size(actions) > PLAN_MAX_ENTRIES)
    return load_invalid(error, "more than %d objects or actions", PLAN_MAX_ENTRIES);
  return load_source(root, loader->plan, error) &&
         load_text(root, "connection", FALSE, &loader->plan->connection, error) &&
         load_text(root, "refused", FALSE, &loader->plan->refused, error) &&
         load_hosts(root, loader->plan, error) && load_objects(loader, objects, error) && load_actions(loader, actions, error);
}

static gboolean check_version(const json_t *root, GError **error) {
  const json_t *version = json_object_get(root, "formatVersion");
  if (!json_is_integer(version))
    return load_invalid(error, "this isn't a plan: it has no formatVersion");
  if (json_integer_value(version) == 1)
    return TRUE;
  g_set_error(error, PLAN_ERROR, PLAN_ERROR_VERSION,
              "formatVersion is %" JSON_INTEGER_FORMAT ", this version of reconcile reads 1: plan anew",
              json_integer_value(version));
  return FALSE;
}

Plan *plan_from_json(const char *text, const char *what, GError **error) {
  json_error_t syntax;
  json_auto_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &syntax);
  if (!root) {
    g_set_error(error, PLAN_ERROR, PLAN_ERROR_SYNTAX, "%s:%d:%d: %s", what, syntax.line, syntax.column, syntax.text);
    return NULL;
  }
  g_autoptr(Plan) plan = plan_new();
  g_autoptr(GHashTable) objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);
  Loader loader = {.plan = plan, .objects = objects, .ids = ids};
  if (!check_version(root, error) || !load_plan(&loader, root, error)) {
    g_prefix_error(error, "%s: ", what);
    return NULL;
  }
  return g_steal_pointer(&plan);
}
