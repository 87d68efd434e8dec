/* What the balloon of a running machine was told, and how far it came: a note in its live metadata, since libvirt doesn't
 * remember the one, and a guest gives memory back as it can and likes. It ends with the machine, as the balloon does. */
#pragma once
#include "state/domain_xml.h"

#define BALLOON_NAMESPACE METADATA_NAMESPACE "/balloon"
#define BALLOON_PREFIX METADATA_PREFIX "-balloon"

typedef struct {
  guint64 told;   /* bytes; 0: nothing since the start, that is known */
  guint64 rested; /* what the guest had when it wasn't waited for any longer */
} BalloonNote;

BalloonNote balloon_note_read(xmlNode *machine);
char *balloon_note_text(const BalloonNote *note); /* for virDomainSetMetadata; free it */
