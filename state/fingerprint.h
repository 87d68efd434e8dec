/* Evidence of what an object looked like: hex SHA-256 over what a plan was made from, so that
 * an action on something that has changed since can be refused.
 *
 * What changes by itself is left out: the live balloon size, a drive's tray, the drift of the
 * clock, whether an agent's channel is connected, a network's count of users, blanks between
 * elements. Everything else counts, the order of elements included. */
#pragma once
#include "state/actual.h"

/* Of a definition and of what runs (NULL: nothing does). */
char *fingerprint_xml(xmlNode *persistent, xmlNode *live);
/* Of libvirt's text of a definition alone, where nothing runs: then nothing moves by itself. */
char *fingerprint_text(const char *persistent);
/* Adds the disk chains (path, format, capacity, backing; not the allocation, which grows as the
 * guest writes), the power state, autostart and whether there is a managed save to `xml_part`,
 * one of the above. */
char *fingerprint_domain(const char *xml_part, const ActualDomain *domain);
/* Not its space and its volumes, which change all the time. */
char *fingerprint_pool(const ActualPool *pool);
/* Definition, what is active, and autostart. */
char *fingerprint_network(const ActualNetwork *network);
char *fingerprint_volume(const ActualVolume *volume);
