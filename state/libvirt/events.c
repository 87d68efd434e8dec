#include "state/libvirt/events.h"

#include <libvirt/virterror.h>

#include "state/helper.h"

struct HostEvents {
  Connection *connection;
  HostEventFunction function;
  gpointer data;
  GMutex lock;
  char *uri;            /* of the handle */
  virConnectPtr handle; /* listened on; a reference of ours, so that its address isn't another's */
  GArray *domain_callbacks, *pool_callbacks, *network_callbacks; /* of int */
};

static void tell(HostEvents *events, HostEvent event, const char *word, const char *name) {
  g_autofree char *object = name ? g_strconcat(word, "/", name, NULL) : NULL;
  event.object = object;
  event.uri = events->uri;
  events->function(events->data, &event);
}

/* The lock of a fleet comes and goes, and is nobody's machine. */
static void tell_domain(gpointer data, virDomainPtr domain, HostEvent event) {
  const char *name = virDomainGetName(domain);
  if (!g_str_equal(name, HOST_LOCK_NAME))
    tell(data, event, "vm", name);
}

static const char *word_of(const char *const *words, int count, int index) {
  return index >= 0 && index < count && words[index] ? words[index] : "other";
}
#define WORD_OF(words, index) word_of(words, G_N_ELEMENTS(words), index)

/* The life of a domain */

static const char *const life_words[] = {
    [VIR_DOMAIN_EVENT_DEFINED] = "defined",   [VIR_DOMAIN_EVENT_UNDEFINED] = "undefined", [VIR_DOMAIN_EVENT_STARTED] = "started",
    [VIR_DOMAIN_EVENT_SUSPENDED] = "paused",  [VIR_DOMAIN_EVENT_RESUMED] = "resumed",     [VIR_DOMAIN_EVENT_STOPPED] = "stopped",
    [VIR_DOMAIN_EVENT_SHUTDOWN] = "shutting down", [VIR_DOMAIN_EVENT_PMSUSPENDED] = "suspended", [VIR_DOMAIN_EVENT_CRASHED] = "crashed",
};
static const char *const stopped_words[] = {
    [VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN] = "shut down", [VIR_DOMAIN_EVENT_STOPPED_DESTROYED] = "powered off",
    [VIR_DOMAIN_EVENT_STOPPED_CRASHED] = "crashed",    [VIR_DOMAIN_EVENT_STOPPED_MIGRATED] = "migrated",
    [VIR_DOMAIN_EVENT_STOPPED_SAVED] = "saved",        [VIR_DOMAIN_EVENT_STOPPED_FAILED] = "the hypervisor failed",
    [VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT] = "snapshot",
};
static const char *const paused_words[] = {
    [VIR_DOMAIN_EVENT_SUSPENDED_PAUSED] = "by request",        [VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED] = "migration",
    [VIR_DOMAIN_EVENT_SUSPENDED_IOERROR] = "I/O error",        [VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG] = "watchdog",
    [VIR_DOMAIN_EVENT_SUSPENDED_RESTORED] = "restored",        [VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT] = "snapshot",
    [VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR] = "after an error", [VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY] = "post-copy migration",
    [VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED] = "post-copy migration failed",
};

static gboolean is_trouble(int event, int detail) {
  switch (event) {
  case VIR_DOMAIN_EVENT_CRASHED:
    return TRUE;
  case VIR_DOMAIN_EVENT_STOPPED:
    return detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED || detail == VIR_DOMAIN_EVENT_STOPPED_FAILED;
  case VIR_DOMAIN_EVENT_SUSPENDED:
    return detail == VIR_DOMAIN_EVENT_SUSPENDED_IOERROR || detail == VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG ||
           detail == VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR || detail == VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED;
  default:
    return FALSE;
  }
}

static int on_life(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, int event, int detail, void *data) {
  const char *more = event == VIR_DOMAIN_EVENT_STOPPED     ? WORD_OF(stopped_words, detail)
                     : event == VIR_DOMAIN_EVENT_SUSPENDED ? WORD_OF(paused_words, detail) : NULL;
  g_autofree char *text = g_strdup_printf("%s%s%s%s", WORD_OF(life_words, event), more ? " (" : "", more ? more : "", more ? ")" : "");
  tell_domain(data, domain, (HostEvent){.kind = "lifecycle", .detail = text, .look = TRUE, .trouble = is_trouble(event, detail)});
  return 0;
}

