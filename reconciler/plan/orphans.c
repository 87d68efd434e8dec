/* Machines that are ours and that no file declares any more: reported, and deleted only when
 * asked for, with guards. Those of another source are its matter: a run that prunes says so, and one that declares
 * machines of that source, since it may have moved here. */
#include "reconciler/plan/chain.h"
#include "reconciler/plan/build.h"
#include "reconciler/plan/declared_files.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/lost.h"
#include "reconciler/plan/migration.h"
#include "reconciler/plan/moved.h"
#include "reconciler/plan/snapshot_rules.h"

typedef struct {
  const ActualDomain *domain;
  PlanObject *object;
  const DeclaredFiles *declared;
  gboolean moved; /* it is of another source, of which files here declare machines */
} Orphan;

static gboolean is_protected(const Ownership *owner) {
  return given(&owner->spec, VmSpec, deletionProtection) && owner->spec.deletionProtection;
}

/* Renamed by a person, or copied together with our record: nobody said that this one isn't wanted. */
static gboolean has_other_name(const ActualDomain *domain) {
  const MetadataSpec *metadata = &domain->owner->metadata;
  return given(metadata, MetadataSpec, name) && g_strcmp0(metadata->name, domain->name) != 0;
}

/* Why this orphan stays although deletion was asked for; NULL: it may go. */
static char *reason_to_keep(const PlanBuilder *builder, const Orphan *orphan) {
  const ActualDomain *domain = orphan->domain;
  if (has_other_name(domain))
    return g_strdup_printf("kept: its record is of the machine %s: it was renamed, or copied, by a person; declare it under its name, or remove "
                           "it with virsh", domain->owner->metadata.name);
  if (!input_owns(builder->input, domain->owner->source))
    return g_strdup_printf("kept: it was declared by another source, %s%s", domain->owner->source,
                           orphan->moved ? ", of which other machines are declared here: if that has moved here, say so (--formerly, or source.formerly)" : "");
  if (is_protected(domain->owner))
    return g_strdup("kept: deletionProtection is set");
  if (!domain->is_persistent)
    return g_strdup("kept: it runs without a definition");
  g_autofree char *lost = lost_text(domain);
  return lost != NULL ? g_strdup_printf("kept: %s", lost) : NULL;
}

static char *why_orphan(const PlanInput *input, const ActualDomain *domain) {
  if (g_strcmp0(domain->owner->source, input->source) == 0)
    return g_strdup("no file declares it any more; --prune deletes it");
  return g_strdup_printf("no file declares it any more since this source was %s; --prune deletes it, where that is said too", domain->owner->source);
}

/* Of a disk, the first file that something else is declared to have: as it is, from its top down, or on a branch that was left, or
 * beside it. Then all of it stays: what was written last may be in a layer above. NULL: none. */
static const char *handed_on(const Orphan *orphan, const char *target) {
  const ActualDomain *domain = orphan->domain;
  const Chain chain = {domain, actual_disk(domain->defined_disks, target), NULL};
  g_autoptr(GPtrArray) paths = g_ptr_array_new();
  for (guint i = 0; chain.disk != NULL && i < chain.disk->chain->len && (i == 0 || chain_is_made_for(&chain, i)); i++)
    g_ptr_array_add(paths, chain_layer(&chain, i)->path);
  if (chain.disk != NULL)
    g_ptr_array_add(paths, chain.disk->path);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const GPtrArray *layers = ((const ActualSnapshot *)domain->snapshots->pdata[i])->disks;
    for (guint n = 0; n < layers->len; n++)
      if (g_strcmp0(((const ActualSnapshotDisk *)layers->pdata[n])->target, target) == 0)
        g_ptr_array_add(paths, ((const ActualSnapshotDisk *)layers->pdata[n])->path);
  }
  const DiskFactSpec *fact = disk_facts(&domain->owner->facts, target);
  if (fact != NULL) {
    g_ptr_array_add(paths, fact->coming);
    g_ptr_array_add(paths, fact->retired);
    g_ptr_array_add(paths, fact->flushing);
  }
  for (char **path = fact != NULL ? fact->leaving : NULL; path != NULL && *path != NULL; path++)
    g_ptr_array_add(paths, *path);
  for (guint i = 0; i < paths->len; i++)
    if (declared_files_by(orphan->declared, paths->pdata[i]) != NULL)
      return paths->pdata[i];
  return NULL;
}

static Action *delete_file(PlanBuilder *builder, const Orphan *orphan, const char *what, const char *path, const Action *after) {
  return build_action(builder, orphan->object, ACTION_VOLUME_DELETE, after->id, g_strdup_printf("delete %s: %s", what, path), "path", path, NULL);
}

