/* What travels with a machine: disks, the bases that they lie on, media, kernel and initrd. */
#include "state/base_volume.h"
#include "reconciler/plan/locate.h"
#include "reconciler/plan/migration.h"
#include "reconciler/plan/space.h"
#include "schema/value.h"

static void add_line(GString *text, const char *line) { g_string_append_printf(text, "%s%s", text->len > 0 ? "\n" : "", line); }

gboolean move_is_shared(const Move *move, const char *pool) { return fleet_host_shares(move->placed->now, pool, move->to); }

void move_rely_on(const Move *move, const char *pool) {
  g_auto(GStrv) pools = g_strsplit(move->shared->str, "\n", -1);
  if (!g_strv_contains((const char *const *)pools, pool))
    add_line(move->shared, pool);
}

static gboolean is_layer_shared(const Move *move, const ActualVolume *layer) { return layer->pool != NULL && move_is_shared(move, layer->pool); }

/* Whether the pool of a layer is on the other host too: of the same name, at the same path. It may be made by this
 * very plan. */
static gboolean has_pool(const Move *move, const ActualVolume *layer, char **ret_error) {
  const ActualPool *here = layer->pool != NULL ? g_hash_table_lookup(move->builder->input->actual->pools, layer->pool) : NULL;
  const ActualPool *there = here != NULL ? g_hash_table_lookup(move->there->pools, layer->pool) : NULL;
  const PlanInput its = {.actual = move->there, .desired = move->builder->input->everywhere};
  const char *target = here != NULL ? locate_pool(&its, layer->pool, ret_error) : NULL;
  if (here == NULL)
    *ret_error = g_strdup_printf("%s is in no storage pool: put its directory into one on both hosts", layer->path);
  else if (target != NULL && g_strcmp0(here->target, target) != 0)
    *ret_error = g_strdup_printf("pool %s is %s here and %s on %s: the paths must be the same", layer->pool, here->target, target, move->to);
  else if (there == NULL || !there->active || there->error != NULL) {
    char *unusable = g_strdup_printf("pool %s can't be used on %s: declare and start it there first", layer->pool, move->to);
    g_clear_pointer(ret_error, g_free);
    if (target == NULL || (there != NULL && there->error != NULL))
      *ret_error = unusable;
    else
      plan_need(move->object, KIND_STORAGE_POOL, move->to, layer->pool, unusable);
  }
  return *ret_error == NULL;
}

char *move_pool_refusal(const Move *move, const ActualVolume *file) {
  char *error = NULL;
  has_pool(move, file, &error);
  return error;
}

/* As far as can be told before its pool is. NULL: it isn't there. */
static const ActualVolume *found_there(const Move *move, const ActualVolume *file, gboolean *ret_half_made) {
  const ActualPool *pool = g_hash_table_lookup(move->there->pools, file->pool);
  g_autofree char *marker = g_strconcat(file->name, INCOMPLETE_SUFFIX, NULL);
  *ret_half_made = pool != NULL && g_hash_table_contains(pool->volumes, marker);
  return pool != NULL ? g_hash_table_lookup(pool->volumes, file->name) : NULL;
}

/* There, and whole. */
static gboolean is_there(const Move *move, const ActualVolume *file) {
  gboolean half_made;
  return found_there(move, file, &half_made) != NULL && !half_made;
}

/* Before a file is copied, what an interrupted copy left of it goes. Who insists is asked for no room. */
static void take_room(Move *move, Action *action, const ActualVolume *file, guint64 bytes) {
  gboolean half_made;
  const ActualVolume *left = found_there(move, file, &half_made);
  gboolean insists = (move->builder->input->allow & ALLOW_OVERCOMMIT) != 0;
  guint64 freed = left != NULL && half_made ? MIN(left->allocation, bytes) : 0;
  g_autofree char *key = g_strconcat(SPACE_BRINGS, file->pool, NULL);
  const char *before = string_map_get(move->check->args, key);
  if (freed > 0)
    move_set_number(action, "freed", freed);
  move_set_number(move->check, key, (before != NULL ? g_ascii_strtoull(before, NULL, 10) : 0) + (insists ? 0 : bytes - freed));
  move->bytes += bytes;
}

