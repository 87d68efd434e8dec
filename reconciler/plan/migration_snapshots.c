/* What a machine's snapshots take along: the files that they name, hold and lie on, of every branch. libvirt's notes of them
 * follow once the machine is defined there (act/move_snapshots.c). */
#include "reconciler/plan/migration.h"

#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/snapshot_rules.h"
#include "state/base_volume.h"

/* --- files --- */

typedef struct {
  const Actual *actual;
  GPtrArray *files; /* of const ActualVolume * */
  char *unknown;    /* the first of which nothing is known; NULL: none */
} Gathering;

static void add_file(Gathering *gathering, const ActualVolume *file) {
  for (guint i = 0; i < gathering->files->len; i++)
    if (g_str_equal(((const ActualVolume *)gathering->files->pdata[i])->path, file->path))
      return;
  g_ptr_array_add(gathering->files, (gpointer)file);
}

static void add_layers(Gathering *gathering, const GPtrArray *chain) {
  for (guint i = 0; i < chain->len; i++) {
    const ActualVolume *layer = chain->pdata[i];
    gboolean last = i + 1 == chain->len;
    add_file(gathering, layer);
    if (last && layer->backing_path != NULL && gathering->unknown == NULL)
      gathering->unknown = g_strdup(layer->backing_path);
  }
}

/* Of a running machine's chain more may be known than its pools do. */
static void add_path(Gathering *gathering, const ActualDomain *domain, const char *path) {
  for (guint i = 0; path != NULL && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    for (guint j = 0; j < disk->chain->len; j++)
      if (g_str_equal(((const ActualVolume *)disk->chain->pdata[j])->path, path))
        return; /* all that lies beneath is there */
  }
  g_autoptr(GPtrArray) chain = path != NULL ? actual_chain(gathering->actual, path) : g_ptr_array_new();
  if (chain->len == 0 && gathering->unknown == NULL)
    gathering->unknown = g_strdup(path != NULL ? path : "a layer");
  add_layers(gathering, chain);
}

static void add_snapshot(Gathering *gathering, const ActualDomain *domain, const ActualSnapshot *snapshot) {
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    add_path(gathering, domain, disk->internal ? disk->base : disk->path);
  }
  if (snapshot->memory_path != NULL)
    add_path(gathering, domain, snapshot->memory_path);
}

GPtrArray *move_files(const Actual *actual, const ActualDomain *domain, char **ret_unknown) {
  Gathering gathering = {actual, g_ptr_array_new(), NULL};
  for (guint i = 0; i < domain->disks->len; i++)
    add_layers(&gathering, ((const ActualDisk *)domain->disks->pdata[i])->chain);
  g_clear_pointer(&gathering.unknown, g_free); /* move_storage says more of a disk */
  for (guint i = 0; i < domain->snapshots->len; i++)
    add_snapshot(&gathering, domain, domain->snapshots->pdata[i]);
  if (ret_unknown != NULL)
    *ret_unknown = g_steal_pointer(&gathering.unknown);
  g_free(gathering.unknown);
  return gathering.files;
}

static gboolean has_overlay(const GPtrArray *files, const char *path) {
  for (guint i = 0; i < files->len; i++)
    if (g_strcmp0(((const ActualVolume *)files->pdata[i])->backing_path, path) == 0)
      return TRUE;
  return FALSE;
}

void move_files_from_the_top(GPtrArray *files) {
  g_autoptr(GPtrArray) left = g_ptr_array_copy(files, NULL, NULL);
  g_ptr_array_set_size(files, 0);
  for (guint before = left->len + 1; left->len < before;) {
    before = left->len;
    for (guint i = 0; i < left->len; i++)
      if (!has_overlay(left, ((const ActualVolume *)left->pdata[i])->path))
        g_ptr_array_add(files, g_ptr_array_steal_index(left, i--));
  }
  g_ptr_array_extend(files, left, NULL, NULL); /* a loop */
}

/* --- what stands in the way --- */

gboolean move_is_kept(const Move *move, const char *path) {
  const GPtrArray *users = volume_users_of(uses_volumes(move->builder->uses), path);
  for (guint i = 0; i < users->len; i++) {
    const VolumeUser *user = users->pdata[i];
    if (user->snapshot != NULL && g_str_equal(user->domain, move->domain->name))
      return TRUE;
  }
  return FALSE;
}

char *move_other_user(const Move *move, const GPtrArray *files, const char *path) {
  const GPtrArray *users = volume_users_of(uses_volumes(move->builder->uses), path);
  for (guint i = 0; i < users->len; i++) {
    const VolumeUser *user = users->pdata[i];
    if (user->domain != NULL && !g_str_equal(user->domain, move->domain->name))
      return g_strdup_printf("%s is used by machine %s too: it can't be taken along", path, user->domain);
    gboolean own = user->use != USER_OVERLAY;
    for (guint j = 0; !own && j < files->len; j++)
      own = g_str_equal(((const ActualVolume *)files->pdata[j])->path, user->path);
    if (!own)
      return g_strdup_printf("%s lies on %s, which belongs to the machine: it can't be taken along; delete it if nobody needs it", user->path, path);
  }
  return NULL;
}

char *move_snapshot_names(const ActualDomain *domain, const char *separator) {
  GString *names = g_string_new(NULL);
  for (guint i = 0; i < domain->snapshots->len; i++)
    g_string_append_printf(names, "%s%s", i > 0 ? separator : "", ((const ActualSnapshot *)domain->snapshots->pdata[i])->name);
  return g_string_free(names, FALSE);
}

