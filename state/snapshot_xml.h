/* A snapshot's XML (libvirt's formatsnapshot): reading what matters of it. */
#pragma once
#include "state/actual.h"

/* NULL with error when it isn't one. */
ActualSnapshot *snapshot_xml_read(const char *xml, GError **error);
