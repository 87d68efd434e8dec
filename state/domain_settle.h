/* Consequences of a patch beyond its rows: private to state/domain_xml.c. */
#pragma once
#include "state/domain_xml.h"

/* Before the patch: devices that move to another bus lose their address, so that libvirt
 * gives them a fitting one. */
void domain_drop_stale_addresses(xmlNode *domain, const VmSpec *spec);
/* After it; returns whether something changed that the rows didn't say. */
gboolean domain_settle(xmlNode *domain, const VmSpec *spec, const VmSpec *applied);
