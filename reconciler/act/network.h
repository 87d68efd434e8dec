/* What the network actions share. */
#pragma once
#include "reconciler/act/common.h"
#include "state/object_xml.h"

virNetworkPtr own_network(const ActionContext *context, GError **error);
gboolean network_active(virNetworkPtr network, gboolean *ret_active, GError **error);
/* flags as for virNetworkGetXMLDesc */
xmlDoc *network_doc(virNetworkPtr network, guint flags, GError **error);
