/* The host as it is, or all that a source declares, through read-only connections, in a file that --against plans with. */
#include "reconciler/command/cli.h"
#include "reconciler/command/observe_names.h"
#include "reconciler/run/silence.h"
#include "state/libvirt/connection.h"
#include "state/observation.h"
#include "state/observe.h"

static const ObserveOptions everything = {.domains = TRUE, .storage = TRUE, .networks = TRUE, .keep_texts = TRUE};

/* One that can't be asked is said, here and in the file: nothing is concluded of it. */
static gboolean keep_host(GHashTable *hosts, FleetHost *host) {
  ObservedHost *kept = g_new0(ObservedHost, 1);
  *kept = (ObservedHost){.actual = g_steal_pointer(&host->actual), .error = host->error ? g_strdup(host->error->message) : NULL};
  g_hash_table_replace(hosts, g_strdup(host->name), kept);
  if (kept->error)
    cli_print_warning("host %s can't be asked: %s", host->name, kept->error);
  return kept->actual != NULL;
}

static int observe_fleet(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = NULL;
  g_autoptr(Fleet) fleet = fleet_of_source(cli, &everything, &desired, diagnostics, &error);
  if (!fleet)
    return cli_fail(cli, error, diagnostics);
  g_autoptr(GHashTable) hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, observed_host_free);
  gboolean complete = TRUE;
  for (guint i = 0; i < fleet->hosts->len; i++)
    complete &= keep_host(hosts, fleet->hosts->pdata[i]);
  g_autofree char *text = observation_save_hosts(hosts, g_get_real_time());
  cli_print(text);
  return complete ? EXIT_IN_SYNC : EXIT_ERROR;
}

int command_observe(const Cli *cli) {
  if (cli->options.source)
    return observe_fleet(cli);
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
