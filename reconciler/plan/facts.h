/* What is in the lists of our record's facts, by its key. */
#pragma once
#include "schema/spec.h"

/* `list` is FactsSpec_snapshots, _disks, _exports or _copied. NULL: there is none of the key. Borrowed. */
gpointer facts_find(const FactsSpec *facts, guint list, const char *key);
/* The same, made where there is none. */
gpointer facts_need(FactsSpec *facts, guint list, const char *key);
/* Takes it out and frees it; the list goes with its last item. */
void facts_drop(FactsSpec *facts, guint list, gpointer item);
