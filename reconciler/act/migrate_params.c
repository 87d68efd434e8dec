/* A row for each thing that can be asked of libvirt about a migration. What stands in no row is always so
 * (LIVE, PEER2PEER, PERSIST_DEST, UNDEFINE_SOURCE, ABORT_ON_ERROR; CHANGE_PROTECTION follows from them), is
 * done otherwise (OFFLINE, DEST_NAME, DEST_XML), or never (UNSAFE; docs/coverage.md has the others and why). */
#include <string.h>

#include "reconciler/act/migrate.h"

#define DOWNTIME 500   /* milliseconds, when nothing is said */
#define TIMEOUT 600000

typedef struct {
  const char *argument;
  unsigned int flag;               /* 0: none */
  const char *param;               /* NULL: none */
  int type;
  guint64 unit;                    /* of a quantity in bytes, rounded up: less than one would be no limit */
  const char *only_with, *only_as; /* another argument with this value */
  const char *value;               /* this value only */
} MigrationRow;

static const MigrationRow rows[] = {
    {"uri", 0, VIR_MIGRATE_PARAM_URI, VIR_TYPED_PARAM_STRING},
    {"listenAddress", 0, VIR_MIGRATE_PARAM_LISTEN_ADDRESS, VIR_TYPED_PARAM_STRING},
    {"transport", VIR_MIGRATE_TUNNELLED, .value = "tunnelled"},
    {"transport", VIR_MIGRATE_TLS, .value = "tls"},
    {"tlsName", 0, VIR_MIGRATE_PARAM_TLS_DESTINATION, VIR_TYPED_PARAM_STRING},
    {"bandwidth", 0, VIR_MIGRATE_PARAM_BANDWIDTH, VIR_TYPED_PARAM_ULLONG, .unit = 1 << 20},
    {"postCopy", VIR_MIGRATE_POSTCOPY},
    {"postCopyBandwidth", 0, VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, VIR_TYPED_PARAM_ULLONG, .unit = 1 << 20},
    {"autoConverge", VIR_MIGRATE_AUTO_CONVERGE},
    {"autoConvergeInitial", 0, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, VIR_TYPED_PARAM_INT},
    {"autoConvergeIncrement", 0, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, VIR_TYPED_PARAM_INT},
    {"compression", VIR_MIGRATE_COMPRESSED, VIR_MIGRATE_PARAM_COMPRESSION, VIR_TYPED_PARAM_STRING},
    {"compressionLevel", 0, VIR_MIGRATE_PARAM_COMPRESSION_MT_LEVEL, VIR_TYPED_PARAM_INT, .only_with = "compression", .only_as = "mt"},
    /* From libvirt 9.4 on; before, it refuses these methods. */
    {"compressionLevel", 0, "compression.zlib.level", VIR_TYPED_PARAM_INT, .only_with = "compression", .only_as = "zlib"},
    {"compressionLevel", 0, "compression.zstd.level", VIR_TYPED_PARAM_INT, .only_with = "compression", .only_as = "zstd"},
    {"compressionThreads", 0, VIR_MIGRATE_PARAM_COMPRESSION_MT_THREADS, VIR_TYPED_PARAM_INT},
    {"decompressionThreads", 0, VIR_MIGRATE_PARAM_COMPRESSION_MT_DTHREADS, VIR_TYPED_PARAM_INT},
    {"compressionCache", 0, VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, VIR_TYPED_PARAM_ULLONG, .unit = 1},
    {"parallel", VIR_MIGRATE_PARALLEL, VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, VIR_TYPED_PARAM_INT},
    {"zeroCopy", VIR_MIGRATE_ZEROCOPY},
    {"disks", VIR_MIGRATE_NON_SHARED_INC},
    {"synchronousWrites", VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES},
};

void migration_clear(Migration *migration) {
  virTypedParamsFree(migration->params, migration->n_params);
  g_free(migration->lost);
}

static gboolean add_text(Migration *migration, const char *param, const char *text, GError **error) {
  return virTypedParamsAddString(&migration->params, &migration->n_params, &migration->most, param, text) == 0 ||
         libvirt_fail(error, "cannot prepare the migration");
}

static gboolean add_number(Migration *migration, const MigrationRow *row, guint64 number, GError **error) {
  int added = row->type == VIR_TYPED_PARAM_INT
                  ? virTypedParamsAddInt(&migration->params, &migration->n_params, &migration->most, row->param, (int)number)
                  : virTypedParamsAddULLong(&migration->params, &migration->n_params, &migration->most, row->param,
                                            (number + row->unit - 1) / row->unit);
  return added == 0 || libvirt_fail(error, "cannot prepare the migration");
}

static gboolean add_row(const Action *action, const MigrationRow *row, Migration *migration, GError **error) {
  const char *text = act_arg(action, row->argument);
  if (!text || (row->value && !g_str_equal(text, row->value)) || (row->only_with && g_strcmp0(act_arg(action, row->only_with), row->only_as) != 0))
    return TRUE;
  migration->flags |= row->flag;
  if (!row->param)
    return TRUE;
  guint64 number = 0;
  if (row->type == VIR_TYPED_PARAM_STRING)
    return add_text(migration, row->param, text, error);
  return act_arg_uint64(action, row->argument, &number, error) && add_number(migration, row, number, error);
}

static gboolean add_disks(Migration *migration, const char *disks, GError **error) {
  g_auto(GStrv) targets = disks ? g_strsplit(disks, ",", -1) : NULL;
  for (char **target = targets; target && *target; target++)
    if (!add_text(migration, VIR_MIGRATE_PARAM_MIGRATE_DISKS, *target, error))
      return FALSE;
  return TRUE;
}

gboolean migration_prepare(const ActionContext *context, const Action *action, virDomainPtr domain, Migration *migration, GError **error) {
  migration->downtime = DOWNTIME;
  migration->timeout = TIMEOUT;
  migration->flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_ABORT_ON_ERROR;
  migration->peer = act_need(action, "peer", error);
  if (!migration->peer || !act_arg_optional(action, "maxDowntime", &migration->downtime, error) ||
      !act_arg_optional(action, "timeout", &migration->timeout, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    if (!add_row(action, &rows[i], migration, error))
      return FALSE;
  g_autofree char *definition = move_definition(context, action, domain, error);
  gboolean fine = definition && add_text(migration, VIR_MIGRATE_PARAM_PERSIST_XML, definition, error) &&
                  add_disks(migration, act_arg(action, "disks"), error);
  if (definition)
    explicit_bzero(definition, strlen(definition));
  return fine;
}
