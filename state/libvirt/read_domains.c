/* Domains: one list gives all handles; what libvirt can filter by (autostart, managed save,
 * snapshots) comes as one list each rather than one call per domain; states of those that run
 * come in one call. Then the XML of each. */
#include <libvirt/virterror.h>
#include <string.h>

#include "state/domain_facts.h"
#include "state/libvirt/domain_reading.h"
#include "state/libvirt/read_job.h"

static void free_domains(virDomainPtr *domains, int n) {
  for (int i = 0; i < n; i++)
    virDomainFree(domains[i]);
  free(domains);
}

void domain_reading_free(gpointer domain_reading) {
  DomainReading *each = domain_reading;
  if (!each)
    return;
  vir_domain_release(each->handle);
  g_free(each);
}

gboolean domain_read_texts(virDomainPtr handle, ActualDomain *domain, gboolean *ret_vanished, GError **error) {
  g_autofree char *live = domain->active ? virDomainGetXMLDesc(handle, 0) : NULL;
  g_autofree char *persistent = NULL;
  if (live || !domain->active)
    persistent = virDomainGetXMLDesc(handle, VIR_DOMAIN_XML_INACTIVE);
  if (!persistent) {
    *ret_vanished = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
    return *ret_vanished ? FALSE : libvirt_fail(error, "cannot read the definition");
  }
  /* It may have stopped since it was listed: then it is the definition once more. */
  return domain_facts_read(domain, persistent, live && domain_text_is_live(live) ? live : NULL, error);
}

/* The XML says it for less, where it can be read: libvirt writes it to its log first. */
static void ask_uuid(virDomainPtr handle, ActualDomain *domain) {
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  virDomainGetUUIDString(handle, uuid);
  domain->uuid = g_strdup(uuid);
}

