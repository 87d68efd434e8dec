/* What `reconcile status` tells of a domain, computed from an observation: nothing is remembered. */
#pragma once
#include <jansson.h>
#include "reconciler/report/report.h"
#include "reconciler/status/life.h"
#include "reconciler/status/moving.h"
#include "state/actual.h"
#include "state/guest_facts.h"

typedef struct {
  const ActualDomain *domain;
  const VmSpec *now;   /* of the machine that runs, else the definition */
  char *state;         /* "running", "paused (I/O error)", "stopped, moving to lab-b" */
  Moving moving;
  char *step;          /* what a run is doing with it: "copy disk vda (10 GiB) to lab-b"; NULL: nothing that is known */
  gint64 step_since;   /* microseconds since 1970 */
  GPtrArray *changes;  /* of FieldChange *: last applied spec against the host; empty when not ours */
  GPtrArray *pending;  /* of const FieldChange *: waits for the next start */
  GPtrArray *drift;    /* of const FieldChange *: changed behind our back; the next apply takes it back */
  char *unknown;       /* drift can't be told: why; else NULL */
  GPtrArray *events;   /* of JournalEvent *: what the service saw of it; NULL: unknown */
  Life life;           /* from those */
  GuestFacts *guest;   /* what the machine that runs tells; NULL: it wasn't asked */
  guint64 disk_bytes;  /* virtual size of all disks */
} DomainStatus;

/* fleet, here: where several hosts are looked at, else NULL. */
DomainStatus *domain_status_new(const Actual *actual, const ActualDomain *domain, const Fleet *fleet, const FleetHost *here);
void domain_status_step(DomainStatus *status, const JournalAction *step);
/* Takes the events. */
void domain_status_live(DomainStatus *status, const char *uri, GPtrArray *events);
void domain_status_free(DomainStatus *status);

/* One line of the details. */
void status_append_line(GString *out, const char *key, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* What a machine tells, in text and as members of its object (guest.c). */
void status_append_guest(GString *out, const GuestFacts *guest);
void status_guest_json(const GuestFacts *guest, json_t *object);
/* All of `statuses` (DomainStatus *): a table, and one by one with everything. */
void status_append_table(GString *out, const GPtrArray *statuses, const ReportView *view, gboolean markdown);
void status_append_details(GString *out, const DomainStatus *status, const ReportView *view);
json_t *status_json(const Actual *actual, const GPtrArray *statuses);
