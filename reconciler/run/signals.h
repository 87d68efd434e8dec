/* SIGINT and SIGTERM: the first asks the run to end cleanly; the second, or ten seconds, end the program. */
#pragma once
#include <gio/gio.h>

/* Call before any thread is made. The cancellable is cancelled at the first signal; it must
 * live as long as the program. late (may be NULL) is called before the end for lack of patience. Also has writes to a closed pipe fail rather than kill. */
void signals_cancel(GCancellable *cancel, void (*late)(void));