/* What an earlier move left there, which goes before this one begins (moved.c). */
static gboolean is_left_there(const Move *move, const ActualVolume *file) {
  const FactsSpec *facts = &move->domain->owner->facts;
  return given(facts, FactsSpec, movedFrom) && g_str_equal(facts->movedFrom, move->to) && given(facts, FactsSpec, left) &&
         g_strv_contains((const char *const *)facts->left, file->path);
}

/* A file that several machines may bring, and that stays here: the first of them copies it, and each sees to it that
 * what is there is the same. `what`: "base image", as people call it. */
static Action *bring(Move *move, ActionKind kind, const ActualVolume *file, const char *what) {
  g_autofree char *key = g_strconcat(move->to, file->path, NULL), *shown = bytes_format_short(file->physical);
  const char *brought = build_needs(move->builder, KIND_IMAGE, key); /* by another machine of this plan */
  gboolean there = is_there(move, file), copies = brought == NULL && !there;
  Action *action = move_act(move, kind, copies ? g_strdup_printf("copy %s (%s) to %s", what, shown, move->to)
                                               : g_strdup_printf("compare %s on %s", what, move->to));
  string_map_set(action->args, "toPool", file->pool);
  string_map_set(action->args, "path", file->path);
  move_set_number(action, "size", file->physical);
  move_set_number(action, "bytes", there ? 0 : file->physical);
  if (copies)
    take_room(move, action, file, file->physical);
  build_wait(action, brought);
  build_ready(move->builder, KIND_IMAGE, key, action);
  return action;
}

static char *move_base(Move *move, const ActualVolume *base) {
  char *error = NULL;
  g_autofree char *sha256 = base_volume_digest(base->path);
  if (sha256 == NULL)
    return g_strdup_printf("it lies on %s, which is no base image that is named by its content: merge or copy it first", base->path);
  if (base->backing_path != NULL)
    return g_strdup_printf("its base %s has a backing store of its own", base->path);
  if (!has_pool(move, base, &error))
    return error;
  if (move_is_shared(move, base->pool))
    move_rely_on(move, base->pool);
  else
    string_map_set(bring(move, ACTION_MOVE_BASE, base, "its base image")->args, "sha256", sha256);
  return NULL;
}

/* Files that the machine only reads: a medium, its kernel. */
static char *move_file(Move *move, const ActualVolume *file, const char *what) {
  char *error = NULL;
  if (!has_pool(move, file, &error))
    return error;
  if (file->backing_path != NULL)
    return g_strdup_printf("%s has a backing store, and only whole files are taken along", file->path);
  if (move_is_shared(move, file->pool))
    move_rely_on(move, file->pool);
  else
    bring(move, ACTION_MOVE_FILE, file, what);
  return NULL;
}

/* The disk whose present layer the file is; NULL: it is another layer, or memory. */
static const ActualDisk *disk_on(const Move *move, const ActualVolume *file) {
  for (guint i = 0; i < move->domain->disks->len; i++) {
    const ActualDisk *disk = move->domain->disks->pdata[i];
    if (disk->chain->len > 0 && g_str_equal(((const ActualVolume *)disk->chain->pdata[0])->path, file->path))
      return disk;
  }
  return NULL;
}

