/* What there is: a table of all domains, or everything about the ones named. */
#include "reconciler/cli.h"
#include "reconciler/observe_names.h"
#include "reconciler/status.h"

static void print_json(const Actual *actual, const GPtrArray *statuses) {
  json_auto_t *root = status_json(actual, statuses);
  g_autofree char *text = json_dumps(root, JSON_INDENT(2));
  cli_print(text);
  cli_print("\n");
}

static void print_text(const Cli *cli, const GPtrArray *statuses) {
  g_autoptr(GString) out = g_string_new(NULL);
  gboolean markdown = cli->format == &report_markdown;
  if (!cli->args[0] || markdown)
    status_append_table(out, statuses, &cli->view, markdown);
  for (guint i = 0; cli->args[0] && !markdown && i < statuses->len; i++) {
    g_string_append(out, i ? "\n" : "");
    status_append_details(out, statuses->pdata[i], &cli->view);
  }
  cli_print(statuses->len ? out->str : "There are no domains.\n");
}

int command_status(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Actual) actual = NULL;
  g_autoptr(GPtrArray) domains = observe_named(cli, &actual, &error);
  if (!domains)
    return cli_fail(cli, error, NULL);
  g_autoptr(GPtrArray) statuses = g_ptr_array_new_with_free_func((GDestroyNotify)domain_status_free);
  int exit_status = EXIT_IN_SYNC;
  for (guint i = 0; i < domains->len; i++) {
    const ActualDomain *domain = domains->pdata[i];
    g_ptr_array_add(statuses, domain_status_new(actual, domain));
    if (domain->error)
      exit_status = EXIT_ERROR;
  }
  if (cli->format == &report_json)
    print_json(actual, statuses);
  else
    print_text(cli, statuses);
  return exit_status;
}
