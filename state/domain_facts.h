/* What a domain's XML texts say, put into an ActualDomain. No libvirt call: the texts were
 * read by state/libvirt. */
#pragma once
#include "state/actual.h"

/* `live` NULL: nothing runs. Fills the UUID, specs, records, disks; `fingerprint` holds the XML's part
 * until domain_facts_finish. FALSE with error: XML that can't be understood. */
gboolean domain_facts_read(ActualDomain *domain, const char *persistent, const char *live, GError **error);

/* What a hibernated machine comes back as, by libvirt's text of its saved memory. FALSE with error: as above. */
gboolean domain_facts_read_saved(ActualDomain *domain, const char *saved, GError **error);

/* Once the volumes are known: paths and chains. */
void domain_facts_resolve(ActualDomain *domain, const Actual *actual);
/* Whether the chain doesn't tell the disk's size, so that the hypervisor must be asked. */
gboolean domain_facts_lack_size(const ActualDomain *domain, const ActualDisk *disk);
/* A disk whose size the chain doesn't tell: it is told so. */
void domain_facts_set_size(ActualDomain *domain, ActualDisk *disk, guint64 bytes);
/* At last, with state and flags set: power state, autostart, sizes, fingerprint. */
void domain_facts_finish(ActualDomain *domain, gboolean storage);

/* Whether libvirt's text is of a machine that runs: its root has an id. */
gboolean domain_text_is_live(const char *xml);

/* Of a disk in `disks`, whether its size is ours to manage: given in the last applied spec. */
gboolean domain_manages_size(const ActualDomain *domain, const char *target);
/* Whether it is a disk rather than a drive with a medium. */
gboolean domain_has_disk(const ActualDomain *domain, const char *target);
