#include "reconciler/disk_facts.h"

const DiskFactSpec *disk_facts(const FactsSpec *facts, const char *target) {
  return given(facts, FactsSpec, disks) ? list_find(&DiskFactSpec_table, facts->disks, &DiskFactSpec_table.fields[DiskFactSpec_target], target)
                                        : NULL;
}

gboolean disk_facts_leaving(const FactsSpec *facts, const char *target, const char *path) {
  const DiskFactSpec *fact = disk_facts(facts, target);
  return fact && given(fact, DiskFactSpec, leaving) && g_strv_contains((const char *const *)fact->leaving, path);
}

static DiskFactSpec *add(FactsSpec *facts, const char *target) {
  if (!given(facts, FactsSpec, disks)) {
    facts->disks = spec_list_new(&DiskFactSpec_table);
    set_given(facts, FactsSpec, disks);
  }
  DiskFactSpec *fact = spec_new(&DiskFactSpec_table);
  fact->target = g_strdup(target);
  set_given(fact, DiskFactSpec, target);
  g_ptr_array_add(facts->disks, fact);
  return fact;
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

static void drop_empty(FactsSpec *facts, DiskFactSpec *fact) {
  if (!given(fact, DiskFactSpec, leaving) && !given(fact, DiskFactSpec, coming) && !given(fact, DiskFactSpec, retired)) {
    g_ptr_array_remove(facts->disks, fact);
    spec_free(&DiskFactSpec_table, fact);
  }
  if (facts->disks->len == 0)
    spec_unset(&FactsSpec_table, facts, &FactsSpec_table.fields[FactsSpec_disks]);
}

gboolean disk_facts_set(FactsSpec *facts, gconstpointer data) {
  const DiskFact *wanted = data;
  DiskFactSpec *fact = (DiskFactSpec *)disk_facts(facts, wanted->target);
  if (!fact)
    fact = add(facts, wanted->target);
  DiskFactSpec *before = spec_copy(&DiskFactSpec_table, fact);
  set_part(fact, wanted->part, wanted->paths);
  gboolean changed = !spec_equal(&DiskFactSpec_table, before, fact);
  spec_free(&DiskFactSpec_table, before);
  drop_empty(facts, fact);
  return changed;
}
