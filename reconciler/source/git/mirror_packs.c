#include <glib/gstdio.h>
#include <string.h>

#include "reconciler/source/git/mirror_git.h"
#include "state/fault.h"

#define MAX_PACKS 50 /* before they are made one */

static int add_object(const git_oid *id, void *builder) { return git_packbuilder_insert(builder, id, NULL); }

static int tell_progress(G_GNUC_UNUSED int stage, G_GNUC_UNUSED uint32_t current, G_GNUC_UNUSED uint32_t total, void *fetch) {
  ((const MirrorFetch *)fetch)->alive();
  return 0;
}

/* One pack with all objects, also those that no ref leads to any more: one may be applied still. */
static gboolean pack_all(git_repository *repository, const MirrorFetch *fetch) {
  git_packbuilder *builder = NULL;
  g_autoptr(git_odb) odb = NULL;
  gboolean packed = git_repository_odb(&odb, repository) == 0 && git_packbuilder_new(&builder, repository) == 0 &&
                    git_packbuilder_set_callbacks(builder, tell_progress, (gpointer)fetch) == 0 &&
                    git_odb_foreach(odb, add_object, builder) == 0 && git_packbuilder_write(builder, NULL, 0444, NULL, NULL) == 0;
  git_packbuilder_free(builder);
  return packed;
}

void mirror_unite_packs(git_repository *repository, const MirrorFetch *fetch) {
  g_autofree char *path = g_build_filename(fetch->path, "objects", "pack", NULL);
  g_autoptr(GPtrArray) packs = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
  for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;)
    if (g_str_has_suffix(name, ".idx"))
      g_ptr_array_add(packs, g_strndup(name, strlen(name) - strlen(".idx")));
  if (packs->len <= MAX_PACKS || !pack_all(repository, fetch))
    return;
  FAULT("git: packs united");
  static const char *const suffixes[] = {".idx", ".pack"}; /* without its index, a pack isn't there */
  for (guint i = 0; i < packs->len * G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *name = g_strconcat(packs->pdata[i / 2], suffixes[i % 2], NULL), *file = g_build_filename(path, name, NULL);
    g_unlink(file);
  }
}
