/* Disks for people: a tree of each machine's disks and their layers, top first. */
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/snapshot_rules.h"
#include "reconciler/status/disks.h"

#include "reconciler/report/escape.h"
#include "reconciler/report/paint.h"
#include "schema/value.h"
#include "state/base_volume.h"

typedef struct {
  GString *out;
  const ReportView *view;
  const VolumeUsers *users;
  const ActualDomain *domain;
} Tree;

/* A line of the tree: `depth` levels deep; 0: the machine's own line. */
static void append_branch(const Tree *tree, guint depth, gboolean last) {
  const char *branch = tree->view->unicode ? (last ? "└─ " : "├─ ") : (last ? "`- " : "|- ");
  for (guint i = 1; i < depth; i++)
    g_string_append(tree->out, "   ");
  if (depth)
    g_string_append(tree->out, branch);
}

static void append_remark(const Tree *tree, guint depth, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void append_remark(const Tree *tree, guint depth, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments), *escaped = escape_text(text);
  va_end(arguments);
  for (guint i = 0; i < depth; i++)
    g_string_append(tree->out, "   ");
  paint_append(tree->out, tree->view->color, PAINT_DIM, escaped);
  g_string_append_c(tree->out, '\n');
}

static char *layer_text(const ActualVolume *layer) {
  g_autofree char *capacity = bytes_format_short(layer->capacity), *allocation = bytes_format_short(layer->allocation);
  g_autofree char *base = base_volume_digest(layer->path);
  return g_strdup_printf("%s: %s, %s%s%s%s%s%s%s", layer->path, layer->format ? layer->format : "unknown format",
                         layer->capacity ? capacity : "unknown size", layer->pool ? ", allocated " : "", layer->pool ? allocation : "",
                         layer->pool ? ", pool " : ", in no pool", layer->pool ? layer->pool : "", base ? ", base image" : "",
                         layer->error ? ", can't be read" : "");
}

static void append_layer(const Tree *tree, guint depth, const ActualVolume *layer, const char *target) {
  g_autofree char *text = layer_text(layer), *escaped = escape_text(text);
  append_branch(tree, depth, TRUE);
  g_string_append_printf(tree->out, "%s\n", escaped);
  if (layer->error)
    append_remark(tree, depth, "%s", layer->error);
  g_autoptr(GPtrArray) others = layer_other_users(layer->path, tree->domain, target, tree->users);
  if (!others->len)
    return;
  g_ptr_array_add(others, NULL);
  g_autofree char *who = g_strjoinv(", ", (char **)others->pdata);
  append_remark(tree, depth, "also used by %s", who);
}

static char *internal_snapshots(const ActualDomain *domain, const char *target) {
  g_autoptr(GString) names = g_string_new(NULL);
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *snapshot = domain->snapshots->pdata[i];
    for (guint j = 0; j < snapshot->disks->len; j++) {
      const ActualSnapshotDisk *disk = snapshot->disks->pdata[j];
      if (disk->internal && g_str_equal(disk->target, target))
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", snapshot->name);
    }
  }
  return names->len ? g_strdup(names->str) : NULL;
}

static void append_disk_remarks(const Tree *tree, const ActualDisk *disk) {
  const ActualDisk *defined = actual_disk(tree->domain->defined_disks, disk->target);
  if (disk->job)
    append_remark(tree, 2, "block job: %s%s%s, %s", disk->job, disk->job_path ? " into " : "", disk->job_path ? disk->job_path : "",
                  disk->job_ready ? "ready" : "under way");
  if (!disk->path)
    append_remark(tree, 2, "no medium, or not a file");
  if (tree->domain->active && !defined)
    append_remark(tree, 2, "not in the definition: gone after the next start");
  else if (g_strcmp0(defined ? defined->path : NULL, disk->path) != 0)
    append_remark(tree, 2, "at the next start: %s", defined && defined->path ? defined->path : "nothing");
  g_autofree char *internal = internal_snapshots(tree->domain, disk->target);
  if (internal)
    append_remark(tree, 2, "snapshots within the file: %s", internal);
}