/* Trouble */

static void on_io_error(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *path, const char *alias,
                        int action G_GNUC_UNUSED, const char *reason, void *data) {
  g_autofree char *text = g_strdup_printf("%s (%s)%s%s", path && *path ? path : "a disk", alias ? alias : "", reason && *reason ? ": " : "",
                                          reason ? reason : "");
  tell_domain(data, domain, (HostEvent){.kind = "io-error", .detail = text, .look = TRUE, .trouble = TRUE});
}

static void on_watchdog(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, int action, void *data) {
  static const char *const words[] = {
      [VIR_DOMAIN_EVENT_WATCHDOG_NONE] = "nothing is done", [VIR_DOMAIN_EVENT_WATCHDOG_PAUSE] = "paused",
      [VIR_DOMAIN_EVENT_WATCHDOG_RESET] = "reset",          [VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF] = "powered off",
      [VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN] = "shut down",   [VIR_DOMAIN_EVENT_WATCHDOG_DEBUG] = "debugged",
      [VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI] = "NMI",
  };
  tell_domain(data, domain, (HostEvent){.kind = "watchdog", .detail = WORD_OF(words, action), .look = TRUE, .trouble = TRUE});
}

static void on_threshold(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *device, const char *path,
                         unsigned long long threshold, unsigned long long excess, void *data) {
  g_autofree char *text = g_strdup_printf("%s (%s) has passed %llu bytes by %llu", device, path ? path : "", threshold, excess);
  tell_domain(data, domain, (HostEvent){.kind = "block-threshold", .detail = text, .look = TRUE, .trouble = TRUE});
}

static void on_memory_failure(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, int recipient, int action G_GNUC_UNUSED,
                              unsigned int flags G_GNUC_UNUSED, void *data) {
  gboolean guest = recipient == VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_GUEST;
  tell_domain(data, domain, (HostEvent){.kind = "memory-failure", .detail = guest ? "of the guest" : "of the hypervisor",
                                        .look = TRUE, .trouble = TRUE});
}

static void on_control_error(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "control-error", .detail = "the hypervisor can't be controlled", .look = TRUE, .trouble = TRUE});
}

static void on_removal_failed(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *alias, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "device-removal-failed", .detail = alias, .look = TRUE, .trouble = TRUE});
}

/* Changes that may be drift */

static void on_device_removed(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *alias, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "device-removed", .detail = alias, .look = TRUE});
}

static void on_device_added(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *alias, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "device-added", .detail = alias, .look = TRUE});
}

static void on_metadata(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, int type G_GNUC_UNUSED, const char *uri, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "metadata", .detail = uri, .look = TRUE});
}

static void on_tunable(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, virTypedParameterPtr values G_GNUC_UNUSED,
                       int n G_GNUC_UNUSED, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "tunable", .look = TRUE});
}

static void on_balloon(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, unsigned long long kib, void *data) {
  g_autofree char *text = g_strdup_printf("%llu KiB", kib);
  tell_domain(data, domain, (HostEvent){.kind = "balloon", .detail = text, .look = TRUE});
}

static void on_tray(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *alias, int reason, void *data) {
  g_autofree char *text = g_strdup_printf("%s %s", alias, reason == VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN ? "opened" : "closed");
  tell_domain(data, domain, (HostEvent){.kind = "tray", .detail = text, .look = TRUE});
}

static void on_job(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, virTypedParameterPtr values G_GNUC_UNUSED,
                   int n G_GNUC_UNUSED, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "job-completed", .look = TRUE});
}

static void on_block_job(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, const char *disk, int type G_GNUC_UNUSED, int status,
                         void *data) {
  static const char *const words[] = {
      [VIR_DOMAIN_BLOCK_JOB_COMPLETED] = "completed", [VIR_DOMAIN_BLOCK_JOB_FAILED] = "failed",
      [VIR_DOMAIN_BLOCK_JOB_CANCELED] = "cancelled",  [VIR_DOMAIN_BLOCK_JOB_READY] = "ready",
  };
  g_autofree char *text = g_strdup_printf("%s %s", disk, WORD_OF(words, status));
  tell_domain(data, domain, (HostEvent){.kind = "block-job", .detail = text, .look = TRUE, .trouble = status == VIR_DOMAIN_BLOCK_JOB_FAILED});
}

