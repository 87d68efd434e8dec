/* A domain's snapshots: one list, and the XML of each. */
#include <libvirt/virterror.h>

#include "state/libvirt/domain_reading.h"
#include "state/snapshot_xml.h"

static gint by_time(gconstpointer a, gconstpointer b) {
  const ActualSnapshot *left = *(ActualSnapshot *const *)a, *right = *(ActualSnapshot *const *)b;
  return left->created != right->created ? (left->created < right->created ? -1 : 1) : g_strcmp0(left->name, right->name);
}

static ActualSnapshot *read_snapshot(virDomainSnapshotPtr handle, gboolean keep_texts, GError **error) {
  const char *name = virDomainSnapshotGetName(handle);
  int current = virDomainSnapshotIsCurrent(handle, 0);
  g_autofree char *xml = virDomainSnapshotGetXMLDesc(handle, 0);
  if (!xml) {
    libvirt_fail(error, "cannot read the snapshot %s", name);
    return NULL;
  }
  ActualSnapshot *snapshot = snapshot_xml_read(xml, error);
  if (!snapshot)
    return NULL;
  snapshot->current = current == 1;
  snapshot->texts = texts_new(keep_texts);
  texts_set(snapshot->texts, xml, NULL);
  return snapshot;
}

gboolean domain_read_snapshots(virDomainPtr handle, ActualDomain *domain, GError **error) {
  virDomainSnapshotPtr *handles = NULL;
  int n = virDomainListAllSnapshots(handle, &handles, 0);
  if (n < 0)
    return reading_lacks_driver() || libvirt_fail(error, "cannot list the snapshots");
  gboolean good = TRUE;
  for (int i = 0; i < n; i++) {
    ActualSnapshot *snapshot = good ? read_snapshot(handles[i], domain->texts != NULL, error) : NULL;
    if (snapshot)
      g_ptr_array_add(domain->snapshots, snapshot);
    good = good && snapshot;
    virDomainSnapshotFree(handles[i]);
  }
  free(handles);
  g_ptr_array_sort(domain->snapshots, by_time);
  return good;
}
