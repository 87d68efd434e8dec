/* For shells: the scripts, and what they ask for while somebody types. */
#include "reconciler/command/completion_script.h"
#include "reconciler/command/observe_names.h"
#include "schema/reference.h"

static int print_names(const Cli *cli) {
  static char *none[] = {NULL};
  Cli all = *cli;
  all.args = none;
  g_autoptr(GError) error = NULL;
  g_autoptr(Actual) actual = NULL;
  g_autoptr(GPtrArray) domains = observe_named(&all, FALSE, &actual, &error);
  if (!domains)
    return cli_fail(cli, error, NULL);
  for (guint i = 0; i < domains->len; i++) {
    cli_print(((const ActualDomain *)domains->pdata[i])->name);
    cli_print("\n");
  }
  return EXIT_IN_SYNC;
}

int command_completion(const Cli *cli) {
  const char *what = cli->args[0] ? cli->args[0] : "";
  g_autoptr(GString) out = g_string_new(NULL);
  if (g_str_equal(what, "names"))
    return print_names(cli);
  if (g_str_equal(what, "fields")) {
    g_autofree char *paths = reference_paths();
    g_string_append(out, paths);
  } else if (g_str_equal(what, "bash")) {
    completion_bash(out);
  } else if (g_str_equal(what, "zsh")) {
    completion_zsh(out);
  } else {
    g_autoptr(GError) error = g_error_new(CLI_ERROR, CLI_ERROR_USAGE, "completion: bash, zsh, fields or names is expected");
    return cli_fail(cli, error, NULL);
  }
  cli_print(out->str);
  return EXIT_IN_SYNC;
}
