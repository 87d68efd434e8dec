/* act_one URI FILE: carries out one action, for tests of the actions without a plan.
 *
 * FILE is JSON: {"action": "volume-create", "args": {…}, "kind": "VirtualMachine", "name": "web",
 * "spec": {…}, "metadata": {…}, "source": "…", "cancelAt": bytes, "dataLoss": bool}; without spec it is
 * about an orphan. SIGINT cancels. Standard output: {"ok": true|false, "code": "stale"|"refused"|"failed"|
 * "cancelled"|"libvirt"|…, "message": "…", "progress": [[done, total, phase], …], "remarks": "…"}. */
#include <glib-unix.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include "reconciler/act/act.h"
#include "state/xml.h"

typedef struct {
  json_t *progress;
  GCancellable *cancel;
  guint64 cancel_at; /* bytes; 0: never */
} Watcher;

static GMutex lock; /* a copy and a save tell their progress from another thread */
static GCancellable *on_signal;

static void handle_signal(int number G_GNUC_UNUSED) { g_cancellable_cancel(on_signal); }

static void on_progress(gpointer data, const Action *action G_GNUC_UNUSED, guint64 done, guint64 total, const char *phase) {
  Watcher *watcher = data;
  g_mutex_lock(&lock);
  json_array_append_new(watcher->progress, json_pack("[I,I,s]", (json_int_t)done, (json_int_t)total, phase));
  if (watcher->cancel_at && done >= watcher->cancel_at)
    g_cancellable_cancel(watcher->cancel);
  g_mutex_unlock(&lock);
}

static void die(const char *what, const char *why) {
  fprintf(stderr, "act_one: %s: %s\n", what, why);
  exit(99);
}

static const char *text_of(json_t *root, const char *key) { return json_string_value(json_object_get(root, key)); }

static Kind find_kind(const char *name) {
  for (Kind kind = 0; kind < KIND_N; kind++)
    if (g_strcmp0(kinds[kind].name, name) == 0)
      return kind;
  die("unknown kind", name ? name : "(none)");
  return KIND_N;
}

static ActionKind find_action(const char *name) {
  for (ActionKind kind = 0; kind < ACTION_N; kind++)
    if (g_strcmp0(action_info[kind].name, name) == 0)
      return kind;
  die("unknown action", name ? name : "(none)");
  return ACTION_N;
}

static void read_part(const FieldTable *table, json_t *json, gpointer into) {
  if (!json)
    return;
  char *text = json_dumps(json, JSON_COMPACT);
  g_autoptr(GError) error = NULL;
  gpointer spec = spec_from_json(table, text, table->name, &error);
  free(text);
  if (!spec)
    die(table->name, error->message);
  spec_clear(table, into);
  spec_copy_into(table, spec, into);
  spec_free(table, spec);
}

static Object *read_object(json_t *root, Kind kind, const char *name) {
  if (!json_object_get(root, "spec"))
    return NULL;
  Object *object = object_new(kind, name);
  json_t *metadata = json_deep_copy(json_object_get(root, "metadata"));
  if (!metadata)
    metadata = json_object();
  json_object_set_new(metadata, "name", json_string(name));
  read_part(&MetadataSpec_table, metadata, &object->metadata);
  json_decref(metadata);
  read_part(kinds[kind].spec, json_object_get(root, "spec"), object->spec);
  return object;
}

static StringMap *read_arguments(json_t *root) {
  StringMap *args = string_map_new();
  const char *key;
  json_t *value;
  json_object_foreach(json_object_get(root, "args"), key, value) {
    g_autofree char *number = json_is_integer(value) ? g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value)) : NULL;
    string_map_set(args, key, number ? number : json_string_value(value));
  }
  return args;
}

static const char *code_of(const GError *error) {
  static const char *const words[] = { "stale", "refused", "failed", "cancelled" };
  if (error->domain == EXECUTE_ERROR)
    return words[error->code];
  return error->domain == LIBVIRT_ERROR ? "libvirt" : g_quark_to_string(error->domain);
}

static void print_result(gboolean ok, const GError *error, json_t *progress, const char *remarks) {
  json_t *result = json_pack("{s:b,s:s?,s:s?,s:O,s:s}", "ok", ok, "code", error ? code_of(error) : NULL,
                             "message", error ? error->message : NULL, "progress", progress, "remarks", remarks);
  char *text = json_dumps(result, JSON_COMPACT);
  puts(text);
  free(text);
  json_decref(result);
}

int main(int argc, char **argv) {
  if (argc != 3)
    die("usage", "act_one URI FILE");
  json_error_t syntax;
  json_t *root = json_load_file(argv[2], 0, &syntax);
  if (!root)
    die(argv[2], syntax.text);
  Kind kind = find_kind(text_of(root, "kind"));
  const char *name = text_of(root, "name");
  Object *desired = read_object(root, kind, name);
  const char *source = text_of(root, "source");
  Plan plan = { .source = (char *)(source ? source : "/specs"), .connection = argv[1] };
  PlanObject object = { .kind = kind, .name = (char *)name, .place = (char *)"test.yaml:1", .desired = desired, .declared = desired };
  Action action = { .kind = find_action(text_of(root, "action")), .id = (char *)"a1", .args = read_arguments(root),
                    .impact = json_is_true(json_object_get(root, "dataLoss")) ? IMPACT_DATA_LOSS : IMPACT_NONE };
  g_autoptr(Connection) connection = connection_new(argv[1], FALSE);
  g_autoptr(GCancellable) cancel = g_cancellable_new();
  on_signal = cancel;
  signal(SIGINT, handle_signal);
  Watcher watcher = { json_array(), cancel, (guint64)json_integer_value(json_object_get(root, "cancelAt")) };
  g_autoptr(GString) remarks = g_string_new(NULL);
  ActionContext context = { .connection = connection, .plan = &plan, .object = &object, .cancel = cancel, .progress = on_progress,
                            .progress_data = &watcher, .remarks = remarks };

  g_autoptr(GError) error = NULL;
  gboolean ok = action_info[action.kind].function(&context, &action, &error);
  if (ok != !error)
    die(action_info[action.kind].name, "result and error disagree");
  print_result(ok, error, watcher.progress, remarks->str);
  string_map_free(action.args);
  object_free(desired);
  json_decref(watcher.progress);
  json_decref(root);
  return ok ? 0 : 1;
}
