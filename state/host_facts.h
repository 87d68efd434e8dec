/* What the XML texts of capabilities, pools, volumes and networks say. No libvirt call. */
#pragma once
#include "state/actual.h"

/* arch and has_kvm. */
gboolean capabilities_read(Actual *actual, const char *xml, GError **error);
/* spec (but for state and autostart), target, capacity, available. */
gboolean pool_facts_read(ActualPool *pool, const char *xml, GError **error);
/* Then what XML doesn't say: whether it is active, and autostart. */
void pool_facts_finish(ActualPool *pool, gboolean autostart);
void network_facts_finish(ActualNetwork *network, gboolean autostart);
/* Everything but name and pool. */
gboolean volume_facts_read(ActualVolume *volume, const char *xml, GError **error);
/* `live` NULL: nothing runs. */
gboolean network_facts_read(ActualNetwork *network, const char *persistent, const char *live, GError **error);
