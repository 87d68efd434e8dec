/* Moving a machine between hosts: what its actions share. */
#pragma once
#include "reconciler/act/volume.h"

/* The other host's handle: of the argument `to` or `from`. NULL with error. */
virConnectPtr move_peer(const ActionContext *context, const Action *action, const char *key, GError **error);
/* The same, as a context of an action on that host. */
gboolean move_context(const ActionContext *context, const Action *action, const char *key, ActionContext *ret_context, GError **error);
/* The machine there; NULL without error: there is none. */
gboolean move_find_there(virConnectPtr peer, const char *name, virDomainPtr *ret_domain, GError **error);

/* The definition that the machine gets on the other host: as it is here, with the next epoch, its new
 * home, and what it leaves behind. Free the text; it may hold secrets. */
char *move_definition(const ActionContext *context, const Action *action, virDomainPtr domain, GError **error);
