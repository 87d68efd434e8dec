/* Status for people: one line per domain, or all about one. */
#include "reconciler/report/escape.h"
#include "reconciler/report/paint.h"
#include "reconciler/report/table.h"
#include "reconciler/status/status.h"
#include "schema/value.h"
#include "state/job_text.h"

static char *paths(const GPtrArray *changes) {
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < changes->len; i++) {
    const FieldChange *change = changes->pdata[i];
    g_string_append_printf(text, "%s%s", i ? ", " : "", change->path);
  }
  return g_strdup(text->str);
}

static char *count_of_max(guint64 count, guint64 max) {
  return max && max != count ? g_strdup_printf("%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, count, max)
                             : g_strdup_printf("%" G_GUINT64_FORMAT, count);
}

static char *vcpus(const VmSpec *spec) {
  guint64 max = given(&spec->cpu, CpuSpec, max) ? (guint64)spec->cpu.max : 0;
  guint64 count = given(&spec->cpu, CpuSpec, count) ? (guint64)spec->cpu.count : max;
  return count_of_max(count, max);
}

static char *memory(const VmSpec *spec) {
  guint64 max = given(&spec->memory, MemorySpec, max) ? spec->memory.max : 0;
  guint64 size = given(&spec->memory, MemorySpec, size) ? spec->memory.size : max;
  g_autofree char *size_text = bytes_format(size), *max_text = bytes_format(max);
  return max && max != size ? g_strdup_printf("%s/%s", size_text, max_text) : g_steal_pointer(&size_text);
}

static char *drift_text(const DomainStatus *status) {
  if (status->unknown)
    return g_strdup("unknown");
  return paths(status->drift);
}

static void add_row(Table *table, const DomainStatus *status) {
  const ActualDomain *domain = status->domain;
  table_add(table, domain->name);
  if (domain->error) {
    table_add(table, "unreadable");
    for (int i = 0; i < 7; i++)
      table_add(table, NULL);
    return;
  }
  g_autofree char *cpus = vcpus(status->now), *size = memory(status->now), *pending = paths(status->pending),
                  *drift = drift_text(status), *disks = bytes_format_short(status->disk_bytes);
  table_add(table, status->state);
  table_add(table, domain->owner ? domain->owner->source : "not ours");
  table_add(table, domain->autostart ? "yes" : "no");
  table_add(table, cpus);
  table_add(table, size);
  table_add(table, status->disk_bytes ? disks : NULL);
  table_add(table, pending);
  table_add(table, drift);
}

void status_append_table(GString *out, const GPtrArray *statuses, const ReportView *view, gboolean markdown) {
  static const char *const headers[] = {"NAME",  "STATE",           "MANAGED BY", "AUTOSTART", "VCPUS", "MEMORY",
                                        "DISKS", "PENDING RESTART", "DRIFT",      NULL};
  g_autoptr(Table) table = table_new(headers);
  for (guint i = 0; i < statuses->len; i++)
    add_row(table, statuses->pdata[i]);
  if (markdown)
    table_markdown(table, out);
  else
    table_text(table, out, view->color);
  for (guint i = 0; i < statuses->len; i++) { /* too long for a column */
    const ActualDomain *domain = ((const DomainStatus *)statuses->pdata[i])->domain;
    if (!domain->error)
      continue;
    g_autofree char *name = escape_text(domain->name), *why = escape_text(domain->error);
    g_string_append_printf(out, "\n%s can't be read: %s\n", name, why);
  }
}

void status_append_line(GString *out, const char *key, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *value = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_string_append_printf(out, "  %-12s ", key);
  escape_append(out, value);
  g_string_append_c(out, '\n');
}

static void append_changes(GString *out, const char *key, const GPtrArray *changes) {
  for (guint i = 0; i < changes->len; i++) {
    const FieldChange *change = changes->pdata[i];
    status_append_line(out, i ? "" : key, "%s: is %s, declared %s", change->path, change->from ? change->from : "unset",
                change->to ? change->to : "unset");
  }
}

static void append_layer(GString *out, const ActualVolume *volume, gboolean top) {
  g_autofree char *capacity = bytes_format_short(volume->capacity), *allocation = bytes_format_short(volume->allocation);
  status_append_line(out, "", "%s%s (%s, %s, %s allocated%s%s)%s%s", top ? "  " : "  on ", volume->path,
              volume->format ? volume->format : "unknown format", capacity, allocation, volume->pool ? ", pool " : "",
              volume->pool ? volume->pool : "", volume->error ? ": " : "", volume->error ? volume->error : "");
}

static void append_disks(GString *out, const ActualDomain *domain) {
  for (guint i = 0; domain->disks && i < domain->disks->len; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    status_append_line(out, i ? "" : "disks", "%s%s%s", disk->target, disk->path ? "" : ": no medium or not a file",
                disk->path && (!disk->chain || disk->chain->len == 0) ? ": its storage isn't known to libvirt" : "");
    if (disk->path && (!disk->chain || disk->chain->len == 0))
      status_append_line(out, "", "  %s", disk->path);
    for (guint n = 0; disk->chain && n < disk->chain->len; n++)
      append_layer(out, disk->chain->pdata[n], n == 0);
  }
}

/* Devices and fields as the rows of their tables say. */
typedef struct {
  GString *out;
  const char *title;
} Section;

static void append_item(gpointer data, const char *key, const char *value) {
  Section *section = data;
  status_append_line(section->out, key ? section->title : "", "%s", value);
}

static void append_list(GString *out, const char *key, const VmSpec *spec) {
  const Field *field = table_find(&VmSpec_table, key);
  VmSpec only = {0};
  spec_copy_field(&VmSpec_table, field, spec, &only);
  Section section = {out, key};
  report_spec(&VmSpec_table, &only, append_item, &section);
  spec_clear(&VmSpec_table, &only);
}

static void append_interfaces(GString *out, const DomainStatus *status) {
  const VmSpec *spec = status->now;
  for (guint i = 0; given(spec, VmSpec, interfaces) && i < spec->interfaces->len; i++) {
    const InterfaceSpec *interface = spec->interfaces->pdata[i];
    const char *to = given(interface, InterfaceSpec, network)  ? interface->network
                     : given(interface, InterfaceSpec, bridge) ? interface->bridge
                     : given(interface, InterfaceSpec, direct) ? interface->direct
                     : given(interface, InterfaceSpec, user)   ? "user"
                                                               : "other";
    status_append_line(out, i ? "" : "interfaces", "%s  %s, %s", given(interface, InterfaceSpec, mac) ? interface->mac : "-", to,
                given(interface, InterfaceSpec, model) ? interface->model : "default model");
  }
}

static void append_job(GString *out, const ActualJob *job) {
  g_autofree char *rates = job_rates(job);
  if (job->operation && job->total > 0)
    status_append_line(out, "under way", "%s: %u%%, %s", job->operation, job_percent(job), rates);
  else if (job->operation)
    status_append_line(out, "under way", "%s", job->operation);
}

static void append_moment(GString *out, const char *key, gint64 microseconds, const char *more) {
  g_autoptr(GDateTime) utc = microseconds ? g_date_time_new_from_unix_utc(microseconds / G_USEC_PER_SEC) : NULL;
  g_autofree char *text = utc ? g_date_time_format(utc, "%Y-%m-%d %H:%M:%SZ") : NULL;
  if (text)
    status_append_line(out, key, "%s%s%s", text, more ? ", " : "", more ? more : "");
}

static void append_moving(GString *out, const DomainStatus *status) {
  const Moving *moving = &status->moving;
  if (moving->to)
    status_append_line(out, "moving to", "%s%s", moving->to, moving->arriving ? ", where a copy of it may run" : "");
  if (moving->from)
    status_append_line(out, "comes from", "%s, where something of it may be left", moving->from);
  append_moment(out, "just now", status->step_since, status->step);
}

static void append_ownership(GString *out, const ActualDomain *domain) {
  if (!domain->owner) {
    status_append_line(out, "managed by", "nobody: it isn't ours");
    return;
  }
  status_append_line(out, "managed by", "%s%s%s", domain->owner->source, domain->owner->revision ? " at " : "",
              domain->owner->revision ? domain->owner->revision : "");
  if (domain->owner->place)
    status_append_line(out, "declared at", "%s", domain->owner->place);
}

/* As the service saw it. */
static void append_life(GString *out, const DomainStatus *status) {
  const Life *life = &status->life;
  append_moment(out, "started", life->started, status->domain->active && !life->whole ? "or later: not always watched since" : NULL);
  append_moment(out, "stopped", life->stopped, life->how_stopped);
  append_moment(out, "watchdog", life->watchdog, life->watchdog_action);
}

void status_append_details(GString *out, const DomainStatus *status, const ReportView *view) {
  const ActualDomain *domain = status->domain;
  g_autofree char *name = escape_text(domain->name);
  paint_append(out, view->color, PAINT_BOLD, name);
  g_string_append_c(out, '\n');
  if (domain->error) {
    status_append_line(out, "error", "can't be read: %s", domain->error);
    return;
  }
  g_autofree char *cpus = vcpus(status->now), *size = memory(status->now);
  status_append_line(out, "state", "%s", status->state);
  append_life(out, status);
  append_job(out, &domain->job);
  append_moving(out, status);
  status_append_line(out, "uuid", "%s", domain->uuid);
  append_ownership(out, domain);
  status_append_line(out, "autostart", "%s", domain->autostart ? "yes" : "no");
  status_append_line(out, "vcpus", "%s", cpus);
  status_append_line(out, "memory", "%s", size);
  append_disks(out, domain);
  append_interfaces(out, status);
  append_list(out, "graphics", status->now);
  status_append_guest(out, status->guest);
  status_append_line(out, "snapshots", "%u", domain->snapshots->len);
  append_changes(out, "pending", status->pending);
  if (status->unknown)
    status_append_line(out, "drift", "unknown: %s", status->unknown);
  append_changes(out, "drift", status->drift);
}
