/* The field reference, from the rows. */
#include "reconciler/command/cli.h"
#include "schema/reference.h"

int command_explain(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = reference_text(cli->args[0], &error);
  if (!text)
    return cli_fail(cli, error, NULL);
  cli_print(text);
  return EXIT_IN_SYNC;
}
