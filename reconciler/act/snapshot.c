/* Snapshots found, and what our record says of them. */
#include "reconciler/act/snapshot.h"

#include "reconciler/plan/facts.h"

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

static gboolean note(FactsSpec *facts, gconstpointer data) {
  const Noted *noted = data;
  gboolean is_new = !facts_find(facts, FactsSpec_snapshots, noted->name);
  SnapshotFactSpec *fact = facts_need(facts, FactsSpec_snapshots, noted->name);
  if (is_new) {
    fact->origin = (int)noted->origin;
    set_given(fact, SnapshotFactSpec, origin);
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
  SnapshotFactSpec *fact = facts_find(facts, FactsSpec_snapshots, name);
  if (fact)
    facts_drop(facts, FactsSpec_snapshots, fact);
  return fact != NULL;
}

gboolean snapshot_forget(virDomainPtr domain, const char *name, GError **error) {
  return act_change_facts(domain, forget, name, error);
}
