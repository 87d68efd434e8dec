/* Who uses what on the host, the other way round than it was observed. Each table is made at the
 * first question: most plans ask none. Pure. */
#pragma once
#include "state/volume_users.h"

typedef struct Uses Uses;
Uses *uses_new(const Actual *actual);
void uses_free(Uses *uses);
/* Name of a volume that is backed by this path, other than the one at `except` (may be NULL); NULL: none. */
const char *uses_overlay(Uses *uses, const char *path, const char *except);
/* Whether a disk of any domain has this path in its chain, but for this one disk. */
gboolean uses_in_chain(Uses *uses, const char *path, const ActualDomain *except, const char *except_target);
/* Name of a domain but `except` (may be NULL) that has this path in a disk; NULL: none. Of active ones alone (which run, or
 * come back to it from their saved memory) with `only_active`, and first of all without. */
const char *uses_domain(Uses *uses, const char *path, const char *except, gboolean only_active);
/* "running" or "hibernated": of one that uses_domain gave as active. */
const char *uses_state(const Uses *uses, const char *name);
/* All users of files; borrowed. */
const VolumeUsers *uses_volumes(Uses *uses);
/* Name of a domain but `except` that has this MAC address in its definition; NULL: none. */
const char *uses_mac(Uses *uses, const char *mac, const char *except);
/* NULL: no domain has this UUID. */
const ActualDomain *uses_uuid(Uses *uses, const char *uuid);
