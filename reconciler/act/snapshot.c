/* Snapshots found, and what our record says of them. */
#include "reconciler/act/snapshot.h"

gboolean snapshot_find(virDomainPtr domain, const char *name, virDomainSnapshotPtr *ret_snapshot, GError **error) {
  const char *machine = virDomainGetName(domain);
  virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
  if (!snapshot && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
    return libvirt_fail(error, "cannot look up snapshot %s of domain %s", name, machine);
  *ret_snapshot = snapshot;
  return TRUE;
}

typedef struct {
  const char *name;
  SnapshotOrigin origin;
  const Consistency *consistency;
} Noted;

static SnapshotFactSpec *fact_of(FactsSpec *facts, const char *name) {
  return given(facts, FactsSpec, snapshots)
             ? list_find(&SnapshotFactSpec_table, facts->snapshots, table_key_field(&SnapshotFactSpec_table), name) : NULL;
}

static gboolean note(FactsSpec *facts, gconstpointer data) {
  const Noted *noted = data;
  SnapshotFactSpec *fact = fact_of(facts, noted->name);
  gboolean is_new = !fact;
  if (!given(facts, FactsSpec, snapshots))
    facts->snapshots = spec_list_new(&SnapshotFactSpec_table);
  set_given(facts, FactsSpec, snapshots);
  if (is_new) {
    fact = spec_new(&SnapshotFactSpec_table);
    fact->name = g_strdup(noted->name);
    fact->origin = (int)noted->origin;
    set_given(fact, SnapshotFactSpec, name);
    set_given(fact, SnapshotFactSpec, origin);
    g_ptr_array_add(facts->snapshots, fact);
  }
  if (!noted->consistency)
    return is_new;
  gboolean same = given(fact, SnapshotFactSpec, consistency) && fact->consistency == (int)*noted->consistency;
  fact->consistency = (int)*noted->consistency;
  set_given(fact, SnapshotFactSpec, consistency);
  return is_new || !same;
}

gboolean snapshot_note(virDomainPtr domain, const char *name, SnapshotOrigin origin, const Consistency *consistency, GError **error) {
  const Noted noted = { name, origin, consistency };
  return act_change_facts(domain, note, &noted, error);
}

static gboolean forget(FactsSpec *facts, gconstpointer name) {
  SnapshotFactSpec *fact = fact_of(facts, name);
  if (!fact)
    return FALSE;
  g_ptr_array_remove(facts->snapshots, fact);
  spec_free(&SnapshotFactSpec_table, fact);
  if (facts->snapshots->len == 0)
    spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_snapshots]);
  return TRUE;
}

gboolean snapshot_forget(virDomainPtr domain, const char *name, GError **error) {
  return act_change_facts(domain, forget, name, error);
}
