/* SIGINT and SIGTERM: the first asks the run to end cleanly, the second ends the program. */
#pragma once
#include <gio/gio.h>

/* Call before any thread is made. The cancellable is cancelled at the first signal; it must
 * live as long as the program. Also has writes to a closed pipe fail rather than kill. */
void signals_cancel(GCancellable *cancel);
