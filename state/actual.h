/* The actual state: what was observed on a host, in the same structs as the desired
 * state. Plain data, const after observation; no libvirt handle, no XML node. */
#pragma once
#include "schema/document.h"
#include "state/asked.h"
#include "state/balloon_note.h"
#include "state/object_xml.h"

/* libvirt's own texts of an object, kept where ObserveOptions.keep_texts asks for them. */
typedef struct {
  char *persistent, *live; /* live: NULL when nothing runs, or there is no such thing */
  char *saved;             /* definition in a hibernated machine's saved memory; else NULL */
} Texts;

typedef struct {
  char *name, *path, *pool;
  Texts *texts;         /* NULL: not kept */
  char *format;         /* "qcow2", "raw", … */
  char *looks;          /* another format, which libvirt takes it for, though those that have it read it as raw: see
                           state/told_formats.h; NULL: it is what it looks like */
  guint64 capacity, allocation, physical; /* bytes */
  char *backing_path, *backing_format;    /* NULL: no backing store */
  gint64 mtime_ns, ctime_ns;              /* of the file, since 1970; 0: unknown */
  gboolean from_file; /* read from the file itself, see state/libvirt/volume_file.h */
  guint64 device, inode; /* of that file; inode 0: it wasn't */
  char *error; /* it is there (name and path), but couldn't be read: why */
} ActualVolume;

typedef struct {
  StoragePoolSpec spec; /* incl. from_host fields: state, autostart */
  char *name, *uuid, *target; /* target: path where volumes appear */
  gboolean active, persistent;
  guint64 capacity, available; /* bytes; as libvirt remembers it from when it looked last, unless… */
  gboolean measured;           /* … it was seen by ourselves, with this observation */
  GHashTable *volumes;         /* name → ActualVolume *; empty when inactive */
  Texts *texts;                /* NULL: not kept */
  char *error;                 /* volumes couldn't be read: why; then nothing is concluded from absence */
} ActualPool;

typedef struct {
  NetworkSpec persistent, live;
  char *name, *uuid;
  gboolean active, is_persistent;
  NetworkOwnership *owner; /* from the persistent definition; NULL: not ours */
  char *fingerprint;       /* see state/fingerprint.h */
  Texts *texts;            /* NULL: not kept */
  char *error;             /* couldn't be read: why */
} ActualNetwork;

/* What a snapshot says of a disk. */
typedef struct {
  char *target;
  gboolean internal; /* kept within the file */
  char *path;        /* external: the layer that took over: what the snapshot holds is that layer's backing store */
  char *base, *base_format; /* the disk's file then, as the snapshot's copy of the definition says; may be NULL */
} ActualSnapshotDisk;

/* A snapshot that libvirt knows, of whoever. */
typedef struct {
  char *name, *description;
  char *parent;        /* NULL: none */
  gint64 created;      /* seconds since 1970 */
  gboolean current;    /* the next one will be its child */
  gboolean memory;     /* the memory of a running machine is kept too */
  char *memory_path;   /* … in this file; NULL: within a disk */
  char *state;         /* of the machine then, libvirt's word: "running", "paused", "shutoff", "disk-snapshot" */
  GPtrArray *disks;    /* of ActualSnapshotDisk *; those without snapshot are left out */
  Texts *texts;        /* NULL: not kept */
} ActualSnapshot;

/* A disk's source as the domain's XML names it, and the chain below it. */
typedef struct {
  char *target;        /* vda */
  char *job;           /* a block job that runs: "copy", "commit", "active-commit", "pull", "backup"; NULL: none. Those
                          that don't mirror are looked for where there are layers to merge */
  char *job_path;      /* what it writes to */
  gboolean job_ready;  /* as the XML says: not the same as 100 % */
  char *path, *format; /* of the top layer; path is NULL for an empty drive and for what isn't a file or device */
  char *pool, *volume; /* of a <disk type='volume'>; path is then looked up */
  GPtrArray *chain;    /* of ActualVolume *, top first, borrowed from a pool or from ActualDomain.volumes.
                          What runs: as the live XML says. Else from the volumes: ends where none is known */
  char *lost;          /* a file of the running machine's chain that isn't there any more; NULL: none that is known */
  guint64 told_bytes;  /* size that only the hypervisor could tell; 0: not asked */
} ActualDisk;

