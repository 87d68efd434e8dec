/* Checks a source without a hypervisor. */
#include "reconciler/command/cli.h"
#include "reconciler/plan/json.h"
#include "reconciler/report/escape.h"
#include "reconciler/run/config.h"
#include "reconciler/source/source.h"

static void print_json(const Desired *desired, const char *source) {
  json_auto_t *root = json_object();
  json_t *objects = json_array();
  json_object_set_new(root, "formatVersion", json_integer(1));
  json_object_set_new(root, "source", json_text(source));
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    g_autofree char *place = place_format(object->at);
    json_t *entry = json_object();
    json_object_set_new(entry, "kind", json_text(kinds[object->kind].name));
    json_object_set_new(entry, "name", json_text(object->metadata.name));
    json_object_set_new(entry, "place", json_text(place));
    json_array_append_new(objects, entry);
  }
  json_object_set_new(root, "objects", objects);
  json_object_set_new(root, "exitStatus", json_integer(EXIT_IN_SYNC));
  g_autofree char *text = json_dumps(root, JSON_INDENT(2));
  cli_print(text);
  cli_print("\n");
}

static void print_objects(GString *out, const Desired *desired) {
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    g_autofree char *id = object_id(object->kind, object->metadata.name), *place = place_format(object->at);
    escape_append(out, id);
    g_string_append(out, "  ");
    escape_append(out, place);
    g_string_append_c(out, '\n');
  }
}

static void print_text(const Cli *cli, const Desired *desired, const char *source) {
  g_autoptr(GString) out = g_string_new(NULL);
  if (cli->view.verbose)
    print_objects(out, desired);
  g_string_append(out, "Valid: ");
  report_append_number(out, desired->objects->len, "object", NULL);
  g_string_append(out, " in ");
  escape_append(out, source);
  g_string_append(out, ".\n");
  cli_print(out->str);
}

static int validate_config(const Cli *cli) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = config_read(cli->options.config, diagnostics, &error);
  if (!config)
    return cli_fail(cli, error, diagnostics);
  cli_print_diagnostics(diagnostics);
  if (cli->format == &report_json)
    cli_print("{\n  \"formatVersion\": 1,\n  \"exitStatus\": 0\n}\n");
  else
    cli_print("Valid.\n");
  return EXIT_IN_SYNC;
}

int command_validate(const Cli *cli) {
  if (cli->options.config)
    return validate_config(cli);
  const char *source = cli->args[0] ? cli->args[0] : ".";
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *identity = NULL, *revision = NULL;
  g_autoptr(Desired) desired = source_read(&(SourceRequest){.source = source}, &identity, &revision, diagnostics, &error);
  if (!desired)
    return cli_fail(cli, error, diagnostics);
  cli_print_diagnostics(diagnostics);
  if (cli->format == &report_json)
    print_json(desired, identity);
  else
    print_text(cli, desired, source);
  return EXIT_IN_SYNC;
}
