/* The service, and what talks to it. */
#include <jansson.h>

#include "reconciler/command/cli.h"
#include "reconciler/command/service_client.h"
#include "reconciler/run/config.h"
#include "reconciler/service/log.h"
#include "reconciler/service/serve.h"

int command_serve(const Cli *cli) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  Config *config = config_read(cli->options.config ? cli->options.config : CONFIG_DEFAULT_FILE, diagnostics, &error);
  if (!config)
    return cli_fail(cli, error, diagnostics);
  cli_print_diagnostics(diagnostics);
  service_log_level(cli->view.verbose ? LOG_DEBUG : cli->view.quiet ? LOG_WARNING : LOG_INFO);
  return serve(config, cli->options.once);
}

int command_trigger(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  json_auto_t *reply = service_ask(cli, "trigger", &error);
  const char *refused = json_string_value(json_object_get(reply, "error"));
  if (refused)
    g_set_error_literal(&error, CLI_ERROR, CLI_ERROR_FAILED, refused);
  if (error)
    return cli_fail(cli, error, NULL);
  if (!cli->view.quiet)
    cli_print("Triggered.\n");
  return EXIT_IN_SYNC;
}
