/* One call of libvirt that takes long (saving memory): in a thread of its own, watched meanwhile. */
#pragma once
#include "reconciler/act/common.h"

/* Calls; FALSE with error. In another thread than the one that waits. */
typedef gboolean (*LongCall)(virDomainPtr domain, gpointer data, GError **error);
/* Tells how far libvirt's job on the domain has come, and aborts that job when the run is cancelled: the error
 * is then EXECUTE_ERROR_CANCELLED. */
gboolean long_call(const ActionContext *context, const Action *action, virDomainPtr domain, const char *phase,
                   LongCall call, gpointer data, GError **error);
