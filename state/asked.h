/* "This QEMU was asked to end, so that it is started again": a note in the live metadata of a machine, which ends with its QEMU. Our
 * record (facts.restarting) says that it is to be started again once it is off; this tells a machine that may still go off
 * from one that somebody has started since. */
#pragma once
#include "state/domain_xml.h"

#define ASKED_NAMESPACE METADATA_NAMESPACE "/asked"
#define ASKED_PREFIX METADATA_PREFIX "-asked"

gint64 asked_read(xmlNode *machine); /* when that began, seconds since 1970; 0: it wasn't */
char *asked_text(gint64 now);        /* for virDomainSetMetadata; free it */
