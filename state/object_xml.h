/* XML of the objects beside domains: storage pools, networks and volumes. Rows do the
 * work as for domains; here stands what the rows don't say. A document is freed with
 * xmlFreeDoc, its text is xml_text(doc). */
#pragma once
#include "state/domain_xml.h"

/* A new pool from a resolved spec. libvirt keeps no metadata for pools. uuid may be NULL. */
xmlDoc *pool_xml_new(const char *name, const StoragePoolSpec *spec, const char *uuid, GError **error);
void pool_xml_read(xmlNode *pool, StoragePoolSpec *spec);

/* Our record in a network's <metadata>: as a domain's, in <reconcile:network …>. */
typedef struct {
  char *source;   /* identity of the source that declares it */
  char *revision; /* commit; NULL for a directory */
  char *place;    /* file:line within the source */
  MetadataSpec metadata;
  NetworkSpec spec; /* last applied */
} NetworkOwnership;
void network_ownership_free(NetworkOwnership *ownership);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetworkOwnership, network_ownership_free)
/* NULL and no error: not ours. An unreadable record is an error. */
NetworkOwnership *network_ownership_read(xmlNode *network, GError **error);

/* A new network. uuid (NULL: spec's, else libvirt makes one) and record may be NULL. */
xmlDoc *network_xml_new(const char *name, const NetworkSpec *spec, const char *uuid,
                        const NetworkOwnership *record, GError **error);
/* Patches a persistent definition; applied and record may be NULL (the record is then left as
 * it is). ret_changed: anything but the record. */
gboolean network_xml_patch(xmlNode *network, const NetworkSpec *spec, const NetworkSpec *applied,
                           const NetworkOwnership *record, gboolean *ret_changed, GError **error);
void network_xml_read(xmlNode *network, NetworkSpec *spec);
/* <range …/> or <host …/> of a DHCP list, for virNetworkUpdate; free it. */
char *dhcp_range_xml(const DhcpRangeSpec *range);
char *dhcp_host_xml(const DhcpHostSpec *host);

/* A new volume of `bytes` virtual size. backing_path: NULL for one without backing store.
 * mode: permissions such as 0444; 0 leaves them to the pool. A qcow2 volume is made with
 * compat 1.1, so that overlays of any QEMU since 1.1 can use it. */
xmlDoc *volume_xml_new(const char *name, const char *format, guint64 bytes, const char *backing_path,
                       const char *backing_format, guint mode, GError **error);