static void move_volume(Move *move, const ActualVolume *file) {
  g_autofree char *shown = bytes_format_short(file->allocation);
  const ActualDisk *disk = disk_on(move, file);
  g_autofree char *what = disk != NULL ? g_strdup_printf("disk %s", disk->target) : g_strdup_printf("its snapshots' %s", file->name);
  Action *action = move->live ? move_act(move, ACTION_MOVE_PREPARE, g_strdup_printf("make room for %s on %s", what, move->to))
                              : move_act(move, ACTION_MOVE_VOLUME, g_strdup_printf("copy %s (%s) to %s", what, shown, move->to));
  string_map_set(action->args, "toPool", file->pool);
  string_map_set(action->args, "path", file->path);
  move_set_number(action, "bytes", file->allocation);
  gboolean raw = disk != NULL && g_strcmp0(disk->format, "raw") == 0;
  move_set_number(action, move->live ? "capacity" : "size", move->live && !raw ? file->capacity : file->physical);
  take_room(move, action, file, file->allocation);
  if (disk != NULL && disk->format != NULL)
    string_map_set(action->args, "format", disk->format); /* not what its guest may have written */
  if (!move->live)
    return;
  if (disk == NULL || disk->format == NULL)
    string_map_set(action->args, "format", file->format);
  if (file->backing_path != NULL) {
    string_map_set(action->args, "backingPath", file->backing_path);
    string_map_set(action->args, "backingFormat", file->backing_format);
  }
}

/* A volume that is declared on its own stays where it is declared. */
static const char *volume_of(const Move *move, const char *target) {
  const DiskSpec *disk = vm_disk(object_vm(move->placed->machine), target);
  return disk != NULL && given(disk, DiskSpec, volume) ? disk->volume : NULL;
}

gboolean move_only_reads(const VmSpec *vm, const char *target) {
  const DiskSpec *disk = vm_disk(vm, target);
  return disk != NULL && disk_is_read_only(disk);
}

static gboolean is_medium(const Move *move, const char *target) { return move_only_reads(move_spec(move), target); }

/* One that is copied, is there, or is a base. */
static char *move_layer(Move *move, const ActualVolume *layer, gboolean top) {
  g_autofree char *base = base_volume_digest(layer->path);
  char *error = NULL;
  if (is_layer_shared(move, layer)) {
    move_rely_on(move, layer->pool);
    return has_pool(move, layer, &error) ? NULL : error;
  }
  if (!top && (base != NULL || !move_is_kept(move, layer->path)))
    return base == NULL && layer->backing_path != NULL ? g_strdup("its chain is deeper than an overlay on a base: merge it first (chain.onExceed)")
                                                       : move_base(move, layer);
  if (!has_pool(move, layer, &error))
    return error;
  if (is_there(move, layer) && !is_left_there(move, layer))
    return g_strdup_printf("there is a file %s on %s already: look what it is, and remove it", layer->path, move->to);
  g_ptr_array_add(move->files, (gpointer)layer);
  return NULL;
}

static char *move_disk(Move *move, const ActualDisk *disk) {
  char *error = NULL;
  if (disk->path == NULL)
    return is_medium(move, disk->target) ? NULL : g_strdup("it is neither a file nor a block device");
  const ActualVolume *top = disk->chain->len > 0 ? disk->chain->pdata[0] : NULL;
  if (disk->job != NULL)
    return g_strdup("a block job runs on it: wait until that has ended");
  if (top == NULL || top->name == NULL)
    return g_strdup_printf("%s is in no storage pool: put its directory into one on both hosts", disk->path);
  if (!has_pool(move, top, &error))
    return error;
  if (is_medium(move, disk->target) && !move_is_shared(move, top->pool))
    return move_file(move, top, "its medium");
  if (volume_of(move, disk->target) != NULL && !move_is_shared(move, top->pool))
    return g_strdup_printf("it is volume %s, which is no part of the machine and stays here: put that into a pool that both hosts share, or give the disk a size "
                           "or an image instead", volume_of(move, disk->target));
  const ActualVolume *last = disk->chain->pdata[disk->chain->len - 1];
  for (guint i = 0; error == NULL && i < disk->chain->len; i++)
    error = move_layer(move, disk->chain->pdata[i], i == 0);
  if (error == NULL && last->backing_path != NULL && !move_is_shared(move, top->pool))
    error = g_strdup_printf("it lies on %s, which is in no storage pool: put its directory into one on both hosts", last->backing_path);
  if (error == NULL && !move_is_shared(move, top->pool))
    g_string_append_printf(move->disks, "%s%s", move->disks->len > 0 ? "," : "", disk->target);
  return error;
}

