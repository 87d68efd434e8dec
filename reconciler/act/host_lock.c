#include "reconciler/act/host_lock.h"

#include <unistd.h>

#include "reconciler/act/common.h"
#include "state/fault.h"
#include "state/helper.h"
#include "state/xml_tree.h"

#define PAUSE 200 /* milliseconds between two attempts */
#define ATTEMPTS 50 /* what is nobody's may still be going */

typedef struct {
  FleetHost *host;
  const char *controller; /* this one */
  char *holder;           /* … for this host, in the domain */
  virDomainPtr domain;
  virStreamPtr console; /* open: it is ours */
  GError *failure; /* why it couldn't be started last, which mostly is that its name is taken */
  GError *error;
} Lock;

struct HostLocks {
  GArray *locks; /* of Lock */
  char *holder;
};

/* Who asks: for messages, and unique. Each host's name is added, so that one host under two names is told from another controller
 * and from what this one has left there itself. */
static char *describe_holder(void) {
  g_autofree char *id = g_uuid_string_random();
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
  return g_strdup_printf("%s@%s (process %d) since %s [%s]", g_get_user_name(), g_get_host_name(), (int)getpid(), time, id);
}

/* As small as a machine can be, with the console that is the lock. */
static char *definition(const char *holder) {
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *domain = xmlNewDocNode(doc, NULL, (const xmlChar *)"domain", NULL);
  xmlDocSetRootElement(doc, domain);
  xml_set_attribute(domain, "type", "qemu");
  xmlNewTextChild(domain, NULL, (const xmlChar *)"name", (const xmlChar *)HOST_LOCK_NAME);
  xmlNewTextChild(domain, NULL, (const xmlChar *)"title", (const xmlChar *)"Held while reconcile changes this host; never runs");
  helper_mark_lock(domain, holder);
  xml_set_attribute(xmlNewTextChild(domain, NULL, (const xmlChar *)"memory", (const xmlChar *)"1"), "unit", "MiB");
  xmlNewTextChild(domain, NULL, (const xmlChar *)"vcpu", (const xmlChar *)"1");
  xmlNewTextChild(xmlNewChild(domain, NULL, (const xmlChar *)"os", NULL), NULL, (const xmlChar *)"type", (const xmlChar *)"hvm");
  xmlNode *tcg = xmlNewChild(xmlNewChild(domain, NULL, (const xmlChar *)"features", NULL), NULL, (const xmlChar *)"tcg", NULL);
  xml_set_attribute(xmlNewTextChild(tcg, NULL, (const xmlChar *)"tb-cache", (const xmlChar *)"1"), "unit", "MiB");
  xmlNode *devices = xmlNewChild(domain, NULL, (const xmlChar *)"devices", NULL);
  xml_set_attribute(xmlNewChild(devices, NULL, (const xmlChar *)"console", NULL), "type", "pty");
  xmlNode *usb = xmlNewChild(devices, NULL, (const xmlChar *)"controller", NULL);
  xml_set_attribute(usb, "type", "usb");
  xml_set_attribute(usb, "model", "none");
  xml_set_attribute(xmlNewChild(devices, NULL, (const xmlChar *)"memballoon", NULL), "model", "none");
  return xml_text(doc);
}

/* NULL without error: somebody else has it open, or it is gone. */
static virStreamPtr open_console(Lock *lock, virDomainPtr domain) {
  g_autoptr(VirStream) stream = virStreamNew(virDomainGetConnect(domain), 0);
  if (stream && virDomainOpenConsole(domain, NULL, stream, VIR_DOMAIN_CONSOLE_SAFE) == 0)
    return g_steal_pointer(&stream);
  int code = virGetLastErrorCode();
  if (code != VIR_ERR_OPERATION_FAILED && code != VIR_ERR_NO_DOMAIN && code != VIR_ERR_OPERATION_INVALID)
    libvirt_fail(&lock->error, "cannot open the console of domain %s on %s", HOST_LOCK_NAME, lock->host->name);
  return NULL;
}

