#include "reconciler/run/config.h"

#include <string.h>
#include <unistd.h>

#include "reconciler/plan/input.h"
#include "reconciler/source/source.h"
#include "schema/value.h"
#include "state/journal.h"

G_STATIC_ASSERT((int)ImpactClass_N == (int)IMPACT_N);

char *config_runtime_dir(void) {
  const char *given = g_getenv("RUNTIME_DIRECTORY"), *user = g_getenv("XDG_RUNTIME_DIR");
  if (given && g_path_is_absolute(given)) {
    g_auto(GStrv) first = g_strsplit(given, ":", 2);
    return g_strdup(first[0]);
  }
  if (geteuid() == 0 && !(user && *user))
    return g_strdup("/run/reconcile");
  return g_build_filename(g_get_user_runtime_dir(), "reconcile", NULL);
}

static guint impacts(char *const *words) {
  guint bits = 0;
  for (; words && *words; words++)
    bits |= 1u << enum_find(Allowance_words.words, *words);
  return bits;
}

static void complete(Config *config) {
  const ServiceSpec *spec = &config->spec;
  config->allow = impacts(spec->allow) & (ALLOW(IMPACT_RESTART) | ALLOW(IMPACT_DATA_LOSS) | ALLOW_OVERCOMMIT);
  config->state_dir = given(spec, ServiceSpec, stateDir) ? g_strdup(spec->stateDir) : journal_default_dir();
  g_autofree char *runtime = config_runtime_dir();
  config->socket = given(spec, ServiceSpec, socket) ? g_strdup(spec->socket) : g_build_filename(runtime, "control.sock", NULL);
}

Config *config_read(const char *file, Diagnostics *diagnostics, GError **error) {
  g_autofree char *text = NULL;
  gsize length = 0;
  if (!g_file_get_contents(file, &text, &length, error)) {
    g_prefix_error(error, "the configuration can't be read: ");
    return NULL;
  }
  g_autoptr(Config) config = g_new0(Config, 1);
  config->refs = 1;
  config->file = g_strdup(file);
  if (!configuration_decode(file, text, length, &config->spec, diagnostics)) {
    diagnostics_sort(diagnostics);
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_INVALID, "%s: the configuration isn't valid", file);
    return NULL;
  }
  complete(config);
  return g_steal_pointer(&config);
}

gboolean config_stay(Config *config, const Config *former) {
  const Field *connection = table_find(&ServiceSpec_table, "connection");
  gboolean changed = g_strcmp0(config->spec.connection, former->spec.connection) != 0 || !g_str_equal(config->state_dir, former->state_dir);
  spec_unset(&ServiceSpec_table, &config->spec, connection);
  if (given(&former->spec, ServiceSpec, connection))
    spec_copy_field(&ServiceSpec_table, connection, &former->spec, &config->spec);
  g_free(config->state_dir);
  config->state_dir = g_strdup(former->state_dir);
  return changed;
}

void config_keep_socket(Config *config, const Config *former) {
  g_free(config->socket);
  config->socket = g_strdup(former->socket);
}

Config *config_ref(const Config *config) {
  g_atomic_int_inc(&((Config *)config)->refs);
  return (Config *)config;
}

void config_free(Config *config) {
  if (!config || !g_atomic_int_dec_and_test(&config->refs))
    return;
  spec_clear(&ServiceSpec_table, &config->spec);
  g_free(config->file);
  g_free(config->state_dir);
  g_free(config->socket);
  g_free(config);
}

const char *config_identity(const Config *config) {
  const ServiceSourceSpec *source = &config->spec.source;
  return given(source, ServiceSourceSpec, name) ? source->name : NULL;
}

const char *const *config_formerly(const Config *config) {
  const ServiceSourceSpec *source = &config->spec.source;
  return given(source, ServiceSourceSpec, formerly) ? (const char *const *)source->formerly : NULL;
}

Rules config_rules(const Config *config) {
  const ServiceSpec *spec = &config->spec;
  return (Rules){
      .policy = given(spec, ServiceSpec, policy) ? &spec->policy : NULL,
      .windows = given(spec, ServiceSpec, windows) ? spec->windows : NULL,
      .suspend = given(spec, ServiceSpec, suspend) && spec->suspend,
      .allow = config->allow,
      .now = g_get_real_time(),
  };
}

gboolean config_tells(const Config *config, NotifyEvent event) {
  const ServiceSpec *spec = &config->spec;
  if (!given(spec, ServiceSpec, notify))
    return FALSE;
  return !given(&spec->notify, NotifySpec, events) ||
         g_strv_contains((const char *const *)spec->notify.events, NotifyEvent_words.words[event]);
}
