/* Disks for programs. */
#include "state/base_volume.h"
#include "reconciler/plan/disk_facts.h"
#include "reconciler/plan/json.h"
#include "reconciler/plan/snapshot_rules.h"
#include "reconciler/status/disks.h"

static json_t *users_json(const VolumeUsers *users, const char *path) {
  const GPtrArray *list = volume_users_of(users, path);
  json_t *array = json_array();
  for (guint i = 0; i < list->len; i++) {
    const VolumeUser *user = list->pdata[i];
    json_array_append_new(array, json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}", "use", volume_use_words[user->use], "depth", (int)user->depth,
                                           "domain", json_text(user->domain), "disk", json_text(user->target), "snapshot",
                                           json_text(user->snapshot), "path", json_text(user->path)));
  }
  return array;
}

static json_t *layer_json(const VolumeUsers *users, const char *path) {
  static const ActualVolume nothing = {.error = NULL};
  const ActualVolume *known = volume_users_layer(users, path), *layer = known ? known : &nothing;
  g_autofree char *digest = base_volume_digest(path);
  return json_pack("{s:o, s:b, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "path", json_text(path), "known", known != NULL,
                   "pool", json_text(layer->pool), "volume", json_text(layer->name), "format", json_text(layer->format), "capacity",
                   (json_int_t)layer->capacity, "allocation", (json_int_t)layer->allocation, "physical", (json_int_t)layer->physical,
                   "backing", json_text(layer->backing_path), "sha256", json_text(digest), "error", json_text(layer->error), "users",
                   users_json(users, path));
}

static json_t *job_json(const ActualDisk *disk) {
  return disk->job ? json_pack("{s:o, s:o, s:b}", "kind", json_text(disk->job), "path", json_text(disk->job_path), "ready", disk->job_ready)
                   : json_null();
}

static json_t *disk_json(const ActualDomain *domain, const ActualDisk *disk, const VolumeUsers *users) {
  const ActualDisk *defined = actual_disk(domain->defined_disks, disk->target);
  const char *unknown;
  g_autoptr(GPtrArray) layers = disk_layers(disk, users, &unknown);
  json_t *array = json_array();
  for (guint i = 0; i < layers->len; i++)
    json_array_append_new(array, layer_json(users, ((ActualVolume *)layers->pdata[i])->path));
  if (unknown)
    json_array_append_new(array, layer_json(users, unknown));
  const DiskFactSpec *fact = domain->owner ? disk_facts(&domain->owner->facts, disk->target) : NULL;
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "target", json_text(disk->target), "path", json_text(disk->path), "defined",
                   json_text(defined ? defined->path : NULL), "job", job_json(disk), "retired", json_text(fact ? fact->retired : NULL), "layers", array, "complete", unknown == NULL);
}

static json_t *snapshot_disks_json(const ActualSnapshot *snapshot, const VolumeUsers *users) {
  json_t *array = json_array();
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    json_array_append_new(array, json_pack("{s:o, s:b, s:o, s:o}", "target", json_text(disk->target), "internal", disk->internal, "layer",
                                           json_text(disk->path), "holds", json_text(volume_users_held(users, disk))));
  }
  return array;
}

static json_t *snapshots_json(const ActualDomain *domain, const VolumeUsers *users) {
  json_t *array = json_array();
  for (guint i = 0; i < domain->snapshots->len; i++) {
    const ActualSnapshot *each = domain->snapshots->pdata[i];
    const SnapshotFactSpec *fact = domain->owner ? snapshot_fact(&domain->owner->facts, each->name) : NULL;
    gboolean known = fact && given(fact, SnapshotFactSpec, consistency);
    json_array_append_new(array, json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:o, s:o, s:o}", "origin",
                                           json_text(fact ? SnapshotOrigin_words.words[fact->origin] : NULL), "consistency",
                                           json_text(known ? Consistency_words.words[fact->consistency] : NULL), "name",
                                           json_text(each->name), "description",
                                           json_text(each->description), "parent", json_text(each->parent), "created",
                                           (json_int_t)each->created, "current", each->current, "memory", each->memory, "memoryPath",
                                           json_text(each->memory_path), "state", json_text(each->state), "disks",
                                           snapshot_disks_json(each, users)));
  }
  return array;
}

static json_t *domain_json(const ActualDomain *domain, const VolumeUsers *users) {
  json_t *object = json_pack("{s:o, s:o}", "name", json_text(domain->name), "uuid", json_text(domain->uuid));
  if (domain->error) {
    json_object_set_new(object, "error", json_text(domain->error));
    return object;
  }
  json_object_set_new(object, "state", json_text(power_state_word(domain->state, domain->has_managed_save)));
  json_t *disks = json_array(), *kept = json_array();
  for (guint i = 0; domain->disks && i < domain->disks->len; i++)
    json_array_append_new(disks, disk_json(domain, domain->disks->pdata[i], users));
  g_autoptr(GPtrArray) branches = disk_branches(domain, users);
  for (guint i = 0; i < branches->len; i++)
    json_array_append_new(kept, layer_json(users, branches->pdata[i]));
  json_object_set_new(object, "disks", disks);
  json_object_set_new(object, "branches", kept);
  json_object_set_new(object, "snapshots", snapshots_json(domain, users));
  return object;
}

json_t *status_disks_json(const Actual *actual, const GPtrArray *domains, const VolumeUsers *users) {
  json_t *array = json_array();
  for (guint i = 0; i < domains->len; i++)
    json_array_append_new(array, domain_json(domains->pdata[i], users));
  return json_pack("{s:i, s:o, s:o, s:o, s:o}", "formatVersion", 1, "connection", json_text(actual->uri), "hostname",
                   json_text(actual->hostname), "doubt", json_text(volume_users_doubt(users, NULL)), "domains", array);
}