/* "root@ctl (process 12) since …", as long as it says who; the rest is for us. */
static void fail_held(Lock *lock, const char *holder) {
  const char *host = lock->host->name;
  if (g_str_has_prefix(holder, lock->controller)) {
    act_refuse(&lock->error, "%s is the same host as another one that is declared: declare it once", host);
    return;
  }
  const char *end = strstr(holder, " [");
  g_autofree char *who = end ? g_strndup(holder, (gsize)(end - holder)) : g_strdup(holder);
  g_set_error(&lock->error, EXECUTE_ERROR, EXECUTE_ERROR_STALE, "%s is being changed by %s: nothing was changed by this run; run again when that "
              "one is done", host, who);
}

/* A domain of the name is there. TRUE: it has gone, or was nobody's and is gone now. */
static gboolean clear_way(Lock *lock, virConnectPtr connect) {
  g_autoptr(VirDomain) found = virDomainLookupByName(connect, HOST_LOCK_NAME);
  g_autoptr(xmlDoc) doc = found ? act_domain_doc(found, 0, NULL) : NULL;
  if (!doc)
    return TRUE;
  g_autofree char *holder = helper_lock_holder(xmlDocGetRootElement(doc));
  if (!holder)
    return act_refuse(&lock->error, "%s has a domain %s that isn't ours, and the lock needs this name: rename it", lock->host->name, HOST_LOCK_NAME);
  gboolean left = g_str_equal(holder, lock->holder); /* by an attempt before this one: who has its console will end it */
  gboolean twice = !left && g_str_has_prefix(holder, lock->controller);
  g_autoptr(VirStream) console = twice ? NULL : open_console(lock, found);
  if (!console && !lock->error && !left)
    fail_held(lock, holder);
  if (!console)
    return !lock->error;
  gboolean ended = virDomainDestroy(found) == 0 || virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
                   libvirt_fail(&lock->error, "cannot end the lock on %s that somebody left", lock->host->name);
  virStreamAbort(console);
  return ended;
}

/* NULL with error when it can't be tried again. */
static virDomainPtr start(Lock *lock, virConnectPtr connect, const char *text) {
  virDomainPtr domain = virDomainCreateXML(connect, text, VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);
  if (domain)
    return domain;
  g_clear_error(&lock->failure);
  libvirt_fail(&lock->failure, "cannot take the lock on %s", lock->host->name);
  if (!g_error_matches(lock->failure, LIBVIRT_ERROR, VIR_ERR_OPERATION_FAILED))
    lock->error = g_steal_pointer(&lock->failure);
  return NULL;
}

static gpointer take(gpointer data) {
  Lock *lock = data;
  g_autofree char *text = definition(lock->holder);
  virConnectPtr connect = connection_get(lock->host->connection, &lock->error);
  for (guint attempt = 0; connect && attempt < ATTEMPTS; attempt++) {
    lock->domain = start(lock, connect, text);
    if (lock->domain)
      lock->console = open_console(lock, lock->domain);
    if (lock->console)
      connection_pin(lock->host->connection, TRUE);
    if (lock->console || lock->error)
      return NULL;
    g_clear_pointer(&lock->domain, virDomainFree);
    if (!clear_way(lock, connect))
      return NULL;
    g_usleep(PAUSE / 2 * 1000);
  }
  if (connect && lock->failure)
    g_propagate_error(&lock->error, g_steal_pointer(&lock->failure));
  else if (connect)
    act_fail(&lock->error, "cannot take the lock on %s: the console of domain %s there can't be had", lock->host->name, HOST_LOCK_NAME);
  return NULL;
}

/* Ended here, where it can be: the end of the connection would do it as well, but a moment after ours. */
static gpointer give(gpointer data) {
  Lock *lock = data;
  if (lock->domain)
    virDomainDestroy(lock->domain);
  if (lock->console) {
    virStreamAbort(lock->console);
    virStreamFree(lock->console);
    connection_pin(lock->host->connection, FALSE);
  }
  if (lock->domain)
    virDomainFree(lock->domain);
  return NULL;
}

