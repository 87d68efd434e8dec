/* Devices that left the definition of a running machine, and not yet the machine: a note in its live metadata.
 *
 * The record follows the definition, so that it can't tell such a device from one that a person plugged in. The note is
 * written before the definition changes and taken back when the device is out. It is in the machine that runs (libvirt
 * keeps that through its own restarts, saves and migrations) and ends with it, as the device does. */
#pragma once
#include "state/domain_xml.h"

#define LEAVING_NAMESPACE METADATA_NAMESPACE "/leaving"
#define LEAVING_PREFIX METADATA_PREFIX "-leaving"

/* A machine's note, a spec that has nothing but such devices; NULL: none, or one that can't be read. */
VmSpec *leaving_read(xmlNode *machine);
/* For virDomainSetMetadata; NULL: nothing leaves. */
char *leaving_text(const VmSpec *leaving);
/* Adds what `from` has and `live` too, but `wanted` (NULL: nothing is) hasn't. */
void leaving_collect(const VmSpec *from, const VmSpec *wanted, const VmSpec *live, VmSpec *leaving);
/* Something in the note isn't in the machine any more. */
gboolean leaving_is_over(const VmSpec *leaving /* may be NULL */, const VmSpec *live);
