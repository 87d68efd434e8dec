/* What there is: a table of all domains, or everything about the ones named. */
#include "reconciler/command/cli.h"
#include "reconciler/command/observe_names.h"
#include "reconciler/command/service_client.h"
#include "reconciler/report/escape.h"
#include "reconciler/run/silence.h"
#include "reconciler/status/disks.h"
#include "reconciler/status/status.h"
#include "state/libvirt/connection.h"

static void print_json(json_t *document /* taken */) {
  json_auto_t *root = document;
  g_autofree char *text = json_dumps(root, JSON_INDENT(2));
  cli_print(text);
  cli_print("\n");
}

/* One host's part, in text or Markdown. */
static void append_text(const Cli *cli, const GPtrArray *statuses, GString *out) {
  gboolean markdown = cli->format == &report_markdown;
  if (statuses->len > 0 && (!cli->args[0] || markdown))
    status_append_table(out, statuses, &cli->view, markdown);
  for (guint i = 0; cli->args[0] && !markdown && i < statuses->len; i++) {
    g_string_append(out, i ? "\n" : "");
    status_append_details(out, statuses->pdata[i], &cli->view);
  }
  if (statuses->len == 0)
    g_string_append(out, "There are no domains.\n");
}

static void append_service(const Cli *cli, const json_t *service, GString *out) {
  if (!service || cli->args[0] || cli->options.disks || cli->format == &report_markdown)
    return;
  g_string_append_c(out, '\n');
  service_append_state(out, service);
}

/* From the service's journal, where we may read it. */
static void add_lives(const Cli *cli, const json_t *service, const Actual *actual, const GPtrArray *statuses) {
  g_autoptr(Journal) journal = statuses->len > 0 ? service_journal(cli, service, NULL) : NULL;
  g_autoptr(GPtrArray) steps = journal ? steps_under_way(journal) : NULL;
  for (guint i = 0; journal && i < statuses->len; i++) {
    DomainStatus *status = statuses->pdata[i];
    g_autofree char *object = g_strconcat("vm/", status->domain->name, NULL);
    GPtrArray *events = journal_events(journal, object, 0, NULL);
    if (events)
      domain_status_live(status, actual->uri, events);
    const JournalAction *step = step_of(steps, status->domain->name);
    if (step)
      domain_status_step(status, step);
  }
}

/* Of those that are named; the agent in a guest is asked by whoever may do more than read. */
static void add_guests(const Cli *cli, const char *uri, const GPtrArray *statuses) {
  for (guint i = 0; cli->args[0] && i < statuses->len; i++) {
    DomainStatus *status = statuses->pdata[i];
    const VmSpec *live = actual_live(status->domain);
    if (status->domain->active && !status->domain->error)
      status->guest = guest_facts_read(uri, status->domain->name, given(live, VmSpec, guestAgent) && live->guestAgent);
  }
}

/* What is told of one host: as JSON (ret_json), or appended. Returns whether all could be read. */
static gboolean tell_host(const Cli *cli, const char *uri, const json_t *service, const Fleet *fleet, const FleetHost *host,
                          const Actual *actual, const GPtrArray *domains, json_t **ret_json, GString *out) {
  gboolean json = cli->format == &report_json, complete = TRUE;
  g_autoptr(GPtrArray) statuses = g_ptr_array_new_with_free_func((GDestroyNotify)domain_status_free);
  for (guint i = 0; i < domains->len; i++) {
    const ActualDomain *domain = domains->pdata[i];
    complete &= domain->error == NULL;
    if (!cli->options.disks)
      g_ptr_array_add(statuses, domain_status_new(actual, domain, fleet, host));
  }
  add_lives(cli, service, actual, statuses);
  add_guests(cli, uri, statuses);
  g_autoptr(VolumeUsers) users = cli->options.disks ? volume_users_new(actual) : NULL; /* who else uses which file */
  if (json)
    *ret_json = users ? status_disks_json(actual, domains, users) : status_json(actual, statuses);
  else if (users && domains->len > 0)
    status_append_disks(out, domains, users, &cli->view);
  else
    append_text(cli, statuses, out);
  return complete;
}

/* --- the hosts that a source declares --- */

static gboolean tell_fleet_host(const Cli *cli, const json_t *service, const Fleet *fleet, const FleetHost *host, json_t *hosts,
                                GString *out) {
  json_t *part = NULL;
  gboolean complete = FALSE;
  g_autofree char *name = escape_text(host->name);
  g_string_append_printf(out, "%s%s:\n", out->len ? "\n" : "", name);
  if (host->actual) {
    g_autoptr(GPtrArray) domains = domains_named(cli, host->actual);
    complete = tell_host(cli, connection_uri(host->connection), service, fleet, host, host->actual, domains, &part, out);
  } else {
    g_autofree char *why = escape_text(host->error->message);
    g_string_append_printf(out, "can't be asked: %s\n", why);
    part = json_pack("{s:s}", "connection", connection_uri(host->connection));
  }
  if (!part)
    return complete;
  json_object_set_new(part, "host", json_string(host->name));
  json_object_set_new(part, "error", host->error ? json_string(host->error->message) : json_null());
  json_array_append_new(hosts, part);
  return complete;
}

static gboolean known_somewhere(const Fleet *fleet, const char *name) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual && g_hash_table_contains(host->actual->domains, name))
      return TRUE;
  }
  return FALSE;
}

/* One that can't be asked is said, and the others are shown. */
static int status_of_fleet(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = NULL;
  static const ObserveOptions options = {.domains = TRUE, .storage = TRUE, .jobs = TRUE};
  g_autoptr(Fleet) fleet = fleet_of_source(cli, &options, &desired, diagnostics, &error);
  if (!fleet)
    return cli_fail(cli, error, diagnostics);
  json_auto_t *service = cli->options.disks ? NULL : service_ask(cli, "status", NULL);
  json_auto_t *root = json_pack("{s:i, s:[]}", "formatVersion", 1, "hosts");
  g_autoptr(GString) out = g_string_new(NULL);
  gboolean complete = TRUE;
  for (guint i = 0; i < fleet->hosts->len; i++)
    complete &= tell_fleet_host(cli, service, fleet, fleet->hosts->pdata[i], json_object_get(root, "hosts"), out);
  if (cli->format == &report_json)
    print_json(json_incref(root));
  else
    cli_print(out->str);
  for (char **name = cli->args; *name; name++)
    if (!known_somewhere(fleet, *name)) {
      cli_print_warning("there is no domain \"%s\" on any host that could be asked", *name);
      complete = FALSE;
    }
  return complete ? EXIT_IN_SYNC : EXIT_ERROR;
}

int command_status(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Actual) actual = NULL;
  if (cli->options.source)
    return status_of_fleet(cli);
  g_autoptr(SilenceWatch) silence = silence_watch_new(cli->options.connect, cli_end_at_silence, NULL);
  g_autoptr(GPtrArray) domains = observe_named(cli, cli->options.disks, &actual, &error);
  if (!domains)
    return cli_fail(cli, error, NULL);
  json_t *root = NULL;
  g_autoptr(GString) out = g_string_new(NULL);
  json_auto_t *service = cli->options.disks ? NULL : service_ask(cli, "status", NULL); /* where one runs, and lets us ask */
  gboolean complete = tell_host(cli, cli->options.connect, service, NULL, NULL, actual, domains, &root, out);
  if (root && !cli->options.disks)
    json_object_set(root, "service", service ? service : json_null());
  append_service(cli, service, out);
  if (root)
    print_json(root);
  else
    cli_print(out->str);
  return complete ? EXIT_IN_SYNC : EXIT_ERROR;
}
