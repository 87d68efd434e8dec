/* The JSON Schema of the files, for editors and checks. */
#include "reconciler/command/cli.h"
#include "schema/jsonschema.h"

int command_schema(G_GNUC_UNUSED const Cli *cli) {
  g_autofree char *text = json_schema();
  cli_print(text);
  return EXIT_IN_SYNC;
}
