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
  GStrv making; /* NULL: it was taken */
  Consistency consistency;
} Noted;

static void set_making(SnapshotFactSpec *fact, GStrv paths) {
  spec_unset(&SnapshotFactSpec_table, fact, &SnapshotFactSpec_table.fields[SnapshotFactSpec_making]);
  if (!paths)
    return;
  fact->making = g_strdupv(paths);
  set_given(fact, SnapshotFactSpec, making);
}

static gboolean note(FactsSpec *facts, gconstpointer data) {
  const Noted *noted = data;
  SnapshotFactSpec *fact = facts_find(facts, FactsSpec_snapshots, noted->name);
  if (!fact) {
    fact = facts_need(facts, FactsSpec_snapshots, noted->name);
    fact->origin = (int)noted->origin;
    set_given(fact, SnapshotFactSpec, origin);
  } else if (!noted->making && given(fact, SnapshotFactSpec, consistency) && fact->consistency == (int)noted->consistency) {
    return FALSE;
  }
  set_making(fact, noted->making);
  if (!noted->making) {
    fact->consistency = (int)noted->consistency;
    set_given(fact, SnapshotFactSpec, consistency);
  }
  return TRUE;
}

gboolean snapshot_note_begun(virDomainPtr domain, const ActualSnapshot *snapshot, SnapshotOrigin origin, GError **error) {
  g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    if (disk->path)
      g_strv_builder_add(paths, disk->path);
  }
  if (snapshot->memory_path)
    g_strv_builder_add(paths, snapshot->memory_path);
  g_auto(GStrv) making = g_strv_builder_end(paths);
  const Noted noted = { .name = snapshot->name, .origin = origin, .making = making };
  return act_change_facts(domain, note, &noted, error);
}

gboolean snapshot_note(virDomainPtr domain, const char *name, SnapshotOrigin origin, Consistency consistency, GError **error) {
  const Noted noted = { .name = name, .origin = origin, .consistency = consistency };
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
