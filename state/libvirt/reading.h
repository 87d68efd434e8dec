/* One observation under way: what its tasks share. Private to state/. */
#pragma once
#include "state/libvirt/connection.h"
#include "state/observe.h"
#include "state/work.h"

typedef struct {
  virConnectPtr conn;
  const ObserveOptions *options;
  Actual *actual;
  Work *work;
  GMutex lock;            /* guards what follows, and the pools' volumes while they are read */
  GError *error;          /* the first one that stops the observation as a whole */
  gboolean had_trouble;   /* some object couldn't be read */
  GPtrArray *domains;     /* of DomainReading *, see read_domains.c */
  gboolean by_files;      /* short cuts may be taken, see volume_file.h */
  GPtrArray *pools;       /* of PoolReading *, see read_storage.c */
  GPtrArray *networks;    /* of NetworkReading *, see read_networks.c */
  GPtrArray *volumes;     /* of VolumeReading * */
  GHashTable *not_qcow2;  /* paths of disks that definitions call anything else; when read_volumes begins */
} Reading;

/* Stops the observation; takes the error. */
void reading_fail(Reading *reading, GError *error);
/* The same with the thread's last libvirt error. */
void reading_fail_libvirt(Reading *reading, const char *what);
/* The message of the thread's last libvirt error with context, for an object's `error`. */
char *reading_trouble(Reading *reading, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Fails the observation when the connection has died. */
void reading_check_alive(Reading *reading);
/* Fails it whatever else it found: what wasn't answered any more looks like trouble of the objects. */
void reading_fail_given_up(Reading *reading);
/* Whether the last error says that a driver or its daemon isn't there. */
gboolean reading_lacks_driver(void);

/* Each pushes its tasks. */
void read_host(Reading *reading);
void read_domains(Reading *reading);
void read_storage(Reading *reading);
void read_networks(Reading *reading);
/* After those tasks have run: pushes one for each volume that waits for them. */
void read_volumes(Reading *reading);
/* After all tasks have run: drops what vanished, then pushes what needs all the others. */
void read_domains_finish(Reading *reading);
void read_storage_finish(Reading *reading);
void read_networks_finish(Reading *reading);
void domain_reading_free(gpointer each);
void pool_reading_free(gpointer each);
void volume_reading_free(gpointer each);
void network_reading_free(gpointer each);
/* The facts of one domain, by name, with its volumes; see observe_domain. */
ActualDomain *read_one_domain(virConnectPtr conn, const Actual *actual, const char *name, GError **error);
