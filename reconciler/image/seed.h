/* The medium that cloud-init reads at a machine's first start: an ISO 9660 file system labelled "cidata"
 * (cloud-init's NoCloud data source). The same declaration always gives the same bytes, so that its digest
 * can name a base volume. The only user of libisofs. */
#pragma once
#include <glib.h>
#include "schema/spec.h"

#define SEED_ERROR (seed_error_quark())
GQuark seed_error_quark(void);

/* NULL with SEED_ERROR where libisofs fails. */
GBytes *seed_build(const CloudInitSpec *spec, GError **error);