/* News */

static void on_agent(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, int state, int reason G_GNUC_UNUSED, void *data) {
  gboolean connected = state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED;
  tell_domain(data, domain, (HostEvent){.kind = "agent", .detail = connected ? "connected" : "disconnected"});
}

static void on_reboot(virConnectPtr conn G_GNUC_UNUSED, virDomainPtr domain, void *data) {
  tell_domain(data, domain, (HostEvent){.kind = "reboot"});
}

/* Pools and networks */

static void tell_pool(gpointer data, virStoragePoolPtr pool, HostEvent event) {
  const char *name = virStoragePoolGetName(pool);
  if (!g_str_equal(name, ASIDE_POOL_NAME))
    tell(data, event, "pool", name);
}

static void on_pool(virConnectPtr conn G_GNUC_UNUSED, virStoragePoolPtr pool, int event, int detail G_GNUC_UNUSED, void *data) {
  static const char *const words[] = {
      [VIR_STORAGE_POOL_EVENT_DEFINED] = "defined", [VIR_STORAGE_POOL_EVENT_UNDEFINED] = "undefined",
      [VIR_STORAGE_POOL_EVENT_STARTED] = "started", [VIR_STORAGE_POOL_EVENT_STOPPED] = "stopped",
      [VIR_STORAGE_POOL_EVENT_CREATED] = "built",   [VIR_STORAGE_POOL_EVENT_DELETED] = "deleted",
  };
  tell_pool(data, pool, (HostEvent){.kind = "pool", .detail = WORD_OF(words, event), .look = TRUE});
}

static void on_pool_refresh(virConnectPtr conn G_GNUC_UNUSED, virStoragePoolPtr pool, void *data) {
  tell_pool(data, pool, (HostEvent){.kind = "pool-refresh", .look = TRUE});
}

static void on_network(virConnectPtr conn G_GNUC_UNUSED, virNetworkPtr network, int event, int detail G_GNUC_UNUSED, void *data) {
  static const char *const words[] = {
      [VIR_NETWORK_EVENT_DEFINED] = "defined", [VIR_NETWORK_EVENT_UNDEFINED] = "undefined",
      [VIR_NETWORK_EVENT_STARTED] = "started", [VIR_NETWORK_EVENT_STOPPED] = "stopped",
  };
  tell(data, (HostEvent){.kind = "network", .detail = WORD_OF(words, event), .look = TRUE}, "network", virNetworkGetName(network));
}

static void on_close(virConnectPtr conn G_GNUC_UNUSED, int reason, void *data) {
  static const char *const words[] = {
      [VIR_CONNECT_CLOSE_REASON_ERROR] = "error", [VIR_CONNECT_CLOSE_REASON_EOF] = "the daemon ended",
      [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "no answer", [VIR_CONNECT_CLOSE_REASON_CLIENT] = "closed",
  };
  tell(data, (HostEvent){.kind = "connection", .detail = WORD_OF(words, reason), .lost = TRUE, .look = TRUE, .trouble = TRUE}, NULL, NULL);
}

/* Registration: a driver that doesn't know an event is no error. */

static const struct {
  int id;
  virConnectDomainEventGenericCallback function;
} domain_events[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_life)},
    {VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, VIR_DOMAIN_EVENT_CALLBACK(on_io_error)},
    {VIR_DOMAIN_EVENT_ID_WATCHDOG, VIR_DOMAIN_EVENT_CALLBACK(on_watchdog)},
    {VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD, VIR_DOMAIN_EVENT_CALLBACK(on_threshold)},
    {VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE, VIR_DOMAIN_EVENT_CALLBACK(on_memory_failure)},
    {VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, VIR_DOMAIN_EVENT_CALLBACK(on_control_error)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, VIR_DOMAIN_EVENT_CALLBACK(on_removal_failed)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device_removed)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device_added)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    {VIR_DOMAIN_EVENT_ID_TUNABLE, VIR_DOMAIN_EVENT_CALLBACK(on_tunable)},
    {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon)},
    {VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_tray)},
    {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job)},
    {VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, VIR_DOMAIN_EVENT_CALLBACK(on_block_job)},
    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
    {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot)},
};

