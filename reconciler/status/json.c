/* Status for programs: everything that was observed. */
#include "state/job_text.h"
#include "reconciler/plan/json.h"
#include "reconciler/status/status.h"

static json_t *changes_json(const GPtrArray *changes) {
  json_t *array = json_array();
  for (guint i = 0; i < changes->len; i++) {
    const FieldChange *change = changes->pdata[i];
    json_array_append_new(array, json_pack("{s:o, s:o, s:o}", "path", json_text(change->path), "actual",
                                           json_text(change->from), "declared", json_text(change->to)));
  }
  return array;
}

static json_t *layer_json(const ActualVolume *volume) {
  return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o}", "path", json_text(volume->path), "pool", json_text(volume->pool),
                   "format", json_text(volume->format), "capacity", (json_int_t)volume->capacity, "allocation",
                   (json_int_t)volume->allocation, "error", json_text(volume->error));
}

static json_t *disks_json(const ActualDomain *domain) {
  json_t *array = json_array();
  for (guint i = 0; domain->disks && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    json_t *chain = json_array();
    for (guint n = 0; disk->chain && n < disk->chain->len; n++)
      json_array_append_new(chain, layer_json(disk->chain->pdata[n]));
    json_array_append_new(array, json_pack("{s:o, s:o, s:o, s:o}", "target", json_text(disk->target), "path",
                                           json_text(disk->path), "format", json_text(disk->format), "chain", chain));
  }
  return array;
}

static json_t *spec_json(const VmSpec *spec) {
  g_autofree char *text = spec_to_json(&VmSpec_table, spec);
  return json_loads(text, JSON_DECODE_ANY, NULL);
}

static json_t *owner_json(const Ownership *owner) {
  if (!owner)
    return json_null();
  return json_pack("{s:o, s:o, s:o}", "source", json_text(owner->source), "revision", json_text(owner->revision),
                   "place", json_text(owner->place));
}

/* What is done with it just now: bytes, bytes per second, milliseconds. */
static json_t *job_json(const ActualJob *job) {
  if (!job->operation)
    return json_null();
  return json_pack("{s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "operation", job->operation, "milliseconds", (json_int_t)job->milliseconds,
                   "percent", (int)job_percent(job), "total", (json_int_t)job->total, "remaining", (json_int_t)job->remaining, "rate",
                   (json_int_t)(job->memory_rate + job->disk_rate), "iteration", (json_int_t)job->iteration, "dirtyRate",
                   (json_int_t)job->dirty_rate, "throttle", (json_int_t)job->throttle);
}

static json_t *step_json(const DomainStatus *status) {
  return status->step ? json_pack("{s:o, s:o}", "description", json_text(status->step), "since", json_time(status->step_since)) : json_null();
}

static json_t *domain_json(const DomainStatus *status) {
  const ActualDomain *domain = status->domain;
  json_t *object = json_pack("{s:o, s:o}", "name", json_text(domain->name), "uuid", json_text(domain->uuid));
  if (domain->error) {
    json_object_set_new(object, "error", json_text(domain->error));
    return object;
  }
  json_object_set_new(object, "state",
                      json_text(power_state_word(domain->state, domain->has_managed_save)));
  json_object_set_new(object, "stateText", json_text(status->state));
  const Life *life = &status->life;
  json_object_set_new(object, "lastStarted", json_time(life->started));
  json_object_set_new(object, "lastStopped", json_time(life->stopped));
  json_object_set_new(object, "uptimeSeconds", life->whole ? json_integer((g_get_real_time() - life->started) / G_USEC_PER_SEC) : json_null());
  json_object_set_new(object, "lastWatchdog", life->watchdog == 0 ? json_null() :
                      json_pack("{s:o, s:o}", "time", json_time(life->watchdog), "action", json_text(life->watchdog_action)));
  json_object_set_new(object, "job", job_json(&domain->job));
  json_object_set_new(object, "movingTo", json_text(status->moving.to));
  json_object_set_new(object, "arriving", json_boolean(status->moving.arriving));
  json_object_set_new(object, "movedFrom", json_text(status->moving.from));
  json_object_set_new(object, "step", step_json(status));
  json_object_set_new(object, "managed", json_boolean(domain->owner != NULL));
  json_object_set_new(object, "owner", owner_json(domain->owner));
  json_object_set_new(object, "persistent", json_boolean(domain->is_persistent));
  json_object_set_new(object, "autostart", json_boolean(domain->autostart));
  json_object_set_new(object, "snapshots", json_integer(domain->snapshots->len));
  json_object_set_new(object, "diskBytes", json_integer((json_int_t)status->disk_bytes));
  json_object_set_new(object, "disks", disks_json(domain));
  json_object_set_new(object, "pending", changes_json(status->pending));
  json_object_set_new(object, "drift", status->unknown ? json_null() : changes_json(status->drift));
  if (status->unknown)
    json_object_set_new(object, "driftUnknown", json_text(status->unknown));
  status_guest_json(status->guest, object);
  json_object_set_new(object, "definition", spec_json(&domain->persistent));
  json_object_set_new(object, "live", domain->active ? spec_json(actual_live(domain)) : json_null());
  return object;
}

json_t *status_json(const Actual *actual, const GPtrArray *statuses) {
  json_t *root = json_object(), *domains = json_array();
  json_object_set_new(root, "formatVersion", json_integer(1));
  json_object_set_new(root, "connection", json_text(actual->uri));
  json_object_set_new(root, "hostname", json_text(actual->hostname));
  for (guint i = 0; i < statuses->len; i++)
    json_array_append_new(domains, domain_json(statuses->pdata[i]));
  json_object_set_new(root, "domains", domains);
  return root;
}
