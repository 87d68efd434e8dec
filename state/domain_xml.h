/* A domain's definition as a whole: from a spec, patched by a spec, with our metadata.
 * On top of xml_map: devices.extra (matched by user alias), the ownership element, and what
 * a new definition needs that rows don't say (os/type hvm, emulated defaults). */
#pragma once
#include "state/xml_map.h"

#define METADATA_NAMESPACE "https://reconcile.dev/xmlns/1"
#define METADATA_PREFIX "reconcile"

/* Our record in <metadata>: <reconcile:vm source=… revision=… place=…>JSON</reconcile:vm>
 * where JSON is {"metadata":{…},"spec":{…},"facts":{…}} as spec_to_json writes them (secrets left out). */
typedef struct {
  char *source;   /* identity of the source that declares it: directory or git URL */
  char *revision; /* commit; NULL for a directory */
  char *place;    /* file:line within the source */
  MetadataSpec metadata;
  VmSpec spec;    /* last applied, as declared (MACs derived) */
  FactsSpec facts; /* what we did to it; changed by actions alone (act_change_facts) */
} Ownership;
void ownership_free(Ownership *ownership);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ownership, ownership_free)
Ownership *ownership_copy(const Ownership *ownership);

/* Reads our record from a domain document; NULL and no error: not ours. An unreadable
 * record is an error, never "not ours". */
Ownership *ownership_read(xmlNode *domain, GError **error);
void ownership_write(xmlNode *domain, const Ownership *ownership);
/* Text of the element alone, for virDomainSetMetadata. */
char *ownership_text(const Ownership *ownership);

/* A new domain's XML from a resolved spec (type, paths, formats and MACs filled in); ownership
 * may be NULL. `name` is checked already. */
xmlDoc *domain_xml_new(const char *name, const VmSpec *spec, const Ownership *ownership, GError **error);
/* Patches a persistent definition; applied and ownership may be NULL (then the record is left
 * as it is). ret_changed: anything but the record. A cdrom or floppy whose path was dropped
 * from the spec is emptied. */
gboolean domain_xml_patch(xmlNode *domain, const VmSpec *spec, const VmSpec *applied,
                          const Ownership *ownership, gboolean *ret_changed, GError **error);
/* Whether a medium that was applied left the spec. */
gboolean disk_drops_medium(const DiskSpec *disk, const DiskSpec *applied);
/* Reads everything the rows know, and devices.extra as far as `applied` declares it. */
void domain_xml_read(xmlNode *domain, const VmSpec *applied, VmSpec *spec);
/* Whether a machine type as defined is the wanted one, or what libvirt made of it as an alias:
 * "q35" became "pc-q35-7.2" when the machine was made. */
gboolean machine_matches(const char *wanted, const char *defined);
/* XML of one device of a spec ("disks" row, "vdb"), as for attach; free it. */
char *domain_xml_device(const VmSpec *spec, const Field *row, const char *match, GError **error);
