#include "reconciler/plan/disk_facts.h"

#include "reconciler/plan/facts.h"

const DiskFactSpec *disk_facts(const FactsSpec *facts, const char *target) { return facts_find(facts, FactsSpec_disks, target); }

gboolean disk_facts_leaving(const FactsSpec *facts, const char *target, const char *path) {
  const DiskFactSpec *fact = disk_facts(facts, target);
  return fact && given(fact, DiskFactSpec, leaving) && g_strv_contains((const char *const *)fact->leaving, path);
}

gboolean disk_facts_elsewhere(const DiskFactSpec *fact, const ActualDisk *disk) {
  if (!given(fact, DiskFactSpec, flushing) || !given(fact, DiskFactSpec, pulledInto))
    return FALSE;
  gboolean here = g_strcmp0(disk->path, fact->pulledInto) == 0;
  for (guint i = 0; i < disk->chain->len && !here; i++)
    here = g_strcmp0(((const ActualVolume *)disk->chain->pdata[i])->path, fact->pulledInto) == 0;
  return !here;
}

const DiskFactSpec *disk_facts_flushing(const ActualDomain *found) {
  const GPtrArray *facts = found->owner ? found->owner->facts.disks : NULL;
  for (guint i = 0; facts && i < facts->len; i++) {
    const DiskFactSpec *fact = facts->pdata[i];
    const ActualDisk *disk = actual_disk(found->disks, fact->target);
    if (disk && given(fact, DiskFactSpec, flushing) && !disk_facts_elsewhere(fact, disk))
      return fact;
  }
  return NULL;
}

static void set_part(DiskFactSpec *fact, guint part, const char *const *paths) {
  const Field *field = &DiskFactSpec_table.fields[part];
  spec_unset(&DiskFactSpec_table, fact, field);
  if (!paths)
    return;
  if (field->type == VALUE_STRINGS)
    *(char ***)field_member(field, fact) = g_strdupv((char **)paths);
  else
    *(char **)field_member(field, fact) = g_strdup(paths[0]);
  field_set_given(&DiskFactSpec_table, fact, field);
}

static gboolean is_empty(const DiskFactSpec *fact) {
  return !given(fact, DiskFactSpec, leaving) && !given(fact, DiskFactSpec, coming) && !given(fact, DiskFactSpec, retired) &&
         !given(fact, DiskFactSpec, flushing) && !given(fact, DiskFactSpec, pulledInto) && !given(fact, DiskFactSpec, beneath) && !given(fact, DiskFactSpec, beneathFormat);
}

gboolean disk_facts_set(FactsSpec *facts, gconstpointer data) {
  const DiskFact *wanted = data;
  DiskFactSpec *fact = facts_need(facts, FactsSpec_disks, wanted->target);
  DiskFactSpec *before = spec_copy(&DiskFactSpec_table, fact);
  set_part(fact, wanted->part, wanted->paths);
  gboolean changed = !spec_equal(&DiskFactSpec_table, before, fact);
  spec_free(&DiskFactSpec_table, before);
  if (is_empty(fact))
    facts_drop(facts, FactsSpec_disks, fact);
  return changed;
}

gboolean disk_facts_leave(FactsSpec *facts, gconstpointer data) {
  DiskFact wanted = *(const DiskFact *)data;
  const DiskFactSpec *fact = disk_facts(facts, wanted.target);
  g_autoptr(GStrvBuilder) all = g_strv_builder_new();
  if (fact && given(fact, DiskFactSpec, leaving))
    g_strv_builder_addv(all, (const char **)fact->leaving);
  for (guint i = 0; wanted.paths[i]; i++)
    if (!disk_facts_leaving(facts, wanted.target, wanted.paths[i]))
      g_strv_builder_add(all, wanted.paths[i]);
  g_auto(GStrv) paths = g_strv_builder_end(all);
  wanted.paths = (const char *const *)paths;
  return disk_facts_set(facts, &wanted);
}
