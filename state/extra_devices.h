/* devices.extra: raw device XML, kept in place as given. Its element in the domain is known
 * by a user alias: its own one (ua-…), or one made from the digest of the given text. */
#pragma once
#include "state/xml.h"

/* Brings <devices> in line: new texts are inserted, texts of `applied` (may be NULL) that
 * `desired` (may be NULL) doesn't hold are removed, the others aren't touched. On failure
 * nothing was changed. */
gboolean extra_devices_patch(xmlNode *domain, char *const *desired, char *const *applied, gboolean *ret_changed,
                             GError **error);
/* Those of `applied` whose element is there; NULL when none is. */
char **extra_devices_read(xmlNode *domain, char *const *applied);