/* Something long that is done with a whole domain, as far as libvirt tells. */
typedef struct {
  const char *operation;       /* "migration out", "migration in", "save" …; static; NULL: nothing */
  guint64 milliseconds;        /* since it began */
  guint64 done, total;         /* bytes; total 0: not known. What is sent again counts again in done */
  guint64 remaining;
  guint64 disk_done, disk_total;
  guint64 memory_rate, disk_rate, dirty_rate; /* bytes per second; dirty: changed by the guest */
  guint64 iteration;           /* of the memory; 0: it isn't sent yet */
  guint64 throttle;            /* percent by which the guest is slowed down */
} ActualJob;

typedef struct {
  char *name, *uuid;
  int state, reason; /* virDomainState and its reason */
  ActualJob job;     /* only where ObserveOptions asks for it */
  gboolean active, is_persistent, has_managed_save, autostart;
  gboolean has_numa;   /* NUMA cells: their sizes make up the memory */
  gboolean has_helper;    /* a helper domain of it is there, in which an interrupted run worked on its disks */
  char *helper_of;        /* it is such a helper, of this machine; only until the observation is complete */
  gboolean has_snapshots; /* says the list of domains */
  GPtrArray *snapshots;   /* of ActualSnapshot *, oldest first */
  guint checkpoints;      /* that libvirt knows; asked only of what is to be deleted (state/libvirt/checkpoints.h) */
  VmSpec persistent;   /* definition for the next start, with size and powerState, autostart from the host */
  VmSpec *live;        /* the machine that runs: see actual_live; NULL: none does */
  VmSpec *saved;       /* what a hibernated machine comes back as, whatever its definition has become; NULL: nothing is saved, or storage wasn't observed */
  Ownership *owner;    /* from the persistent definition; NULL: not ours */
  Ownership *started;  /* record in the live XML: what it was started with; NULL: none */
  VmSpec *leaving;     /* devices that are ours, left the definition, and are or were in the machine that runs (state/leaving.h); NULL: none */
  BalloonNote balloon; /* what the balloon of what runs was told */
  gint64 asked;        /* when what runs was asked to end, to be started again (state/asked.h): seconds since 1970; 0: it wasn't */
  GPtrArray *disks;    /* of ActualDisk *: of the machine that runs, else of the definition */
  GPtrArray *defined_disks; /* of the definition; the same array when nothing runs */
  GPtrArray *saved_disks;   /* of ActualDisk *: of `saved`; NULL with that */
  GPtrArray *volumes;  /* of ActualVolume *: layers that no pool of the Actual has; NULL: none */
  GPtrArray *boot_files; /* paths of kernel, initrd, dtb, loader and UEFI variables, as they run, are saved and defined; may hold one twice */
  gboolean has_nvram;  /* UEFI variables are kept for it */
  char *nvram;         /* their file, as far as the XML or our record tells: libvirt may choose it at each start */
  char *fingerprint;   /* see state/fingerprint.h; NULL when storage wasn't observed */
  Texts *texts;        /* NULL: not kept */
  char *error;         /* couldn't be read: why */
} ActualDomain;

typedef struct {
  char *uri, *hostname, *arch;
  gboolean has_kvm;     /* capabilities offer a kvm domain for the host's arch */
  gboolean local;       /* it is this host */
  gboolean privileged;  /* a system daemon rather than a session one */
  gboolean has_lock;    /* somebody changes it, or a lock was left (reconciler/act/host_lock.h) */
  Texts *texts;         /* the capabilities, as `persistent`; NULL: not kept */
  GHashTable *domains;  /* name → ActualDomain * */
  GHashTable *pools;    /* name → ActualPool * */
  GHashTable *networks; /* name → ActualNetwork * */
  GHashTable *volumes_by_path; /* path → ActualVolume *, not owned */
  GHashTable *vanished;   /* a set of paths: volumes that a pool lists, and that aren't there */
  gboolean sees_files;    /* the files that libvirt tells of are seen by ourselves, as a pool has shown */
  GHashTable *same_files; /* path → another path under which the same file counts: see state/same_files.h */
  GHashTable *images;   /* Image name → ImageFacts *, see reconciler/image/facts.h; NULL until gathered */
  /* The host offers no storage pools or no networks (no such driver or daemon): why; NULL: it does. The
   * tables are empty then, and nothing is concluded from it. */
  char *storage_error, *networks_error;
} Actual;

