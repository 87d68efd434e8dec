/* libvirt's notes of snapshots, which go where the machine goes. Their files are there already. The older copy keeps its own until
 * the newer one has all of them. */
#include <string.h>

#include "reconciler/act/move.h"
#include "reconciler/act/snapshot.h"
#include "state/fault.h"

typedef struct {
  virDomainSnapshotPtr *all; /* parents before their children */
  int n;
} Snapshots;

static void snapshots_clear(Snapshots *snapshots) {
  for (int i = 0; i < snapshots->n; i++)
    virDomainSnapshotFree(snapshots->all[i]);
  free(snapshots->all);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Snapshots, snapshots_clear)

static gboolean snapshots_list(virDomainPtr domain, Snapshots *ret_snapshots, GError **error) {
  const char *name = virDomainGetName(domain);
  ret_snapshots->n = virDomainListAllSnapshots(domain, &ret_snapshots->all, VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL);
  return ret_snapshots->n >= 0 || libvirt_fail(error, "cannot list the snapshots of domain %s", name);
}

/* As it is, with its secrets; one that is there already is written again. */
static gboolean tell(virDomainSnapshotPtr snapshot, virDomainPtr newer, GError **error) {
  const char *name = virDomainSnapshotGetName(snapshot);
  int current = virDomainSnapshotIsCurrent(snapshot, 0);
  g_autofree char *text = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
  if (current < 0 || !text)
    return libvirt_fail(error, "cannot read snapshot %s", name);
  guint flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | (current ? VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT : 0);
  g_autoptr(VirDomainSnapshot) told = virDomainSnapshotCreateXML(newer, text, flags);
  explicit_bzero(text, strlen(text));
  return told || libvirt_fail(error, "cannot tell libvirt on the other host of snapshot %s", name);
}

static gboolean is_among(char **names, const char *name) { return names && g_strv_contains((const char *const *)names, name); }

/* Files of what was made since aren't there. */
static gboolean check_names(virDomainPtr domain, const Snapshots *found, char **names, GError **error) {
  g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
  for (int i = 0; i < found->n; i++) {
    const char *name = virDomainSnapshotGetName(found->all[i]);
    if (!is_among(names, name))
      return act_stale(error, "snapshot %s of domain %s was made since this was planned: plan again", name, virDomainGetName(domain));
    g_hash_table_add(known, (gpointer)name);
  }
  for (char **name = names; name && *name; name++)
    if (!g_hash_table_contains(known, *name))
      return act_stale(error, "snapshot %s of domain %s was removed since this was planned: plan again", *name, virDomainGetName(domain));
  return TRUE;
}

gboolean move_same_snapshots(virDomainPtr domain, const char *names, GError **error) {
  g_auto(Snapshots) found = {0};
  g_auto(GStrv) each = names ? g_strsplit(names, "\n", -1) : NULL;
  return snapshots_list(domain, &found, error) && check_names(domain, &found, each, error);
}

static gboolean forget_coming(FactsSpec *facts, gconstpointer data G_GNUC_UNUSED) {
  gboolean any = given(facts, FactsSpec, snapshotsComing);
  spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_snapshotsComing]);
  return any;
}

gboolean move_forget_coming(virDomainPtr domain, GError **error) { return act_change_facts(domain, forget_coming, NULL, error); }

gboolean move_snapshots(virDomainPtr older, virDomainPtr newer, GError **error) {
  g_autoptr(Ownership) record = act_record(newer, error);
  g_auto(Snapshots) found = {0};
  if (!record || !snapshots_list(older, &found, error) || !check_names(older, &found, record->facts.snapshotsComing, error))
    return FALSE;
  for (int i = 0; i < found.n; i++) {
    if (!tell(found.all[i], newer, error))
      return FALSE;
    FAULT("move: snapshot told there");
  }
  return move_has_snapshots(older, newer, error) && move_forget_coming(newer, error);
}

gboolean move_has_snapshots(virDomainPtr older, virDomainPtr newer, GError **error) {
  g_auto(Snapshots) found = {0};
  if (!snapshots_list(older, &found, error))
    return FALSE;
  for (int i = 0; i < found.n; i++) {
    const char *name = virDomainSnapshotGetName(found.all[i]);
    g_autoptr(VirDomainSnapshot) there = NULL;
    if (!snapshot_find(newer, name, &there, error))
      return FALSE;
    if (!there)
      return act_refuse(error, "the older copy stays: its snapshot %s isn't known where the machine is now", name);
  }
  return TRUE;
}
