#include "reconciler/plan/compare.h"

#include "reconciler/plan/diff.h"
#include "reconciler/plan/lost.h"
#include "reconciler/plan/migration.h"
#include "state/leaving.h"
#include "state/work.h"

enum { MOST_THREADS = 4, WORTH_A_THREAD = 32 /* machines */ };

static void comparison_free(gpointer data) {
  Comparison *comparison = data;
  resolved_free(comparison->resolved);
  g_clear_pointer(&comparison->fields, g_ptr_array_unref);
  g_free(comparison->error);
  g_free(comparison);
}

/* Only a run that asks that host too can tell whether a copy of it runs there (placement.c). */
static gboolean may_be_elsewhere(const PlanInput *input, const ActualDomain *found) {
  return input->placed == NULL && found->owner != NULL && given(&found->owner->facts, FactsSpec, arriving) &&
         (!found->active || actual_is_paused(found));
}

static char *refuse_existing(const PlanInput *input, const Object *declared, const ActualDomain *found) {
  gboolean adopt = given(&declared->metadata, MetadataSpec, adopt) && declared->metadata.adopt;
  if (found->error != NULL)
    return g_strdup_printf("it can't be read: %s", found->error);
  if (!found->is_persistent)
    return g_strdup(COMPARE_TRANSIENT);
  if (found->owner == NULL && !adopt)
    return g_strdup("a machine of this name exists that isn't ours: give metadata.adopt: true to take it over, or choose another name");
  if (input->placed == NULL && move_awaits_notes(found)) {
    g_autofree char *lacks = move_notes_text(found);
    return g_strdup_printf("%s: use the source that declares both hosts", lacks);
  }
  char *lost = lost_text(found);
  if (lost != NULL)
    return lost;
  if (may_be_elsewhere(input, found))
    return g_strdup_printf("it was being moved to %s, and may run there: use the source that declares both hosts", found->owner->facts.movingTo);
  return NULL;
}

static GPtrArray *differences(const Object *desired, const ActualDomain *found) {
  const DiffInput diff = diff_input(desired->spec, found->owner != NULL ? &found->owner->spec : NULL, found);
  return diff_spec(&diff);
}

/* Of a source that moved all is written anew; of another one, only what changes. */
static gboolean is_from_before(const PlanInput *input, const Ownership *owner) {
  return g_strcmp0(owner->source, input->source) != 0 && input_owns(input, owner->source);
}

static gboolean record_differs(const PlanInput *input, const Object *declared, const ActualDomain *found) {
  return found->owner == NULL || is_from_before(input, found->owner) || !spec_equal(&VmSpec_table, declared->spec, &found->owner->spec) ||
         !spec_equal(&MetadataSpec_table, &declared->metadata, &found->owner->metadata) ||
         leaving_is_over(found->leaving, actual_live(found));
}

static void compare(gpointer data, gpointer item) {
  const PlanInput *input = data;
  Comparison *each = item;
  each->error = each->found != NULL ? refuse_existing(input, each->declared, each->found) : NULL;
  if (each->error != NULL)
    return;
  each->resolved = resolve_vm(input, each->declared, each->found);
  each->error = g_strdup(each->resolved->error);
  if (each->error != NULL || each->found == NULL)
    return;
  each->fields = differences(each->resolved->desired, each->found);
  each->record_differs = record_differs(input, each->declared, each->found);
}

GHashTable *compare_machines(const PlanInput *input) {
  GHashTable *machines = g_hash_table_new_full(NULL, NULL, NULL, comparison_free);
  g_autoptr(Work) work = work_new();
  for (guint i = 0; i < input->desired->objects->len; i++) {
    const Object *declared = input->desired->objects->pdata[i];
    if (declared->kind != KIND_VIRTUAL_MACHINE)
      continue;
    Comparison *each = g_new0(Comparison, 1);
    *each = (Comparison){.declared = declared, .found = g_hash_table_lookup(input->actual->domains, declared->metadata.name)};
    g_hash_table_insert(machines, (gpointer)declared, each);
    work_push(work, compare, (gpointer)input, each);
  }
  work_run(work, CLAMP(g_hash_table_size(machines) / WORTH_A_THREAD, 1, MOST_THREADS));
  return machines;
}