static void keep(GArray *callbacks, int callback) {
  if (callback >= 0)
    g_array_append_val(callbacks, callback);
}

static void listen_on(HostEvents *events, virConnectPtr handle) {
  virConnectRegisterCloseCallback(handle, on_close, events, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(domain_events); i++)
    keep(events->domain_callbacks,
         virConnectDomainEventRegisterAny(handle, NULL, domain_events[i].id, domain_events[i].function, events, NULL));
  keep(events->pool_callbacks, virConnectStoragePoolEventRegisterAny(handle, NULL, VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE,
                                                                     VIR_STORAGE_POOL_EVENT_CALLBACK(on_pool), events, NULL));
  keep(events->pool_callbacks, virConnectStoragePoolEventRegisterAny(handle, NULL, VIR_STORAGE_POOL_EVENT_ID_REFRESH,
                                                                     VIR_STORAGE_POOL_EVENT_CALLBACK(on_pool_refresh), events, NULL));
  keep(events->network_callbacks, virConnectNetworkEventRegisterAny(handle, NULL, VIR_NETWORK_EVENT_ID_LIFECYCLE,
                                                                    VIR_NETWORK_EVENT_CALLBACK(on_network), events, NULL));
}

static void each_callback(GArray *callbacks, virConnectPtr handle, int (*stop)(virConnectPtr, int)) {
  for (guint i = 0; i < callbacks->len; i++)
    stop(handle, g_array_index(callbacks, int, i));
  g_array_set_size(callbacks, 0);
}

/* On a dead connection each of these fails at once, which is as good. */
static void detach(HostEvents *events) {
  if (!events->handle)
    return;
  virConnectUnregisterCloseCallback(events->handle, on_close);
  each_callback(events->domain_callbacks, events->handle, virConnectDomainEventDeregisterAny);
  each_callback(events->pool_callbacks, events->handle, virConnectStoragePoolEventDeregisterAny);
  each_callback(events->network_callbacks, events->handle, virConnectNetworkEventDeregisterAny);
  virConnectClose(g_steal_pointer(&events->handle));
}

HostEvents *host_events_new(Connection *connection, HostEventFunction function, gpointer data) {
  HostEvents *events = g_new0(HostEvents, 1);
  events->connection = connection;
  events->function = function;
  events->data = data;
  events->domain_callbacks = g_array_new(FALSE, FALSE, sizeof(int));
  events->pool_callbacks = g_array_new(FALSE, FALSE, sizeof(int));
  events->network_callbacks = g_array_new(FALSE, FALSE, sizeof(int));
  g_mutex_init(&events->lock);
  return events;
}

const char *host_events_uri(const HostEvents *events) { return events->uri; }

gboolean host_events_attach(HostEvents *events, gboolean *ret_anew, GError **error) {
  *ret_anew = FALSE;
  virConnectPtr handle = connection_get(events->connection, error);
  if (!handle)
    return FALSE;
  g_mutex_lock(&events->lock);
  if (handle != events->handle) {
    detach(events);
    virConnectRef(handle);
    events->handle = handle;
    if (!events->uri) /* the same for each handle of a connection */
      events->uri = connection_handle_uri(handle);
    listen_on(events, handle);
    *ret_anew = TRUE;
  }
  g_mutex_unlock(&events->lock);
  return TRUE;
}

void host_events_detach(HostEvents *events) {
  g_mutex_lock(&events->lock);
  detach(events);
  g_mutex_unlock(&events->lock);
}

void host_events_free(HostEvents *events) {
  if (!events)
    return;
  detach(events);
  g_array_unref(events->domain_callbacks);
  g_array_unref(events->pool_callbacks);
  g_array_unref(events->network_callbacks);
  g_mutex_clear(&events->lock);
  free(events->uri);
  g_free(events);
}