static void lock_clear(gpointer data) {
  Lock *lock = data;
  g_free(lock->holder);
  g_clear_error(&lock->failure);
  g_clear_error(&lock->error);
}

/* Does it to some of them side by side: each starts or ends a QEMU, on which libvirt waits a fifth of a second. */
static void with_all(HostLocks *locks, guint first, GThreadFunc function) {
  guint n = locks->locks->len;
  g_autofree GThread **threads = g_new0(GThread *, n + 1);
  for (guint i = first; i < n; i++)
    threads[i] = g_thread_new("lock", function, &g_array_index(locks->locks, Lock, i));
  for (guint i = first; i < n; i++)
    g_thread_join(threads[i]);
}

void host_locks_free(HostLocks *locks) {
  if (!locks)
    return;
  with_all(locks, 0, give);
  g_array_unref(locks->locks);
  g_free(locks->holder);
  g_free(locks);
}

static HostLocks *prepare(Fleet *fleet) {
  HostLocks *locks = g_new0(HostLocks, 1);
  locks->holder = describe_holder();
  locks->locks = g_array_new(FALSE, TRUE, sizeof(Lock));
  g_array_set_clear_func(locks->locks, lock_clear);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (host->error)
      continue;
    Lock lock = {.host = host, .controller = locks->holder, .holder = g_strconcat(locks->holder, " ", host->name, NULL)};
    g_array_append_val(locks->locks, lock);
  }
  return locks;
}

/* Somebody has it, or nobody may: not that host's matter alone. */
static gboolean is_refused(const Lock *lock) {
  return g_error_matches(lock->error, EXECUTE_ERROR, EXECUTE_ERROR_STALE) || g_error_matches(lock->error, EXECUTE_ERROR, EXECUTE_ERROR_REFUSED);
}

/* At first all side by side. Who meets another one there gives back what he has, and asks for the first one that can be had alone
 * from then on: whoever comes second waits there, and has started nothing elsewhere. */
static gboolean take_all(HostLocks *locks, gboolean met, GError **error) {
  guint n = locks->locks->len, first = 0;
  Lock *all = (Lock *)locks->locks->data;
  for (gboolean taken = FALSE; met && first < n && !taken; first++) {
    take(&all[first]);
    taken = !all[first].error || is_refused(&all[first]);
  }
  if (first == 0 || !is_refused(&all[first - 1]))
    with_all(locks, first, take);
  for (guint i = 0; i < n; i++)
    if (is_refused(&all[i])) {
      g_propagate_error(error, g_steal_pointer(&all[i].error));
      return FALSE;
    }
  return TRUE;
}

static void lose_unlocked(Fleet *fleet, HostLocks *locks) {
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (host->error)
      fleet_host_lose(host, g_error_copy(host->error));
  }
  for (guint i = 0; i < locks->locks->len; i++) {
    Lock *lock = &g_array_index(locks->locks, Lock, i);
    if (lock->error)
      fleet_host_lose(lock->host, g_steal_pointer(&lock->error));
  }
}

HostLocks *host_locks_take(Fleet *fleet, guint wait, GCancellable *cancel, GError **error) {
  gint64 until = g_get_monotonic_time() + (gint64)wait * 1000;
  for (gboolean met = FALSE;; met = TRUE) {
    g_autoptr(HostLocks) locks = prepare(fleet);
    GError *failure = NULL;
    if (take_all(locks, met, &failure)) {
      lose_unlocked(fleet, locks);
      FAULT("fleet: locked");
      return g_steal_pointer(&locks);
    }
    gboolean held = g_error_matches(failure, EXECUTE_ERROR, EXECUTE_ERROR_STALE);
    if (!held || g_get_monotonic_time() >= until || g_cancellable_is_cancelled(cancel)) {
      g_propagate_error(error, failure);
      return NULL;
    }
    g_clear_error(&failure);
    g_clear_pointer(&locks, host_locks_free);
    g_usleep(PAUSE * 1000);
  }
}