static gboolean is_in_chain(const Move *move, const ActualVolume *file) {
  for (guint i = 0; i < move->domain->disks->len; i++) {
    const ActualDisk *disk = move->domain->disks->pdata[i];
    for (guint j = 0; j < disk->chain->len; j++)
      if (g_str_equal(((const ActualVolume *)disk->chain->pdata[j])->path, file->path))
        return TRUE;
  }
  return FALSE;
}

/* What no disk has in its chain now: other branches, memory. What others use, they would lose. */
static char *move_other_files(Move *move) {
  char *unknown = NULL, *error = NULL;
  g_autoptr(GPtrArray) all = move_files(move->builder->input->actual, move->domain, &unknown);
  if (unknown != NULL)
    error = g_strdup_printf("what its snapshots hold can't be told: nothing is known of %s; put its directory into a storage pool on both hosts, or look "
                            "at that again ('virsh pool-refresh')", unknown);
  g_free(unknown);
  for (guint i = 0; error == NULL && i < all->len; i++)
    if (!is_in_chain(move, all->pdata[i]))
      error = move_layer(move, all->pdata[i], FALSE);
  for (guint i = 0; error == NULL && i < move->files->len; i++)
    error = move_other_user(move, all, ((const ActualVolume *)move->files->pdata[i])->path);
  return error;
}

/* Where it is in no pool, only the action can look: it compares them. */
static char *move_boot_file(Move *move, const char *path, const char *what) {
  const ActualVolume *file = g_hash_table_lookup(move->builder->input->actual->volumes_by_path, path);
  if (file != NULL)
    return move_file(move, file, what);
  string_map_set(move_act(move, ACTION_MOVE_FILE, g_strdup_printf("compare %s on %s", what, move->to))->args, "path", path);
  build_note(move->object, g_strdup_printf("%s %s is in no storage pool: it isn't taken along, and must be the same on %s", what, path, move->to));
  return NULL;
}

static void note_directories(const Move *move) {
  const VmSpec *vm = move_spec(move);
  for (guint i = 0; given(vm, VmSpec, filesystems) && i < vm->filesystems->len; i++)
    build_note(move->object, g_strdup_printf("its shared directory %s isn't taken along, and must be the same on %s",
                                             ((const FilesystemSpec *)vm->filesystems->pdata[i])->source, move->to));
}

char *move_storage(Move *move) {
  const BootSpec *boot = &move_spec(move)->boot;
  char *error = NULL;
  if (given(move_spec(move), VmSpec, boot) && given(boot, BootSpec, kernel))
    error = move_boot_file(move, boot->kernel, "its kernel");
  if (error == NULL && given(move_spec(move), VmSpec, boot) && given(boot, BootSpec, initrd))
    error = move_boot_file(move, boot->initrd, "its initrd");
  for (guint i = 0; error == NULL && i < move->domain->disks->len; i++) {
    const ActualDisk *disk = move->domain->disks->pdata[i];
    g_autofree char *trouble = move_disk(move, disk);
    error = trouble != NULL ? g_strdup_printf("disk %s: %s", disk->target, trouble) : NULL;
  }
  if (error == NULL)
    note_directories(move);
  return error != NULL ? error : move_other_files(move);
}

/* Copied from the bottom, so that each layer finds what it lies on, and deleted from the top; else in the order of the disks. */
void move_disks(Move *move) {
  g_autoptr(GPtrArray) copied = g_ptr_array_new();
  for (guint i = move->files->len; i-- > 0;)
    g_ptr_array_add(copied, move->files->pdata[i]);
  move_files_from_the_top(copied);
  for (guint i = copied->len; i-- > 0;)
    move_volume(move, copied->pdata[i]);
  move_files_from_the_top(move->files);
  for (guint i = 0; i < move->files->len; i++)
    add_line(move->left, ((const ActualVolume *)move->files->pdata[i])->path);
}