/* What the disk's snapshots left beneath its top layer, from above, as far as it was made for the disk. */
static void delete_layers(PlanBuilder *builder, const Orphan *orphan, const DiskSpec *declared, const Action *after) {
  const Chain chain = {orphan->domain, actual_disk(orphan->domain->defined_disks, declared->target), declared};
  g_autofree char *what = g_strdup_printf("layer of disk %s", declared->target);
  for (guint i = 1; chain.disk != NULL && i < chain.disk->chain->len && chain_is_made_for(&chain, i); i++) {
    Action *action = delete_file(builder, orphan, what, chain_layer(&chain, i)->path, after);
    action->permitted = given(declared, DiskSpec, ephemeral) && declared->ephemeral;
    after = action;
  }
}

static gboolean in_a_chain(const ActualDomain *domain, const ActualSnapshotDisk *layer) {
  const ActualDisk *disk = actual_disk(domain->defined_disks, layer->target);
  const Chain chain = {domain, disk, NULL};
  return disk != NULL && (g_strcmp0(disk->path, layer->path) == 0 || chain_find(&chain, layer->path) >= 0);
}

/* Of snapshots of ours: layers on branches that the machine has left, the latest first, and files of memory. */
static const Action *delete_left_layers(PlanBuilder *builder, const Orphan *orphan, const Action *after) {
  const GPtrArray *snapshots = orphan->domain->snapshots;
  for (guint i = snapshots->len; i > 0; i--) {
    const ActualSnapshot *snapshot = snapshots->pdata[i - 1];
    if (snapshot_fact(&orphan->domain->owner->facts, snapshot->name) == NULL)
      continue;
    if (snapshot->memory_path != NULL)
      after = delete_file(builder, orphan, "memory of a snapshot", snapshot->memory_path, after);
    for (guint n = 0; n < snapshot->disks->len; n++) {
      const ActualSnapshotDisk *disk = snapshot->disks->pdata[n];
      if (disk->path != NULL && !in_a_chain(orphan->domain, disk) && handed_on(orphan, disk->target) == NULL)
        after = delete_file(builder, orphan, "layer of a branch that was left", disk->path, after);
    }
  }
  return after;
}

/* A file that was made for the disk and isn't in its chain, and what lies beneath it, as far as that was too. */
static const Action *delete_beside(PlanBuilder *builder, const Orphan *orphan, const char *target, const char *path, const Action *after) {
  const Chain chain = {orphan->domain, actual_disk(orphan->domain->defined_disks, target), NULL};
  while (path != NULL && chain.disk != NULL && chain_find(&chain, path) < 0 && chain_is_named_for(&chain, path) &&
         !declared_files_beneath(orphan->declared, path)) {
    after = delete_file(builder, orphan, "what a disk was", path, after);
    const ActualVolume *volume = g_hash_table_lookup(builder->input->actual->volumes_by_path, path);
    path = volume != NULL ? volume->backing_path : NULL;
  }
  return after;
}

/* What our record knows of a disk: a volume that was to replace it, one that it was before, layers that were merged. */
static void delete_replaced(PlanBuilder *builder, const Orphan *orphan, const char *target, const Action *after) {
  const DiskFactSpec *fact = disk_facts(&orphan->domain->owner->facts, target);
  if (fact == NULL)
    return;
  after = delete_beside(builder, orphan, target, fact->coming, after);
  after = delete_beside(builder, orphan, target, fact->retired, after);
  if (fact->flushing != NULL && !disk_facts_leaving(&orphan->domain->owner->facts, target, fact->flushing))
    after = delete_beside(builder, orphan, target, fact->flushing, after);
  for (char **path = fact->leaving; path != NULL && *path != NULL; path++)
    after = delete_beside(builder, orphan, target, *path, after);
}

/* Volumes that we made for a machine: those of its disks that name an image or just a size. What is ephemeral may go
 * without further permission: that was given with the word. */
