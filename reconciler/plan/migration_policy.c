#include "reconciler/plan/migration_policy.h"

static gboolean says(const VmSpec *vm, guint row) {
  return given(vm, VmSpec, migration) && field_given(&MigrationSpec_table, &vm->migration, &MigrationSpec_table.fields[row]);
}

static gboolean has(const MigrationPolicy *policy, guint row) { return says(policy->vm, row); }

HostNeeds migration_needs(const VmSpec *vm) {
  const MigrationSpec *spec = &vm->migration;
  gboolean compressed = says(vm, MigrationSpec_compression) && spec->compression != 0; /* the first is none */
  return (HostNeeds){
      .compression = compressed ? MigrationCompression_words.words[spec->compression] : NULL,
      .zero_copy = says(vm, MigrationSpec_zeroCopy) && spec->zeroCopy,
  };
}

static int transport_of(const HostSpec *host) { return given(host, HostSpec, transport) ? host->transport : MigrationTransport_native; }

char *migration_refusal(const MigrationPolicy *policy) {
  const MigrationSpec *spec = &policy->vm->migration;
  int transport = transport_of(policy->to);
  gboolean post_copy = has(policy, MigrationSpec_postCopy) && spec->postCopy, zero_copy = has(policy, MigrationSpec_zeroCopy) && spec->zeroCopy;
  if (transport == MigrationTransport_tunnelled && policy->copies_disks)
    return g_strdup("disks can't be sent through a tunnel (the host's transport: tunnelled): use native or tls, or share the pool");
  if (transport == MigrationTransport_tunnelled && (post_copy || has(policy, MigrationSpec_parallel)))
    return g_strdup_printf("migration.%s isn't possible through a tunnel (the host's transport: tunnelled): use native or tls",
                           post_copy ? "postCopy" : "parallel");
  if (transport == MigrationTransport_tls && zero_copy)
    return g_strdup("migration.zeroCopy isn't possible with the host's transport: tls");
  return NULL;
}

/* Canonical text of a value; NULL: it is off. */
static char *value_text(const Field *field, gconstpointer spec) {
  gconstpointer member = field_member(field, spec);
  switch (field->type) {
  case VALUE_BOOL: return *(const gboolean *)member ? g_strdup("true") : NULL;
  case VALUE_INT: return g_strdup_printf("%" G_GINT64_FORMAT, *(const gint64 *)member);
  case VALUE_ENUM: return *(const int *)member != 0 ? g_strdup(field->words->words[*(const int *)member]) : NULL; /* the first is none */
  default: return g_strdup_printf("%" G_GUINT64_FORMAT, *(const guint64 *)member); /* quantities */
  }
}

static void set(Action *action, const char *key, const char *text) {
  if (text != NULL)
    string_map_set(action->args, key, text);
}

static void add_limit(Action *action, const HostSpec *host) {
  const HostLimitsSpec *limits = &host->limits;
  if (!given(host, HostSpec, limits) || !given(limits, HostLimitsSpec, bandwidth))
    return;
  const char *now = string_map_get(action->args, "bandwidth");
  guint64 most = now != NULL ? g_ascii_strtoull(now, NULL, 10) : 0; /* 0 is no limit */
  if (limits->bandwidth == 0 || (most != 0 && most <= limits->bandwidth))
    return;
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, limits->bandwidth);
  set(action, "bandwidth", text);
}

static void add_hosts(const MigrationPolicy *policy, Action *action) {
  const HostSpec *to = policy->to;
  set(action, "peer", given(to, HostSpec, peerUri) ? to->peerUri : to->uri);
  set(action, "transport", MigrationTransport_words.words[transport_of(to)]);
  gboolean tunnelled = transport_of(to) == MigrationTransport_tunnelled; /* through libvirt's own connection */
  if (given(to, HostSpec, migrationUri) && !tunnelled)
    set(action, "uri", to->migrationUri);
  if (given(to, HostSpec, listenAddress) && !tunnelled)
    set(action, "listenAddress", to->listenAddress);
  if (given(to, HostSpec, tlsName) && transport_of(to) == MigrationTransport_tls)
    set(action, "tlsName", to->tlsName);
  add_limit(action, policy->from);
  add_limit(action, to);
}

void migration_arguments(const MigrationPolicy *policy, Action *action) {
  for (guint i = 0; i < MigrationSpec_table.n_fields; i++) {
    const Field *field = &MigrationSpec_table.fields[i];
    gboolean of_others = i == MigrationSpec_mode || (i == MigrationSpec_synchronousWrites && !policy->copies_disks);
    if (!has(policy, i) || of_others)
      continue;
    g_autofree char *text = value_text(field, &policy->vm->migration);
    set(action, field->key, text);
  }
  add_hosts(policy, action);
}
