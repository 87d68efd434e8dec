/* Base volumes are named by their content: "sha256-HEX.FORMAT". So equal images share one, and a
 * backing path says which content an overlay was made on. */
#pragma once
#include <glib.h>

/* Free it. */
char *base_volume_name(const char *sha256, const char *format);
/* The digest that a volume's name or path promises, lower-case hex; NULL: it isn't a base of ours. Free it. */
char *base_volume_digest(const char *path);