static void delete_disks(PlanBuilder *builder, const Orphan *orphan, gboolean all, const Action *after) {
  const Action *left = all ? delete_left_layers(builder, orphan, after) : after;
  const VmSpec *made = &orphan->domain->owner->spec, *found = &orphan->domain->persistent;
  for (guint i = 0; given(made, VmSpec, disks) && i < made->disks->len; i++) {
    const DiskSpec *disk = made->disks->pdata[i];
    gboolean ours = !disk_is_drive(disk) && !given(disk, DiskSpec, path) && !given(disk, DiskSpec, volume) &&
                    (given(disk, DiskSpec, image) || given(disk, DiskSpec, size));
    const DiskSpec *now = vm_disk(found, disk->target);
    gboolean ephemeral = given(disk, DiskSpec, ephemeral) && disk->ephemeral;
    if (!ours || !(all || ephemeral) || now == NULL || !given(now, DiskSpec, path))
      continue;
    const Chain chain = {orphan->domain, actual_disk(orphan->domain->defined_disks, disk->target), NULL};
    if (chain.disk == NULL || !chain_is_named_for(&chain, now->path)) { /* adopted with it, or put there by a person */
      build_note(orphan->object, g_strdup_printf("disk %s stays: %s wasn't made for it", disk->target, now->path));
      continue;
    }
    const char *handed = handed_on(orphan, disk->target);
    if (handed != NULL) {
      build_note(orphan->object, g_strdup_printf("disk %s stays: %s is declared by %s", disk->target, handed,
                                                 declared_files_by(orphan->declared, handed)));
      continue;
    }
    Action *action = build_action(builder, orphan->object, ACTION_VOLUME_DELETE, left->id,
                                  g_strdup_printf("delete%s disk %s: %s", ephemeral ? " ephemeral" : "", disk->target, now->path), "path",
                                  now->path, NULL);
    action->permitted = ephemeral;
    delete_layers(builder, orphan, disk, action);
    delete_replaced(builder, orphan, disk->target, action);
  }
}

/* Of people's: libvirt's notes are all that tells which file belongs to them. */
static guint snapshots_of_people(const ActualDomain *domain) {
  guint count = 0;
  for (guint i = 0; i < domain->snapshots->len; i++)
    count += snapshot_fact(&domain->owner->facts, ((const ActualSnapshot *)domain->snapshots->pdata[i])->name) == NULL;
  return count;
}

/* What goes with the definition, and only what the plan says. */
static Action *undefine(PlanBuilder *builder, const Orphan *orphan, gboolean all, const Action *after) {
  const ActualDomain *domain = orphan->domain;
  gboolean saved = domain->has_managed_save, nvram = all && domain->has_nvram;
  guint people = snapshots_of_people(domain);
  g_autoptr(GString) description = g_string_new("undefine the machine");
  g_autofree char *snapshots = domain->snapshots->len > 0 ? move_snapshot_names(domain, "\n") : NULL;
  if (saved)
    g_string_append(description, " and discard its saved memory");
  if (people > 0)
    g_string_append_printf(description, " and forget %u snapshot%s that a person took", people, people > 1 ? "s" : "");
  if (domain->checkpoints > 0) {
    g_string_append_printf(description, " and forget %u checkpoint%s of a backup", domain->checkpoints, domain->checkpoints > 1 ? "s" : "");
    build_note(orphan->object, g_strdup("its checkpoints, which a backup program made, would be lost: 'virsh checkpoint-delete' takes them first"));
  }
  if (nvram)
    g_string_append_printf(description, " and delete its UEFI variables%s", domain->nvram == NULL ? ", wherever libvirt has them" : "");
  Action *action = build_action(builder, orphan->object, ACTION_DOMAIN_UNDEFINE, after != NULL ? after->id : NULL, g_strdup(description->str),
                                "data", nvram ? "true" : NULL, "saved", saved ? "true" : NULL, "snapshots", snapshots, "checkpoints",
                                all || domain->checkpoints > 0 ? "true" : NULL, NULL);
  if (saved || nvram || people > 0 || domain->checkpoints > 0)
    action->impact = IMPACT_DATA_LOSS;
  return action;
}

static void wait_for(PlanBuilder *builder, const PlanObject *object, const char *first) {
  g_autofree char *id = plan_object_id(object);
  for (guint i = 0; i < builder->plan->actions->len; i++) {
    Action *action = builder->plan->actions->pdata[i];
    if (g_str_equal(action->object, id))
      build_wait(action, first);
  }
}

/* first: the id of what comes before; NULL: nothing. */
static void delete_orphan(PlanBuilder *builder, const Orphan *orphan, const char *first) {
  orphan->object->change = CHANGE_DELETE;
  g_autoptr(GPtrArray) before = g_ptr_array_new();
  gboolean all = (builder->input->allow & ALLOW(IMPACT_DATA_LOSS)) != 0;
  Action *last = plan_helper_end(builder, orphan->object, orphan->domain, before);
  if (orphan->domain->active) {
    Action *shutdown = build_action(builder, orphan->object, ACTION_DOMAIN_SHUTDOWN, last != NULL ? last->id : NULL,
                                    g_strdup("shut down, waiting up to 90 s, then power off"), "timeout", "90000", "retryInterval", "10000",
                                    "force", "true", NULL);
    g_ptr_array_add(before, shutdown);
    last = shutdown;
  }
  if (!all && plan_flattened(builder, orphan->object, orphan->domain, before)) /* only our record, which goes, tells what they need */
    last = before->pdata[before->len - 1];
  last = undefine(builder, orphan, all, last);
  delete_disks(builder, orphan, all, last);
  wait_for(builder, orphan->object, first);
  if (!all)
    build_note(orphan->object, g_strdup_printf("its disks and UEFI variables%s%s%s are kept; --allow data-loss deletes those that were made for it",
                                               orphan->domain->nvram != NULL ? " (" : "",
                                               orphan->domain->nvram != NULL ? orphan->domain->nvram : "", orphan->domain->nvram != NULL ? ")" : ""));
}

