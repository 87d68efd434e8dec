/* Base volumes are named by their content: "sha256-HEX.FORMAT". So equal images share one, and a
 * backing path says which content an overlay was made on. */
#pragma once
#include <glib.h>
#include "schema/document.h"

/* Free it. */
char *base_volume_name(const char *sha256, const char *format);
/* The digest that a volume's name or path promises, lower-case hex; NULL: it isn't a base of ours. Free it. */
char *base_volume_digest(const char *path);
/* The pool that an image's base is in. */
const char *base_volume_pool(const Object *image);

/* A marker beside a volume that is being imported or copied: present means incomplete. */
#define INCOMPLETE_SUFFIX ".incomplete"
