#include "reconciler/plan/declared_files.h"

#include "reconciler/plan/locate.h"

struct DeclaredFiles {
  const PlanInput *input;
  const VolumeUsers *users;
  GHashTable *by_path; /* of files, as they count → id of an object */
};

static char *id_of(const Object *object) { return g_strdup_printf("%s/%s", kinds[object->kind].word, object->metadata.name); }

/* What a file's content lies on; NULL: nothing that is known. What is known of layers may be a loop. */
static const char *beneath(const DeclaredFiles *files, const char *path) {
  const ActualVolume *layer = volume_users_layer(files->users, path);
  return layer != NULL ? layer->backing_path : NULL;
}

static void add(DeclaredFiles *files, const char *path, const char *object) {
  for (; path != NULL && declared_files_by(files, path) == NULL; path = beneath(files, path))
    g_hash_table_insert(files->by_path, g_strdup(actual_file(files->input->actual, path)), g_strdup(object));
}

/* Also where the pool isn't there yet, or was declared for another host. */
static void add_volume(DeclaredFiles *files, const char *pool, const char *volume, const char *object) {
  g_autofree char *error = NULL;
  const char *target = locate_pool(files->input, pool, &error);
  g_autofree char *path = target != NULL ? g_build_filename(target, volume, NULL) : NULL;
  const ActualVolume *found = locate_volume(files->input, pool, volume);
  add(files, path, object);
  add(files, found != NULL ? found->path : NULL, object);
}

static void add_machine(DeclaredFiles *files, const Object *machine) {
  const VmSpec *vm = object_vm(machine);
  g_autofree char *id = id_of(machine);
  for (guint i = 0; given(vm, VmSpec, disks) && i < vm->disks->len; i++) {
    const DiskSpec *disk = vm->disks->pdata[i];
    if (given(disk, DiskSpec, path))
      add(files, disk->path, id);
    if (given(disk, DiskSpec, volume))
      add_volume(files, pool_of_disk(disk), disk->volume, id);
  }
}

/* Its source may be a directory of such files. */
static void add_image(DeclaredFiles *files, const Object *object) {
  const ImageSpec *image = object->spec;
  g_autofree char *id = id_of(object);
  if (!given(image, ImageSpec, source))
    return;
  add(files, image->source, id);
  GHashTableIter iter;
  const char *path;
  g_hash_table_iter_init(&iter, files->input->actual->volumes_by_path);
  while (g_hash_table_iter_next(&iter, (gpointer *)&path, NULL)) {
    g_autofree char *directory = g_path_get_dirname(path);
    if (g_str_equal(directory, image->source))
      add(files, path, id);
  }
}

DeclaredFiles *declared_files_new(const PlanInput *input, const VolumeUsers *users) {
  DeclaredFiles *files = g_new0(DeclaredFiles, 1);
  files->input = input;
  files->users = users;
  files->by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  const GPtrArray *objects = (input->everywhere != NULL ? input->everywhere : input->desired)->objects;
  for (guint i = 0; i < objects->len; i++) {
    const Object *object = objects->pdata[i];
    if (object->kind == KIND_VIRTUAL_MACHINE)
      add_machine(files, object);
    if (object->kind == KIND_IMAGE)
      add_image(files, object);
    if (object->kind != KIND_VOLUME)
      continue;
    const VolumeSpec *volume = object->spec;
    g_autofree char *id = id_of(object);
    add_volume(files, pool_of_volume(volume), object->metadata.name, id);
  }
  return files;
}

void declared_files_free(DeclaredFiles *files) {
  if (files == NULL)
    return;
  g_hash_table_unref(files->by_path);
  g_free(files);
}

const char *declared_files_by(const DeclaredFiles *files, const char *path) {
  return path != NULL ? g_hash_table_lookup(files->by_path, actual_file(files->input->actual, path)) : NULL;
}

gboolean declared_files_beneath(const DeclaredFiles *files, const char *path) {
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (; path != NULL && g_hash_table_add(seen, (gpointer)path); path = beneath(files, path))
    if (declared_files_by(files, path) != NULL)
      return TRUE;
  return FALSE;
}
