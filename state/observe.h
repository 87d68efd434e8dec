/* Observation: a host's domains, chains, pools and networks in few, parallel round trips
 * on one connection. Read-only: pools aren't refreshed, so a volume that was made or removed
 * behind libvirt's back is seen after the next refresh of its pool (actions refresh before
 * they act); size and format of a volume that libvirt knows are read from the file each time.
 *
 * "Cannot read" is never "absent": what can't be listed fails the observation, what can't be
 * read has its `error` set, and only what vanished between list and read is left out. */
#pragma once
#include "state/actual.h"

typedef struct Connection Connection; /* state/libvirt/connection.h */

typedef struct {
  gboolean domains, storage, networks; /* what is wanted; all TRUE for a plan */
  const char *const *names;            /* only these domains; NULL: all */
  guint threads;                       /* 0: as the connection is */
  gboolean jobs;                       /* what is done with domains that run; for people, not for plans */
  gboolean keep_texts;                 /* for observation_save (state/observation.h); no short cut through files then */
} ObserveOptions;

Actual *observe(Connection *connection, const ObserveOptions *options, GError **error);
/* Brings an observation up to date where only these domains may have changed: they are read anew, one by
 * one. FALSE with error: it is to be thrown away, and all is to be observed. */
gboolean observe_again(Connection *connection, Actual *actual, GHashTable *names /* a set of char * */, GError **error);
/* One domain anew (before an action): NULL with error when it can't be read, and
 * NULL without error when it is certainly absent. */
ActualDomain *observe_domain(Connection *connection, const Actual *actual, const char *name, GError **error);
