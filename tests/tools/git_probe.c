/* git_probe [update|update-here|read|verify]… : a git source, for tests of what the command line doesn't offer.
 *
 * Standard input: {"url": …, "ref": …, "path": …, "mirrorDir": …, "sshKey": …, "sshKnownHosts": …,
 * "caFile": …, "user": …, "tokenFile": …, "signatures": "tip"|"all", "allowedSigners": …, "keyring": …,
 * "lastApplied": …, "silence": seconds, "revision": …}; what is read and verified is "revision", or
 * what update found. Standard output: {"identity", "commit", "objects": ["vm/web at a.yaml:1"],
 * "diagnostics": […], "error", "code"}. SIGTERM cancels. update-here makes no process of its own, so that leaks are seen. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "reconciler/plan/json.h"
#include "reconciler/run/signals.h"
#include "reconciler/source/git/fetch.h"
#include "reconciler/source/git/update.h"

static const char *text_of(const json_t *json, const char *key) { return json_string_value(json_object_get(json, key)); }

static GitSource source_of(const json_t *json) {
  const char *rule = text_of(json, "signatures");
  return (GitSource){
      .url = text_of(json, "url"),
      .ref = text_of(json, "ref"),
      .path = text_of(json, "path"),
      .mirror_dir = text_of(json, "mirrorDir"),
      .ssh_key = text_of(json, "sshKey"),
      .ssh_known_hosts = text_of(json, "sshKnownHosts"),
      .ca_file = text_of(json, "caFile"),
      .user = text_of(json, "user"),
      .token_file = text_of(json, "tokenFile"),
      .signatures = rule == NULL ? SIGNATURES_NONE : g_str_equal(rule, "all") ? SIGNATURES_ALL : SIGNATURES_TIP,
      .allowed_signers = text_of(json, "allowedSigners"),
      .keyring = text_of(json, "keyring"),
      .last_applied = text_of(json, "lastApplied"),
      .silence_seconds = (guint)json_integer_value(json_object_get(json, "silence")),
  };
}

static void add_objects(json_t *reply, const Desired *desired) {
  json_t *objects = json_array();
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    g_autofree char *id = object_id(object->kind, object->metadata.name), *place = place_format(object->at);
    g_autofree char *text = g_strdup_printf("%s at %s", id, place);
    json_array_append_new(objects, json_text(text));
  }
  json_object_set_new(reply, "objects", objects);
}

static void add_diagnostics(json_t *reply, const Diagnostics *diagnostics) {
  json_t *lines = json_array();
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    json_array_append_new(lines, json_text(line));
  }
  json_object_set_new(reply, "diagnostics", lines);
}

static void nothing(void) {}

static gboolean step(const char *name, const GitSource *source, char **revision, json_t *reply, GCancellable *cancel, GError **error) {
  if (g_str_has_prefix(name, "update")) {
    g_free(*revision);
    *revision = g_str_equal(name, "update") ? git_source_update(source, cancel, error) : update_mirror(source, nothing, error);
    return *revision != NULL;
  }
  if (g_str_equal(name, "verify"))
    return git_source_verify(source, *revision, error);
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = git_source_read(source, *revision, diagnostics, error);
  add_diagnostics(reply, diagnostics);
  if (desired != NULL)
    add_objects(reply, desired);
  return desired != NULL;
}

int main(int argc, char **argv) {
  if (git_fetch_is_asked(argv[0]))
    git_fetch_main();
  static GCancellable *cancel; /* the signals' thread keeps using it */
  cancel = g_cancellable_new();
  signals_cancel(cancel, NULL);
  json_auto_t *json = json_loadf(stdin, 0, NULL), *reply = json_object();
  GitSource source = source_of(json);
  g_autofree char *revision = g_strdup(text_of(json, "revision")), *identity = git_source_identity(&source);
  g_autoptr(GError) error = NULL;
  for (int i = 1; i < argc && error == NULL; i++)
    step(argv[i], &source, &revision, reply, cancel, &error);
  json_object_set_new(reply, "identity", json_text(identity));
  json_object_set_new(reply, "commit", json_text(revision));
  if (error != NULL) {
    json_object_set_new(reply, "error", json_text(error->message));
    json_object_set_new(reply, "code", json_integer(error->code));
  }
  json_dumpf(reply, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
  return error != NULL;
}