static gint by_name(gconstpointer a, gconstpointer b) {
  const Orphan *left = a, *right = b;
  return g_strcmp0(left->domain->name, right->domain->name);
}

/* Whether so many deletions are believable. A single one is, where none was before it. */
static char *guard(const PlanBuilder *builder, guint deletions, guint owned) {
  guint percent = builder->input->prune_percent, lately = builder->input->deleted_lately;
  if (deletions > 0 && lately == G_MAXUINT)
    return g_strdup("how many machines were deleted within the last 24 hours can't be read in the journal: nothing is changed; look at it "
                    "('reconcile history'), or run it once by hand with --prune");
  guint together = deletions + lately, whole = owned + lately;
  gboolean all = together == whole && whole > 1;
  if (deletions == 0 || together == 1 || (together * 100 <= whole * percent && (!all || percent >= 100)))
    return NULL;
  if (lately > 0)
    return g_strdup_printf("this run would delete %u of the %u machines that are ours, after %u within the last 24 hours: more than the %u %% "
                           "of a day: nothing is changed; check the source, raise prune.limit, or run it once by hand with --prune", deletions,
                           owned, lately, percent);
  return g_strdup_printf("this run would delete %u of the %u machines that are ours, more than the %u %% that one run may: "
                         "nothing is changed; check the source, or raise --prune-limit",
                         deletions, owned, percent);
}

static gboolean is_declared(const PlanInput *input, const ActualDomain *domain) {
  return desired_find(input->everywhere != NULL ? input->everywhere : input->desired, KIND_VIRTUAL_MACHINE, domain->name) != NULL;
}

/* Other sources whose machines are declared here. */
static GHashTable *sources_declared_here(const PlanInput *input) {
  GHashTable *sources = g_hash_table_new(g_str_hash, g_str_equal);
  GHashTableIter iter;
  const ActualDomain *domain;
  g_hash_table_iter_init(&iter, input->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (domain->owner != NULL && domain->owner->source != NULL && !input_owns(input, domain->owner->source) && is_declared(input, domain))
      g_hash_table_add(sources, domain->owner->source);
  return sources;
}

void plan_orphans(PlanBuilder *builder) {
  const PlanInput *input = builder->input;
  g_autoptr(GArray) orphans = g_array_new(FALSE, FALSE, sizeof(Orphan));
  g_autoptr(GHashTable) others = sources_declared_here(input);
  g_autoptr(DeclaredFiles) declared = input->prune ? declared_files_new(input, uses_volumes(builder->uses)) : NULL;
  guint owned = 0, deletions = 0;
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, input->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain)) {
    if (domain->owner == NULL)
      continue;
    gboolean other = !input_owns(input, domain->owner->source);
    owned += !other;
    Orphan orphan = {.domain = domain, .declared = declared, .moved = other && domain->owner->source != NULL && g_hash_table_contains(others, domain->owner->source)};
    if ((!other || orphan.moved || input->prune) && !is_declared(input, domain))
      g_array_append_val(orphans, orphan);
  }
  g_array_sort(orphans, by_name);
  for (guint i = 0; i < orphans->len; i++) {
    Orphan *orphan = &g_array_index(orphans, Orphan, i);
    orphan->object = build_object(builder, KIND_VIRTUAL_MACHINE, orphan->domain->name, CHANGE_ORPHAN, NULL);
    orphan->object->fingerprint = g_strdup(orphan->domain->fingerprint);
    orphan->object->place = g_strdup(orphan->domain->owner->place);
    g_autofree char *keep = reason_to_keep(builder, orphan);
    if (keep != NULL || !input->prune) {
      build_note(orphan->object, keep != NULL ? g_steal_pointer(&keep) : why_orphan(input, orphan->domain));
      continue;
    }
    const char *first = NULL;
    g_autofree char *moving = plan_moved_orphan(builder, orphan->object, orphan->domain, &first);
    if (moving != NULL) {
      build_note(orphan->object, g_strdup_printf("kept: %s", moving));
      continue;
    }
    delete_orphan(builder, orphan, first);
    deletions++;
  }
  builder->plan->refused = guard(builder, deletions, owned);
}
