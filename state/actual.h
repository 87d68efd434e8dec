/* The actual state: what was observed on a host, in the same structs as the desired
 * state. Plain data, const after observation; no libvirt handle, no XML node. */
#pragma once
#include "schema/document.h"
#include "state/domain_xml.h"

typedef struct {
  char *name, *path, *pool;
  char *format;         /* "qcow2", "raw", … */
  guint64 capacity, allocation, physical; /* bytes */
  char *backing_path, *backing_format;    /* NULL: no backing store */
} ActualVolume;

typedef struct {
  StoragePoolSpec spec; /* incl. from_host fields: state, autostart */
  char *name, *uuid, *target; /* target: path where volumes appear */
  gboolean active, persistent;
  guint64 capacity, available; /* bytes */
  GHashTable *volumes;         /* name → ActualVolume *; empty when inactive */
  char *error;                 /* volumes couldn't be read: why; then nothing is concluded from absence */
} ActualPool;

typedef struct {
  NetworkSpec persistent, live;
  char *name, *uuid;
  gboolean active, is_persistent;
  char *fingerprint;
} ActualNetwork;

typedef struct {
  char *target;           /* vda */
  GPtrArray *chain;       /* of ActualVolume *, not owned when of a pool, top first; may be cut short */
} ActualDisk;

typedef struct {
  char *name, *uuid;
  int state, reason; /* virDomainState and its reason */
  gboolean active, is_persistent, has_managed_save, autostart;
  guint snapshots;
  VmSpec persistent;   /* definition for the next start, with size and powerState, autostart from the host */
  VmSpec live;         /* the machine that runs; only when active */
  Ownership *owner;    /* from the persistent definition; NULL: not ours */
  Ownership *started;  /* record in the live XML: what it was started with; NULL: none */
  char *fingerprint;   /* hex SHA-256 of live XML, persistent XML and disk chain */
  char *error;         /* couldn't be read: why */
} ActualDomain;

typedef struct {
  char *uri, *hostname, *arch;
  gboolean has_kvm;     /* capabilities offer a kvm domain for the host's arch */
  gboolean privileged;  /* a system daemon rather than a session one */
  GHashTable *domains;  /* name → ActualDomain * */
  GHashTable *pools;    /* name → ActualPool * */
  GHashTable *networks; /* name → ActualNetwork * */
  GHashTable *volumes_by_path; /* path → ActualVolume *, not owned */
  GHashTable *images;   /* Image name → ImageFacts *, see reconciler/image_facts.h */
} Actual;

Actual *actual_new(void);
void actual_free(Actual *actual);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Actual, actual_free)
void actual_domain_free(ActualDomain *domain);
void actual_pool_free(ActualPool *pool);
void actual_network_free(ActualNetwork *network);
void actual_volume_free(ActualVolume *volume);
/* The chain of a path, top first, from volumes_by_path: ActualVolume * (not owned). Ends where
 * a backing file isn't in any pool; loops end too. */
GPtrArray *actual_chain(const Actual *actual, const char *path);
const char *power_state_word(int vir_domain_state, gboolean managed_save); /* as in YAML; "crashed" … for others */