static gboolean goes_with_file(const ActualDomain *domain, const ActualSnapshot *snapshot) {
  const SnapshotFactSpec *fact = snapshot_fact(&domain->owner->facts, snapshot->name);
  return fact != NULL && fact->origin != SnapshotOrigin_safety;
}

static void add_word(GString *text, const char *separator, const char *word) { g_string_append_printf(text, "%s%s", text->len > 0 ? separator : "", word); }

char *move_bare_advice(const VmSpec *vm, const ActualDomain *domain) {
  g_autoptr(GString) ours = g_string_new(NULL), others = g_string_new(NULL);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    g_autofree char *by_hand = g_strdup_printf("'virsh snapshot-delete %s %s'", domain->name, snapshot->name);
    if (goes_with_file(domain, snapshot))
      add_word(ours, ", ", snapshot->name);
    else
      add_word(others, ", ", by_hand);
  }
  if (given(vm, VmSpec, snapshotPolicy) && domain->snapshots->len > 0)
    add_word(ours, " and ", "snapshotPolicy");
  if (ours->len + others->len == 0)
    return g_strdup("");
  return g_strdup_printf("; without snapshots it goes while it runs: %s%s%s%s%s", ours->len > 0 ? "leave " : "", ours->str, ours->len > 0 ? " out of the file" : "",
                         ours->len > 0 && others->len > 0 ? ", and " : "", others->str);
}

static char *refuse_snapshot(const Move *move, const ActualSnapshot *snapshot) {
  const VmSpec *vm = &move->domain->persistent;
  if (strchr(snapshot->name, '\n') != NULL)
    return g_strdup("a snapshot's name has several lines: remove it by 'virsh snapshot-delete'");
  if (snapshot->memory && given(vm, VmSpec, type) && vm->type == DomainType_kvm)
    return g_strdup_printf("snapshot %s keeps the memory of a machine that ran on this host's CPU, and may not go on from it on another one: leave it out of "
                           "the file, or remove it by 'virsh snapshot-delete %s %s'", snapshot->name, move->domain->name, snapshot->name);
  return NULL;
}

char *move_snapshots_refusal(const Move *move) {
  const ActualDomain *domain = move->domain;
  if (domain->snapshots->len == 0)
    return domain->has_snapshots ? g_strdup("it has snapshots, which can't be read") : NULL;
  char *error = snapshot_obstacle(domain);
  for (guint i = 0; error == NULL && i < domain->snapshots->len; i++)
    error = refuse_snapshot(move, domain->snapshots->pdata[i]);
  return error;
}

/* --- what is done where it is, before --- */

static gboolean all_go(const VmSpec *vm, const ActualDomain *domain) {
  if (domain->snapshots->len == 0 || (given(vm, VmSpec, snapshots) && vm->snapshots->len > 0) || given(vm, VmSpec, snapshotPolicy))
    return FALSE;
  for (guint i = 0; i < domain->snapshots->len; i++)
    if (!goes_with_file(domain, domain->snapshots->pdata[i]))
      return FALSE;
  return TRUE;
}

static gboolean any_begun(const FactsSpec *facts) {
  for (guint i = 0; given(facts, FactsSpec, snapshots) && i < facts->snapshots->len; i++)
    if (!given((const SnapshotFactSpec *)facts->snapshots->pdata[i], SnapshotFactSpec, consistency))
      return TRUE;
  return FALSE;
}

gboolean move_awaits_snapshots(const VmSpec *vm, const ActualDomain *domain) {
  for (guint i = 0; given(vm, VmSpec, snapshots) && i < vm->snapshots->len; i++) {
    const char *name = ((const SnapshotSpec *)vm->snapshots->pdata[i])->name;
    if (snapshot_fact(&domain->owner->facts, name) == NULL)
      return TRUE;
  }
  return FALSE;
}

/* What is taken while it moves live would keep it from that, and holds the same afterwards. */
const char *move_first(const VmSpec *vm, const ActualDomain *domain, gboolean *ret_bare) {
  *ret_bare = FALSE;
  if (!domain->has_managed_save && disk_facts_flushing(domain) != NULL)
    return "it is certain that the disk that was flattened holds all";
  if (given(&domain->owner->facts, FactsSpec, reverting))
    return "its revert is over";
  if (any_begun(&domain->owner->facts))
    return "the snapshot that was begun is complete";
  if (all_go(vm, domain)) {
    *ret_bare = TRUE;
    return "its snapshots are removed";
  }
  return move_awaits_snapshots(vm, domain) && !move_goes_live(vm, domain, FALSE) ? "the snapshots that are declared are taken" : NULL;
}

/* --- what is still to come where it arrived --- */

gboolean move_awaits_notes(const ActualDomain *domain) { return domain->owner != NULL && given(&domain->owner->facts, FactsSpec, snapshotsComing); }

gboolean move_has_notes(const ActualDomain *domain) {
  for (char **name = domain->owner->facts.snapshotsComing; *name != NULL; name++)
    if (actual_snapshot(domain, *name) == NULL)
      return FALSE;
  return TRUE;
}

char *move_notes_text(const ActualDomain *domain) {
  const FactsSpec *facts = &domain->owner->facts;
  g_autofree char *names = g_strjoinv(", ", facts->snapshotsComing);
  return g_strdup_printf("it arrived from %s, and libvirt here doesn't know all of its snapshots yet (%s)", given(facts, FactsSpec, movedFrom) ? facts->movedFrom :
                         "another host", names);
}
