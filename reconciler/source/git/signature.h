/* Whether a signature is good, and by somebody who may: asked of ssh-keygen and gpgv, which know
 * their formats. Keys count as they are now: a signature by a key that has expired since, or is
 * revoked, isn't good any more, as its date could be anything. */
#pragma once
#include "reconciler/source/git_source.h"

/* The first line of an OpenPGP or SSH signature. */
gboolean signature_begins(const char *line);
/* FALSE and *ret_why when it isn't good; *ret_why is freed by the caller. */
gboolean signature_is_good(const GitSource *source, const char *signature, GBytes *payload, char **ret_why);
