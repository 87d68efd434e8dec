/* What our record says was done to a machine's disks (facts.disks): read by the planner, written by
 * actions before and after what they do. */
#pragma once
#include "state/actual.h"

/* NULL: nothing is noted. */
const DiskFactSpec *disk_facts(const FactsSpec *facts, const char *target);
/* Whether `path` is among the layers that leave the disk. */
gboolean disk_facts_leaving(const FactsSpec *facts, const char *target, const char *path);

/* Of a disk that was flattened, and may not be flushed (reconciler/act/layer_flush.h): it is another file now. What lacks in the
 * former one is seen to when the disk is that again. */
gboolean disk_facts_elsewhere(const DiskFactSpec *fact, const ActualDisk *disk);
/* A disk that may lack something, so that nobody copies it or builds on it; NULL: none. */
const DiskFactSpec *disk_facts_flushing(const ActualDomain *found);

/* One part of a disk's facts. */
typedef struct {
  const char *target;
  guint part;               /* DiskFactSpec_leaving, _coming, _retired, _flushing, _pulledInto, _beneath or _beneathFormat */
  const char *const *paths; /* NULL: not given; but of leaving only the first */
} DiskFact;
/* For act_change_facts: `data` is a DiskFact. Returns whether anything changed. */
gboolean disk_facts_set(FactsSpec *facts, gconstpointer data);
/* The same of `leaving`, whose paths come to those that are noted already: these are files that may be nowhere else known. */
gboolean disk_facts_leave(FactsSpec *facts, gconstpointer data);
