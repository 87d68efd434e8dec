/* One domain while it is observed. Private to state/libvirt. */
#pragma once
#include "state/libvirt/reading.h"

typedef struct {
  virDomainPtr handle;
  ActualDomain *domain; /* owned by the Actual */
  gboolean vanished;    /* between list and read */
} DomainReading;

ActualDomain *domain_of_handle(virDomainPtr handle); /* name, whether it runs */
/* Reads and understands the texts, and notes the UUID. FALSE: it vanished, or error is set. */
gboolean domain_read_texts(virDomainPtr handle, ActualDomain *domain, gboolean *ret_vanished, GError **error);
/* Fills domain->snapshots. */
gboolean domain_read_snapshots(virDomainPtr handle, ActualDomain *domain, GError **error);
/* Fills disk->lost of a machine that runs, when its volumes are known. */
void domain_find_lost(virDomainPtr handle, ActualDomain *domain, const Actual *actual);
/* Whether the QEMU of a running one has left somebody without an answer for long: the domain has that as its error then. */
gboolean domain_hangs(virDomainPtr handle, ActualDomain *domain);
/* What is left once flags and volumes are known: state, number of snapshots, sizes that no
 * volume tells, and the facts that follow from all. */
void domain_complete(virDomainPtr handle, ActualDomain *domain, const Actual *actual, gboolean storage);
