/* Stand-alone images of disks: each declared export is written once, and noted in the machine's record. */
#include "state/base_volume.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/facts.h"
#include "reconciler/plan/space.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const ActualDomain *found; /* NULL: to be created */
  const GPtrArray *sources;
  GPtrArray *actions;
} Stage;

static gboolean is_written(const Stage *stage, const char *name) {
  const FactsSpec *facts = stage->found != NULL && stage->found->owner != NULL ? &stage->found->owner->facts : NULL;
  return facts != NULL && facts_find(facts, FactsSpec_exports, name) != NULL;
}

/* Not since it was declared: under this name another one was, which has left the files since. */
static gboolean is_old(const Stage *stage, const char *name) {
  const VmSpec *applied = &stage->found->owner->spec;
  return !given(applied, VmSpec, exports) || list_find(&ExportSpec_table, applied->exports, table_key_field(&ExportSpec_table), name) == NULL;
}

/* The most that the image takes; 0: unknown. */
static guint64 bytes_of(const Stage *stage, const char *target) {
  const ActualDisk *disk = stage->found != NULL ? actual_disk(stage->found->disks, target) : NULL;
  if (disk != NULL)
    return space_of_copy(disk->chain);
  for (guint i = 0; i < stage->sources->len; i++) {
    const DiskSource *source = stage->sources->pdata[i];
    if (g_str_equal(source->disk->target, target))
      return source->base_bytes;
  }
  return 0;
}

static void export(const Stage *stage, const ExportSpec *spec, const char *volume, const char *format) {
  gboolean compress = given(spec, ExportSpec, compress) && spec->compress != Compression_none;
  guint64 image = bytes_of(stage, spec->disk); /* compressing, the image as it is stands beside the smaller one for a while */
  g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, compress ? 2 * image : image);
  Action *action = build_action(stage->builder, stage->object, ACTION_DISK_EXPORT, build_needs(stage->builder, KIND_STORAGE_POOL, spec->to),
                                g_strdup_printf("export disk %s as %s%s into pool %s", spec->disk, volume, compress ? ", compressed," : "",
                                                spec->to),
                                "export", spec->name, "target", spec->disk, "pool", spec->to, "volume", volume, "format", format, "bytes", bytes,
                                NULL);
  if (compress)
    string_map_set(action->args, "compress", Compression_words.words[spec->compress]);
  build_wait_all(action, stage->actions);
  g_ptr_array_add(stage->actions, action);
}

/* Compressing takes the image as it is, and the smaller one, to where the program runs. */
static char *check_scratch(const Stage *stage, const ExportSpec *spec) {
  if (!given(spec, ExportSpec, compress) || spec->compress == Compression_none)
    return NULL;
  return build_scratch(stage->builder, 2 * bytes_of(stage, spec->disk), "compressing", ", leave out compress");
}

static char *plan_export(const Stage *stage, const ExportSpec *spec) {
  const char *format = Format_words.words[given(spec, ExportSpec, format) ? spec->format : Format_qcow2];
  g_autofree char *volume = g_strdup_printf("%s.%s", spec->name, format), *marker = g_strconcat(volume, INCOMPLETE_SUFFIX, NULL);
  gboolean begun = locate_volume(stage->builder->input, spec->to, marker) != NULL;
  if (is_written(stage, spec->name) && !begun) {
    gboolean stands = locate_volume(stage->builder->input, spec->to, volume) != NULL;
    if (is_old(stage, spec->name) && stands)
      build_note(stage->object, g_strdup_printf("export %s stands from before it left the files, and isn't written again", spec->name));
    return is_old(stage, spec->name) && !stands ? g_strdup("it was written before it left the files, and isn't written again: give it another name") : NULL;
  }
  if (plan_waits_for_flush(stage->object, stage->found, "export", spec->name))
    return NULL;
  char *trouble = plan_pool_trouble(stage->builder, spec->to);
  if (trouble == NULL && !begun && locate_volume(stage->builder->input, spec->to, volume) != NULL)
    trouble = g_strdup_printf("there is a volume %s in pool %s already, and it is never overwritten: give the export another name, or delete the volume",
                              volume, spec->to);
  if (trouble == NULL)
    trouble = check_scratch(stage, spec);
  if (trouble == NULL)
    export(stage, spec, volume, format);
  return trouble;
}

char *plan_exports(PlanBuilder *builder, PlanObject *object, const ActualDomain *found, const GPtrArray *sources, GPtrArray *actions) {
  const VmSpec *vm = object_vm(object->declared);
  const Stage stage = {builder, object, found, sources, actions};
  for (guint i = 0; given(vm, VmSpec, exports) && i < vm->exports->len; i++) {
    const ExportSpec *spec = vm->exports->pdata[i];
    g_autofree char *error = plan_export(&stage, spec);
    if (error != NULL)
      return g_strdup_printf("export %s: %s", spec->name, error);
  }
  return NULL;
}
