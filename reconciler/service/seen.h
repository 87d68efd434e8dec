/* What the service saw of the host since it was last written down: why the next pass is made, and what
 * the journal shall know. Of the main loop; what was taken belongs to who took it. */
#pragma once
#include "state/journal.h"
#include "state/libvirt/events.h"

typedef struct Seen Seen;
Seen *seen_new(void);
void seen_free(Seen *seen); /* accepts NULL */
/* Beyond 10,000 that wait the oldest are dropped. */
void seen_event(Seen *seen, const char *host /* NULL: the only one */, const HostEvent *event);
/* A reason to look at the host, in words: the first is named, others are counted. */
void seen_reason(Seen *seen, const char *why);
/* Events that wait, of JournalEvent *; and the reasons, NULL: there was none. To be freed. */
GPtrArray *seen_take_events(Seen *seen);
char *seen_take_reason(Seen *seen);
/* Of the moment from which on a host is listened to. */
JournalEvent *seen_watch_begun(const char *uri);
