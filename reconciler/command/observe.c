/* The host as it is, through a read-only connection, in a file that --against plans with. */
#include "reconciler/command/cli.h"
#include "reconciler/run/silence.h"
#include "state/libvirt/connection.h"
#include "state/observation.h"
#include "state/observe.h"

int command_observe(const Cli *cli) {
  static const ObserveOptions everything = {.domains = TRUE, .storage = TRUE, .networks = TRUE, .keep_texts = TRUE};
  g_autoptr(GError) error = NULL;
  g_autoptr(SilenceWatch) silence = silence_watch_new(cli->options.connect, cli_end_at_silence, NULL);
  g_autoptr(Connection) connection = connection_new(cli->options.connect, TRUE);
  g_autoptr(Actual) actual = observe(connection, &everything, &error);
  if (!actual)
    return cli_fail(cli, error, NULL);
  g_autofree char *text = observation_save(actual, g_get_real_time());
  cli_print(text);
  return EXIT_IN_SYNC;
}
