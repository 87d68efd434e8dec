/* Any bytes as a saved observation: an error, or a state that can be saved and read again. */
#include "state/observation.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_actual(const Actual *actual) {
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (!domain->error && !domain->fingerprint)
      g_error("%s: neither error nor fingerprint", domain->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(Observation) observation = observation_load(text, "input", &error);
  if (!observation) {
    if (!error || !g_str_has_prefix(error->message, "input"))
      g_error("refused without a reason");
    return 0;
  }
  if (observation->actual) {
    check_actual(observation->actual);
    return 0;
  }
  GHashTableIter iter;
  ObservedHost *host;
  g_hash_table_iter_init(&iter, observation->hosts);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&host)) {
    if (!host->actual == !host->error)
      g_error("neither an observation nor an error, or both");
    if (host->actual)
      check_actual(host->actual);
  }
  return 0;
}
