/* A snapshot's XML (libvirt's formatsnapshot): reading what matters of it, and new ones. */
#pragma once
#include "state/actual.h"

/* NULL with error when it isn't one. */
ActualSnapshot *snapshot_xml_read(const char *xml, GError **error);

/* The document to take a snapshot by, from its name, description (may be NULL), memory and memory_path, and
 * disks. Disks that it shall not touch are listed too: neither internal nor with a path. Free the text. */
char *snapshot_xml_new(const ActualSnapshot *snapshot);
ActualSnapshot *snapshot_new(const char *name, const char *description);
/* path: the new layer; NULL with `internal` FALSE: the disk is left out. */
void snapshot_add_disk(ActualSnapshot *snapshot, const char *target, gboolean internal, const char *path);
