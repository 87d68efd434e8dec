/* What the rows can't say alone: how a change takes effect in its context, such as a vCPU
 * beyond the running machine's most, or a disk on a bus that can't be plugged. Pure. */
#pragma once
#include "reconciler/plan/diff.h"

/* Sets effect, call, pending and why of one change. */
void context_apply(const DiffInput *input, FieldChange *change);
/* Whether a field that left the file goes back to libvirt's default; `desired`, `applied` and
 * `persistent` are structs of `table` and may be NULL. */
gboolean context_resets(const FieldTable *table, const Field *field, gconstpointer desired, gconstpointer applied,
                        gconstpointer persistent);
/* Whether what left the definition stays in the running machine until that starts anew. */
gboolean context_stays(const Field *field);
/* The running machine's balloon was told the desired size, and the guest has more (yet): there is nothing to be done. */
gboolean context_awaits_balloon(const DiffInput *input);
/* A short description of a list item: "image debian-12, 20GiB"; free it. */
char *context_item_summary(const FieldTable *table, gconstpointer item);
