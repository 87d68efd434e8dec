#include "schema/configuration.h"

#include <string.h>

#include "schema/document.h"

typedef struct {
  const ServiceSpec *spec;
  const Node *root;
  Diagnostics *diagnostics;
} Rules;

/* Where a key path such as "source.git" stands, or the nearest above it. */
static Place place_of(const Rules *rules, const char *path) {
  g_auto(GStrv) keys = g_strsplit(path, ".", -1);
  const Node *node = rules->root;
  Place at = node->at;
  for (char **key = keys; *key && (node = node_get(node, *key)); key++)
    at = node->at;
  return at;
}

static Place window_place(const Rules *rules, guint index) {
  const Node *windows = node_get(rules->root, "windows");
  return windows->items[index]->at;
}

gboolean time_of_day_parse(const char *text, guint *ret_minutes) {
  if (strlen(text) != 5 || text[2] != ':' || !g_ascii_isdigit(text[0]) || !g_ascii_isdigit(text[1]) ||
      !g_ascii_isdigit(text[3]) || !g_ascii_isdigit(text[4]))
    return FALSE;
  guint hours = (guint)(text[0] - '0') * 10 + (guint)(text[1] - '0');
  guint minutes = (guint)(text[3] - '0') * 10 + (guint)(text[4] - '0');
  if (hours > 23 || minutes > 59)
    return FALSE;
  *ret_minutes = hours * 60 + minutes;
  return TRUE;
}

gboolean listen_address_parse(const char *text, char **ret_path, char **ret_host, guint16 *ret_port) {
  *ret_path = *ret_host = NULL;
  *ret_port = 0;
  if (g_str_has_prefix(text, "unix:")) {
    const char *path = text + strlen("unix:");
    *ret_path = *path == '/' && strlen(path) <= SOCKET_PATH_MOST ? g_strdup(path) : NULL;
    return *ret_path != NULL;
  }
  static const char *const hosts[][2] = {{"127.0.0.1:", "127.0.0.1"}, {"[::1]:", "::1"}, {"localhost:", "127.0.0.1"}};
  for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
    guint64 port;
    if (!g_str_has_prefix(text, hosts[i][0]) ||
        !g_ascii_string_to_unsigned(text + strlen(hosts[i][0]), 10, 1, 65535, &port, NULL))
      continue;
    *ret_host = g_strdup(hosts[i][1]);
    *ret_port = (guint16)port;
    return TRUE;
  }
  return FALSE;
}

static void check_git(const Rules *rules, const GitSpec *git) {
  const SignaturesSpec *signatures = &git->signatures;
  if (given(git, GitSpec, path) && (*git->path == '/' || strstr(git->path, "..")))
    diag_error(rules->diagnostics, place_of(rules, "source.git.path"), "path: expected a directory within the repository, without \"..\"");
  if (given(git, GitSpec, signatures) && signatures->require != SignatureRequirement_none &&
      !given(signatures, SignaturesSpec, allowedSigners) && !given(signatures, SignaturesSpec, keyring))
    diag_error(rules->diagnostics, place_of(rules, "source.git.signatures"),
               "signatures: give allowedSigners (SSH) or keyring (OpenPGP): without keys nothing could be verified");
  if (g_str_has_prefix(git->url, "http://"))
    diag_warning(rules->diagnostics, place_of(rules, "source.git.url"),
                 "url: http is neither secret nor safe from changes on the way: use https or ssh, or require signatures");
}

static void check_source(const Rules *rules) {
  const ServiceSourceSpec *source = &rules->spec->source;
  gboolean directory = given(source, ServiceSourceSpec, directory), git = given(source, ServiceSourceSpec, git);
  if (directory == git)
    diag_error(rules->diagnostics, place_of(rules, "source"), "source: expected one of directory and git");
  else if (git && source->git.url)
    check_git(rules, &source->git);
}

static void check_window(const Rules *rules, const WindowSpec *window, Place at) {
  guint from, to;
  if (!time_of_day_parse(window->from, &from) || !time_of_day_parse(window->to, &to))
    diag_error(rules->diagnostics, at, "window %s: from and to are times such as '22:00' (in quotes)", window->name);
  else if (from == to)
    diag_error(rules->diagnostics, at, "window %s opens and closes at the same time", window->name);
  if (!given(window, WindowSpec, timezone))
    return;
  g_autoptr(GTimeZone) zone = g_time_zone_new_identifier(window->timezone);
  g_autofree char *shown = quoted(window->timezone);
  if (!zone)
    diag_error(rules->diagnostics, at, "window %s: no time zone %s is known", window->name, shown);
}

static void check_outputs(const Rules *rules) {
  const ServiceSpec *spec = rules->spec;
  if (given(spec, ServiceSpec, socket) && strlen(spec->socket) > SOCKET_PATH_MOST)
    diag_error(rules->diagnostics, place_of(rules, "socket"), "socket: at most %d bytes, as the system has it", SOCKET_PATH_MOST);
  g_autofree char *path = NULL, *host = NULL;
  guint16 port;
  if (given(&spec->metrics, MetricsSpec, listen) && !listen_address_parse(spec->metrics.listen, &path, &host, &port))
    diag_error(rules->diagnostics, place_of(rules, "metrics.listen"),
               "listen: expected unix:PATH or an address of the loopback such as 127.0.0.1:9177");
  if (!given(spec, ServiceSpec, notify) || !spec->notify.command)
    return;
  if (!spec->notify.command[0] || !g_path_is_absolute(spec->notify.command[0]))
    diag_error(rules->diagnostics, place_of(rules, "notify.command"), "command: expected a program by its absolute path, then its arguments");
}

static void check_rules(const Rules *rules) {
  const ServiceSpec *spec = rules->spec;
  check_source(rules);
  for (guint i = 0; given(spec, ServiceSpec, windows) && i < spec->windows->len; i++)
    check_window(rules, spec->windows->pdata[i], window_place(rules, i));
  check_outputs(rules);
}

#define DEFAULT(struct_, Spec, member, value) \
  if (!given(struct_, Spec, member)) { \
    (struct_)->member = (value); \
    set_given(struct_, Spec, member); \
  }

static void set_defaults(ServiceSpec *spec) {
  DEFAULT(&spec->source, ServiceSourceSpec, pollInterval, 60 * 1000)
  DEFAULT(&spec->source, ServiceSourceSpec, settle, 500)
  DEFAULT(spec, ServiceSpec, interval, 30 * 1000)
  DEFAULT(spec, ServiceSpec, resync, 10 * 60 * 1000)
  DEFAULT(&spec->prune, PruneSpec, limit, 30)
  DEFAULT(&spec->limits, LimitsSpec, jobs, 4)
  DEFAULT(&spec->notify, NotifySpec, timeout, 30 * 1000)
}

gboolean configuration_decode(const char *file, const char *data, gsize length, ServiceSpec *spec, Diagnostics *diagnostics) {
  guint before = diagnostics->errors;
  g_autoptr(GPtrArray) documents = node_parse(file, data, length, &node_limits_default, diagnostics);
  if (diagnostics->errors == before && documents->len != 1)
    diag_error(diagnostics, (Place){.file = g_intern_string(file)}, "expected one document, but there are %u", documents->len);
  if (diagnostics->errors == before) {
    g_autofree char *folder = g_path_get_dirname(file);
    decode_spec(&ServiceSpec_table, documents->pdata[0], folder, spec, diagnostics);
  }
  if (diagnostics->errors == before)
    check_rules(&(Rules){spec, documents->pdata[0], diagnostics});
  if (diagnostics->errors == before)
    set_defaults(spec);
  return diagnostics->errors == before;
}
