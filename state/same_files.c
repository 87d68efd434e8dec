#include "state/same_files.h"

#include <sys/stat.h>

typedef struct {
  dev_t device; /* of a device's own number, where it is one */
  ino_t inode;  /* 0: it is one */
} FileId;

typedef struct {
  GHashTable *paths; /* a set of const char * */
} Names;

static guint id_hash(gconstpointer key) {
  const FileId *id = key;
  guint64 mixed = (guint64)id->device * 0x9e3779b97f4a7c15u ^ id->inode;
  return (guint)(mixed ^ mixed >> 32);
}

static gboolean id_equal(gconstpointer a, gconstpointer b) {
  const FileId *left = a, *right = b;
  return left->device == right->device && left->inode == right->inode;
}

static gboolean id_of(const Actual *actual, const char *path, FileId *ret_id) {
  const ActualVolume *volume = g_hash_table_lookup(actual->volumes_by_path, path);
  if (volume && volume->inode) {
    *ret_id = (FileId){.device = volume->device, .inode = volume->inode};
    return TRUE;
  }
  struct stat found;
  if (stat(path, &found) < 0 || !(S_ISREG(found.st_mode) || S_ISBLK(found.st_mode)))
    return FALSE;
  *ret_id = S_ISBLK(found.st_mode) ? (FileId){.device = found.st_rdev} : (FileId){.device = found.st_dev, .inode = found.st_ino};
  return TRUE;
}

static void add(Names *names, const char *path) {
  if (path && g_path_is_absolute(path))
    g_hash_table_add(names->paths, (gpointer)path);
}

static void add_volume(Names *names, const ActualVolume *volume) {
  add(names, volume->path);
  add(names, volume->backing_path);
}

static void add_disks(Names *names, const GPtrArray *disks) {
  for (guint i = 0; disks && i < disks->len; i++) {
    const ActualDisk *disk = disks->pdata[i];
    add(names, disk->path);
    add(names, disk->job_path);
    for (guint n = 0; disk->chain && n < disk->chain->len; n++) {
      const ActualVolume *layer = disk->chain->pdata[n];
      if (!layer->pool) /* else it is among the pools' */
        add_volume(names, layer);
    }
  }
}

static void add_snapshots(Names *names, const GPtrArray *snapshots) {
  for (guint i = 0; i < snapshots->len; i++) {
    const ActualSnapshot *snapshot = snapshots->pdata[i];
    add(names, snapshot->memory_path);
    for (guint n = 0; n < snapshot->disks->len; n++) {
      const ActualSnapshotDisk *disk = snapshot->disks->pdata[n];
      add(names, disk->path);
      add(names, disk->base);
    }
  }
}

static void add_facts(Names *names, const Ownership *owner) {
  const GPtrArray *facts = owner ? owner->facts.disks : NULL;
  for (guint i = 0; facts && i < facts->len; i++) {
    const DiskFactSpec *fact = facts->pdata[i];
    add(names, fact->retired);
    add(names, fact->coming);
    add(names, fact->flushing);
    add(names, fact->pulledInto);
    add(names, fact->beneath);
    for (guint n = 0; fact->leaving && fact->leaving[n]; n++)
      add(names, fact->leaving[n]);
  }
}

static void add_domain(Names *names, const ActualDomain *domain) {
  add_disks(names, domain->disks);
  if (domain->defined_disks != domain->disks)
    add_disks(names, domain->defined_disks);
  if (domain->saved_disks)
    add_disks(names, domain->saved_disks);
  add_snapshots(names, domain->snapshots);
  add_facts(names, domain->owner);
  for (guint i = 0; i < domain->boot_files->len; i++)
    add(names, domain->boot_files->pdata[i]);
}

static void add_declared(Names *names, const Desired *desired) {
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    const VmSpec *vm = object->kind == KIND_VIRTUAL_MACHINE ? object_vm(object) : NULL;
    for (guint n = 0; vm && vm->disks && n < vm->disks->len; n++)
      add(names, ((const DiskSpec *)vm->disks->pdata[n])->path);
  }
}

static void add_all(Names *names, const Actual *actual, const Desired *desired) {
  GHashTableIter iter;
  gpointer each;
  g_hash_table_iter_init(&iter, actual->volumes_by_path);
  while (g_hash_table_iter_next(&iter, NULL, &each))
    add_volume(names, each);
  g_hash_table_iter_init(&iter, actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, &each))
    add_domain(names, each);
  if (desired)
    add_declared(names, desired);
}

/* What a pool knows tells most of a file, and goes before; then the order of names, so that it is always the same one. */
static gboolean counts_before(const Actual *actual, const char *path, const char *other) {
  gboolean known = g_hash_table_contains(actual->volumes_by_path, path);
  if (known != g_hash_table_contains(actual->volumes_by_path, other))
    return known;
  return g_strcmp0(path, other) < 0;
}

static void look(Actual *actual, const Desired *desired) {
  g_autoptr(GHashTable) paths = g_hash_table_new(g_str_hash, g_str_equal), firsts = g_hash_table_new(id_hash, id_equal);
  g_autoptr(GHashTable) ids = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free); /* path → FileId * */
  Names names = {.paths = paths};
  add_all(&names, actual, desired);
  GHashTableIter iter;
  gpointer path, id;
  g_hash_table_iter_init(&iter, paths);
  while (g_hash_table_iter_next(&iter, &path, NULL)) {
    FileId found;
    if (!id_of(actual, path, &found))
      continue;
    g_hash_table_replace(ids, path, id = g_memdup2(&found, sizeof found));
    const char *first = g_hash_table_lookup(firsts, id);
    if (!first || counts_before(actual, path, first))
      g_hash_table_replace(firsts, id, path);
  }
  g_hash_table_remove_all(actual->same_files);
  g_hash_table_iter_init(&iter, ids);
  while (g_hash_table_iter_next(&iter, &path, &id)) {
    const char *first = g_hash_table_lookup(firsts, id);
    if (!g_str_equal(first, path))
      g_hash_table_replace(actual->same_files, g_strdup(path), g_strdup(first));
  }
}

void same_files_find(Actual *actual) {
  if (actual->local)
    look(actual, NULL);
}

void same_files_add(Actual *actual, const Desired *desired) {
  g_autoptr(GHashTable) paths = g_hash_table_new(g_str_hash, g_str_equal);
  Names names = {.paths = paths};
  add_declared(&names, desired);
  GHashTableIter iter;
  gpointer path;
  gboolean all_known = TRUE;
  g_hash_table_iter_init(&iter, paths);
  while (all_known && g_hash_table_iter_next(&iter, &path, NULL))
    all_known = g_hash_table_contains(actual->volumes_by_path, path);
  if (actual->local && !all_known)
    look(actual, desired);
}