static void append_retired(const Tree *tree, const char *target) {
  const DiskFactSpec *fact = tree->domain->owner ? disk_facts(&tree->domain->owner->facts, target) : NULL;
  if (fact && given(fact, DiskFactSpec, retired))
    append_remark(tree, 2, "kept until the machine has run: %s, which it was before", fact->retired);
}

static void append_disk(const Tree *tree, const ActualDisk *disk, gboolean last) {
  g_autofree char *target = escape_text(disk->target);
  append_branch(tree, 1, last);
  g_string_append_printf(tree->out, "%s\n", target);
  append_disk_remarks(tree, disk);
  append_retired(tree, disk->target);
  const char *unknown;
  g_autoptr(GPtrArray) layers = disk_layers(disk, tree->users, &unknown);
  for (guint i = 0; i < layers->len; i++)
    append_layer(tree, i + 2, layers->pdata[i], disk->target);
  if (!unknown)
    return;
  g_autofree char *path = escape_text(unknown);
  append_branch(tree, layers->len + 2, TRUE);
  g_string_append_printf(tree->out, "%s: not known to libvirt: in no pool that runs\n", path);
}

static void append_branches(const Tree *tree) {
  g_autoptr(GPtrArray) branches = disk_branches(tree->domain, tree->users);
  for (guint i = 0; i < branches->len; i++) {
    const char *path = branches->pdata[i];
    const ActualVolume *layer = volume_users_layer(tree->users, path);
    if (i == 0)
      append_remark(tree, 1, "kept for snapshots, in no disk now:");
    if (layer)
      append_layer(tree, 1, layer, NULL);
    else
      append_remark(tree, 1, "%s: not known to libvirt", path);
  }
}

static const char *snapshot_kind(const ActualSnapshot *snapshot) {
  for (guint i = 0; i < snapshot->disks->len; i++)
    if (((ActualSnapshotDisk *)snapshot->disks->pdata[i])->internal)
      return "internal";
  return snapshot->disks->len ? "external" : "without disks";
}

static void append_snapshots(const Tree *tree) {
  const GPtrArray *snapshots = tree->domain->snapshots;
  for (guint i = 0; i < snapshots->len; i++) {
    const ActualSnapshot *each = snapshots->pdata[i];
    const SnapshotFactSpec *fact = tree->domain->owner ? snapshot_fact(&tree->domain->owner->facts, each->name) : NULL;
    g_autofree char *whose = snapshot_whose(fact);
    append_remark(tree, 1, "snapshot %s: %s%s%s%s%s; %s", each->name, snapshot_kind(each), each->memory ? ", with memory" : "",
                  each->parent ? ", after " : "", each->parent ? each->parent : "", each->current ? ", current" : "", whose);
  }
}

static void append_domain(const Tree *tree) {
  const ActualDomain *domain = tree->domain;
  g_autofree char *name = escape_text(domain->name);
  paint_append(tree->out, tree->view->color, PAINT_BOLD, name);
  if (domain->error) {
    g_autofree char *why = escape_text(domain->error);
    g_string_append_printf(tree->out, ": can't be read: %s\n", why);
    return;
  }
  g_string_append_printf(tree->out, " (%s)\n", power_state_word(domain->state, domain->has_managed_save));
  for (guint i = 0; domain->disks && i < domain->disks->len; i++)
    append_disk(tree, domain->disks->pdata[i], i + 1 == domain->disks->len);
  append_branches(tree);
  append_snapshots(tree);
}

void status_append_disks(GString *out, const GPtrArray *domains, const VolumeUsers *users, const ReportView *view) {
  for (guint i = 0; i < domains->len; i++) {
    Tree tree = {out, view, users, domains->pdata[i]};
    g_string_append(out, i ? "\n" : "");
    append_domain(&tree);
  }
  const char *doubt = volume_users_doubt(users, NULL);
  g_autofree char *why = escape_text(doubt);
  if (doubt)
    g_string_append_printf(out, "\nThere may be more that uses these files: %s\n", why);
}
