/* What there is: a table of all domains, or everything about the ones named. */
#include "reconciler/cli.h"
#include "reconciler/observe_names.h"
#include "reconciler/service_client.h"
#include "reconciler/status.h"
#include "reconciler/status_disks.h"

static void print_json(json_t *document /* taken */) {
  json_auto_t *root = document;
  g_autofree char *text = json_dumps(root, JSON_INDENT(2));
  cli_print(text);
  cli_print("\n");
}

static void print_text(const Cli *cli, const GPtrArray *statuses, const json_t *service) {
  g_autoptr(GString) out = g_string_new(NULL);
  gboolean markdown = cli->format == &report_markdown;
  if (statuses->len > 0 && (!cli->args[0] || markdown))
    status_append_table(out, statuses, &cli->view, markdown);
  for (guint i = 0; cli->args[0] && !markdown && i < statuses->len; i++) {
    g_string_append(out, i ? "\n" : "");
    status_append_details(out, statuses->pdata[i], &cli->view);
  }
  if (statuses->len == 0)
    g_string_append(out, "There are no domains.\n");
  if (service && !cli->args[0] && !markdown) {
    g_string_append_c(out, '\n');
    service_append_state(out, service);
  }
  cli_print(out->str);
}

/* Which files make up the disks, and who else uses them. */
static int status_of_disks(const Cli *cli, const Actual *actual, const GPtrArray *domains) {
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  if (cli->format == &report_json) {
    print_json(status_disks_json(actual, domains, users));
  } else {
    g_autoptr(GString) out = g_string_new(NULL);
    status_append_disks(out, domains, users, &cli->view);
    cli_print(domains->len ? out->str : "There are no domains.\n");
  }
  for (guint i = 0; i < domains->len; i++)
    if (((const ActualDomain *)domains->pdata[i])->error)
      return EXIT_ERROR;
  return EXIT_IN_SYNC;
}

/* From the service's journal, where we may read it. */
static void add_lives(const Cli *cli, const json_t *service, const Actual *actual, const GPtrArray *statuses) {
  g_autoptr(Journal) journal = service_journal(cli, service, NULL);
  for (guint i = 0; journal && i < statuses->len; i++) {
    DomainStatus *status = statuses->pdata[i];
    g_autofree char *object = g_strconcat("vm/", status->domain->name, NULL);
    GPtrArray *events = journal_events(journal, object, 0, NULL);
    if (events)
      domain_status_live(status, actual->uri, events);
  }
}

int command_status(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Actual) actual = NULL;
  g_autoptr(GPtrArray) domains = observe_named(cli, cli->options.disks, &actual, &error);
  if (!domains)
    return cli_fail(cli, error, NULL);
  if (cli->options.disks)
    return status_of_disks(cli, actual, domains);
  g_autoptr(GPtrArray) statuses = g_ptr_array_new_with_free_func((GDestroyNotify)domain_status_free);
  int exit_status = EXIT_IN_SYNC;
  for (guint i = 0; i < domains->len; i++) {
    const ActualDomain *domain = domains->pdata[i];
    g_ptr_array_add(statuses, domain_status_new(actual, domain));
    if (domain->error)
      exit_status = EXIT_ERROR;
  }
  json_auto_t *service = service_ask(cli, "status", NULL); /* where one runs, and lets us ask */
  add_lives(cli, service, actual, statuses);
  if (cli->format == &report_json) {
    json_t *root = status_json(actual, statuses);
    json_object_set(root, "service", service ? service : json_null());
    print_json(root);
  } else {
    print_text(cli, statuses, service);
  }
  return exit_status;
}