/* Then libvirt tells of a job only when that is done, or after half a minute that it isn't. */
static gboolean is_starting(virDomainPtr handle) {
  int state, reason;
  return virDomainGetState(handle, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_STARTING_UP;
}

static void read_domain(gpointer data, gpointer item) {
  Reading *reading = data;
  DomainReading *each = item;
  g_autoptr(GError) error = NULL;
  if (reading->options->jobs && each->domain->active && !is_starting(each->handle))
    read_job(each->handle, &each->domain->job);
  if (domain_read_texts(each->handle, each->domain, &each->vanished, &error) || each->vanished)
    return;
  each->domain->error = g_strdup(error->message);
  if (!each->domain->uuid)
    ask_uuid(each->handle, each->domain);
  g_mutex_lock(&reading->lock);
  reading->had_trouble = TRUE;
  g_mutex_unlock(&reading->lock);
}

/* A flag that libvirt can filter by, set on the domains that have it. */
typedef struct {
  unsigned int filter;
  void (*set)(ActualDomain *domain);
  const char *what;
} Filter;

static void set_autostart(ActualDomain *domain) { domain->autostart = TRUE; }
static void set_managed_save(ActualDomain *domain) { domain->has_managed_save = TRUE; }
static void set_snapshots(ActualDomain *domain) { domain->has_snapshots = TRUE; }
static void set_transient(ActualDomain *domain) { domain->is_persistent = FALSE; }

static const Filter filters[] = {
  {VIR_CONNECT_LIST_DOMAINS_AUTOSTART, set_autostart, "cannot list the domains with autostart"},
  {VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, set_managed_save, "cannot list the domains with a managed save"},
  {VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, set_snapshots, "cannot list the domains with snapshots"},
  {VIR_CONNECT_LIST_DOMAINS_TRANSIENT, set_transient, "cannot list the transient domains"},
};
enum { FILTER_AUTOSTART, FILTER_MANAGED_SAVE, FILTER_SNAPSHOT, FILTER_TRANSIENT };

static void list_filtered(gpointer data, gpointer item) {
  Reading *reading = data;
  const Filter *filter = item;
  virDomainPtr *domains = NULL;
  int n = virConnectListAllDomains(reading->conn, &domains, filter->filter);
  /* A driver without snapshots has no such filter, and no domain that would match. */
  if (n < 0 && !reading_lacks_driver() && virGetLastErrorCode() != VIR_ERR_INVALID_ARG)
    reading_fail_libvirt(reading, filter->what);
  for (int i = 0; i < n; i++) {
    ActualDomain *domain = g_hash_table_lookup(reading->actual->domains, virDomainGetName(domains[i]));
    if (domain)
      filter->set(domain);
  }
  free_domains(domains, n);
}

static void set_state(ActualDomain *domain, virTypedParameterPtr values, int n) {
  virTypedParamsGetInt(values, n, "state.state", &domain->state);
  virTypedParamsGetInt(values, n, "state.reason", &domain->reason);
}

/* One that is off has no other state, and why it is off seldom matters (complete_domains.c): people want to know it
 * of all. */
static gboolean wants_states_of_stopped(const ObserveOptions *options) { return options->jobs || options->keep_texts; }

/* A driver that can't is no error: states are then asked one by one. */
static void read_states(gpointer data, gpointer item G_GNUC_UNUSED) {
  Reading *reading = data;
  virDomainStatsRecordPtr *records = NULL;
  unsigned int which = wants_states_of_stopped(reading->options) ? 0 : VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE;
  int n = virConnectGetAllDomainStats(reading->conn, VIR_DOMAIN_STATS_STATE, &records, which);
  for (int i = 0; i < n; i++) {
    ActualDomain *domain = g_hash_table_lookup(reading->actual->domains, virDomainGetName(records[i]->dom));
    if (domain)
      set_state(domain, records[i]->params, records[i]->nparams);
  }
  if (n >= 0)
    virDomainStatsRecordListFree(records);
}

static gboolean is_wanted(const Reading *reading, virDomainPtr handle) {
  const char *const *names = reading->options->names;
  return !names || g_strv_contains(names, virDomainGetName(handle));
}

ActualDomain *domain_of_handle(virDomainPtr handle) {
  ActualDomain *domain = actual_domain_new(virDomainGetName(handle), NULL);
  domain->active = virDomainGetID(handle) != (unsigned int)-1;
  domain->is_persistent = TRUE;
  return domain;
}

static void push_flags(Reading *reading, guint n_active, guint n_inactive) {
  if (n_active + n_inactive == 0)
    return;
  work_push(reading->work, list_filtered, reading, (gpointer)&filters[FILTER_AUTOSTART]);
  work_push(reading->work, list_filtered, reading, (gpointer)&filters[FILTER_SNAPSHOT]);
  if (n_inactive)
    work_push(reading->work, list_filtered, reading, (gpointer)&filters[FILTER_MANAGED_SAVE]);
  if (n_active)
    work_push(reading->work, list_filtered, reading, (gpointer)&filters[FILTER_TRANSIENT]);
  if (n_active || wants_states_of_stopped(reading->options))
    work_push(reading->work, read_states, reading, NULL);
}

static void list_domains(gpointer data, gpointer item G_GNUC_UNUSED) {
  Reading *reading = data;
  virDomainPtr *handles = NULL;
  int n = virConnectListAllDomains(reading->conn, &handles, 0);
  if (n < 0) {
    reading_fail_libvirt(reading, "cannot list the domains");
    return;
  }
  guint n_active = 0, n_inactive = 0;
  for (int i = 0; i < n; i++) {
    if (!is_wanted(reading, handles[i])) {
      virDomainFree(handles[i]);
      continue;
    }
    DomainReading *each = g_new0(DomainReading, 1);
    *each = (DomainReading){.handle = handles[i], .domain = domain_of_handle(handles[i])};
    each->domain->texts = texts_new(reading->options->keep_texts);
    *(each->domain->active ? &n_active : &n_inactive) += 1;
    g_ptr_array_add(reading->domains, each);
    g_hash_table_replace(reading->actual->domains, each->domain->name, each->domain);
    work_push(reading->work, read_domain, reading, each); /* begun while the others are still noted */
  }
  free(handles);
  /* The table is complete now: these look things up in it. */
  push_flags(reading, n_active, n_inactive);
}

void read_domains(Reading *reading) { work_push(reading->work, list_domains, reading, NULL); }
