/* One call of libvirt that takes long (saving memory, a migration): in a thread and on a connection of its own,
 * watched meanwhile. Of several threads that call on one connection, libvirt's client (9.0) can forget to wake
 * the one whose call came while another waited: its call is sent only when that one has its answer. Among short
 * calls nobody notices; beside a long one, the watch would stand still as long. So the watch has a connection and a
 * thread too: what it asks may be asked of a QEMU that hangs. */
#pragma once
#include "reconciler/act/common.h"

/* Calls; FALSE with error. In another thread than the one that waits, and by a handle of its own: whatever
 * else it needs, it gets from that. */
typedef gboolean (*LongCall)(virDomainPtr domain, gpointer data, GError **error);
/* Tells how far libvirt's job on the domain has come, and aborts that job when the run is cancelled: the error
 * is then EXECUTE_ERROR_CANCELLED. */
gboolean long_call(const ActionContext *context, const Action *action, virDomainPtr domain, const char *phase,
                   LongCall call, gpointer data, GError **error);

/* The same, watched by the caller: again and again until the call has ended, in another thread. FALSE: nothing will come of it
 * any more: it is given up, and fails; what libvirt does then it does by itself. So it is when a look doesn't end: then the
 * error is G_IO_ERROR_TIMED_OUT. */
typedef gboolean (*LongWatch)(virDomainPtr domain, gpointer data);
gboolean long_call_watched(const ActionContext *context, virDomainPtr domain, LongCall call, gpointer data,
                           LongWatch watch, gpointer watch_data, GError **error);