Actual *actual_new(void);
void actual_free(Actual *actual);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Actual, actual_free)
void actual_domain_free(ActualDomain *domain);
void actual_pool_free(ActualPool *pool);
void actual_network_free(ActualNetwork *network);
void actual_volume_free(ActualVolume *volume);
void actual_disk_free(ActualDisk *disk);
void actual_snapshot_free(ActualSnapshot *snapshot);
/* NULL: there is none of this name. */
const ActualSnapshot *actual_snapshot(const ActualDomain *domain, const char *name);
ActualDomain *actual_domain_new(const char *name, const char *uuid);
ActualPool *actual_pool_new(const char *name, const char *uuid);
ActualNetwork *actual_network_new(const char *name, const char *uuid);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ActualDomain, actual_domain_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ActualVolume, actual_volume_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ActualSnapshot, actual_snapshot_free)
Texts *texts_new(gboolean keep); /* empty ones, or NULL */
void texts_set(Texts *texts /* or NULL */, const char *persistent, const char *live);
void texts_free(Texts *texts);
/* Fills volumes_by_path from the pools. */
void actual_index_volumes(Actual *actual);
/* The path under which a file counts where several lead to it; mostly the same. */
const char *actual_file(const Actual *actual, const char *path /* may be NULL */);
/* The chain of a path, top first, from volumes_by_path: ActualVolume * (not owned). Ends where
 * a backing file isn't in any pool; loops end too. */
GPtrArray *actual_chain(const Actual *actual, const char *path);
/* Takes helper domains (state/helper.h) out: they are noted at their machines. */
void actual_set_helpers_aside(Actual *actual);
/* From which file on nothing is known of a disk's chain; NULL: it is known to its end. Of a stopped machine's file that is
 * in no pool only the format is known, and what it is called raw has nothing beneath it. */
const char *actual_chain_unknown(const ActualDomain *domain, const ActualDisk *disk);
/* The machine that runs; nothing is given where none does. */
const VmSpec *actual_live(const ActualDomain *domain);
/* That or, where none runs, the definition. */
const VmSpec *actual_now(const ActualDomain *domain);
/* A disk by its target; NULL when there is none. */
const ActualDisk *actual_disk(const GPtrArray *disks, const char *target);
/* The YAML's power state for libvirt's; FALSE when it has no word for it (crashed, …). */
gboolean power_state_of(int vir_domain_state, gboolean managed_save, PowerState *ret_power);
/* Paused by a person, rather than by an error or other work on it. */
gboolean actual_paused_by_choice(const ActualDomain *domain);
/* Why a machine that doesn't run has stopped, as long as libvirtd remembers it. */
typedef enum {
  STOP_UNKNOWN,      /* not started since libvirtd was */
  STOP_SHUT_DOWN,    /* the guest ended by itself, or was asked to */
  STOP_FORCED,       /* powered off */
  STOP_CRASHED,
  STOP_START_FAILED,
} StopCause;
StopCause actual_stop_cause(const ActualDomain *domain);
/* libvirtd ended it when it came up, rather than go on with it: so it does with what had arrived and didn't run yet. Known as long
 * as libvirtd remembers it. */
gboolean actual_ended_by_libvirtd(const ActualDomain *domain);
/* Somebody is starting it at this moment: it is paused until that is done. */
gboolean actual_is_starting(const ActualDomain *domain);
/* Paused because it is being, or was being, moved by libvirt: here it doesn't execute any more, or not yet. */
gboolean actual_is_migrating(const ActualDomain *domain);
/* … with all of its memory: before any of it was to be fetched. */
gboolean actual_is_at_the_switch(const ActualDomain *domain);
/* Its memory is in two places: here it executes already, and fetches what it lacks; or that broke off, and it is paused, or
 * executes until it needs the rest. Where libvirtd alone lost sight of it (QEMU goes on), only the source says that it broke. */
gboolean actual_in_post_copy(const ActualDomain *domain);
gboolean actual_post_copy_broke(const ActualDomain *domain);
gboolean actual_is_paused(const ActualDomain *domain); /* for whatever reason */
gboolean actual_executes(const ActualDomain *domain);
const char *power_state_word(int vir_domain_state, gboolean managed_save); /* as in YAML; "crashed" … for others */
