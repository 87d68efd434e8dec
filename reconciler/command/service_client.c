#include "reconciler/command/service_client.h"

#include "reconciler/report/escape.h"
#include "reconciler/run/config.h"
#include "reconciler/service/socket.h"

enum { ANSWER_SECONDS = 10 };
#define ROOT_SOCKET "/run/reconcile/control.sock"

static json_t *ask(const char *path, const char *command, GError **error) {
  g_autofree char *request = g_strdup_printf("{\"command\": \"%s\"}", command);
  g_autofree char *text = request_send(path, request, ANSWER_SECONDS, error);
  if (!text) {
    g_prefix_error(error, "the service doesn't answer at %s: ", path);
    return NULL;
  }
  json_t *reply = json_loads(text, 0, NULL);
  if (!reply)
    g_set_error(error, CLI_ERROR, CLI_ERROR_FAILED, "%s: the answer can't be understood", path);
  return reply;
}

json_t *service_ask(const Cli *cli, const char *command, GError **error) {
  if (cli->options.config) {
    g_autoptr(Diagnostics) diagnostics = diagnostics_new();
    g_autoptr(Config) config = config_read(cli->options.config, diagnostics, error);
    return config ? ask(config->socket, command, error) : NULL;
  }
  g_autofree char *runtime = config_runtime_dir(), *own = g_build_filename(runtime, "control.sock", NULL);
  gboolean is_own = g_file_test(own, G_FILE_TEST_EXISTS) || !g_file_test(ROOT_SOCKET, G_FILE_TEST_EXISTS);
  return ask(is_own ? own : ROOT_SOCKET, command, error);
}

static char *state_dir(const Cli *cli, const json_t *state, GError **error) {
  const char *told = json_string_value(json_object_get(state, "stateDir"));
  if (cli->options.state_dir)
    return g_strdup(cli->options.state_dir);
  if (!cli->options.config)
    return told ? g_strdup(told) : journal_default_dir();
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Config) config = config_read(cli->options.config, diagnostics, error);
  return config ? g_strdup(config->state_dir) : NULL;
}

Journal *service_journal(const Cli *cli, const json_t *state, GError **error) {
  g_autofree char *dir = state_dir(cli, state, error);
  if (!dir)
    return NULL;
  GError *trouble = NULL;
  Journal *journal = journal_open(dir, JOURNAL_READ, NULL, &trouble);
  if (g_error_matches(trouble, JOURNAL_ERROR, JOURNAL_ERROR_ABSENT))
    g_clear_error(&trouble);
  if (trouble)
    g_propagate_error(error, trouble);
  return journal;
}

static void append_text(GString *out, const char *key, const json_t *state, const char *name) {
  const char *text = json_string_value(json_object_get(state, name));
  if (!text)
    return;
  g_string_append_printf(out, "  %-14s ", key);
  escape_append_lines(out, text, 17);
  g_string_append_c(out, '\n');
}

static void append_hosts(GString *out, json_t *hosts) {
  const char *name;
  json_t *host;
  json_object_foreach(hosts, name, host) {
    g_string_append_printf(out, "  %-14s ", "host");
    escape_append(out, name);
    g_string_append(out, json_is_true(json_object_get(host, "connected")) ? "\n" : ", can't be asked\n");
  }
}

void service_append_state(GString *out, const json_t *state) {
  g_string_append_printf(out, "Service (process %" JSON_INTEGER_FORMAT ")\n", json_integer_value(json_object_get(state, "pid")));
  static const char *const lines[][2] = {
      {"source", "source"}, {"revision", "revision"}, {"connection", "connection"}, {"read", "sourceRead"},
      {"pass since", "passSince"}, {"no answer since", "noAnswerSince"}, {"last pass", "lastPass"}, {"last change", "lastApplied"}, {"source error", "sourceError"}, {"host error", "hostError"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    append_text(out, lines[i][0], state, lines[i][1]);
  append_hosts(out, json_object_get(state, "hosts"));
  if (json_is_true(json_object_get(state, "suspended")))
    g_string_append(out, "  suspended      nothing is changed\n");
  const char *id;
  json_t *verdict;
  json_object_foreach(json_object_get(state, "objects"), id, verdict) {
    const char *word = json_string_value(json_object_get(verdict, "state")), *text = json_string_value(json_object_get(verdict, "text"));
    g_string_append(out, "  ");
    escape_append(out, id);
    g_string_append_printf(out, "  %s: ", word ? word : "");
    escape_append_lines(out, text, 4);
    g_string_append_c(out, '\n');
  }
}
