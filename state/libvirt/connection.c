/* One host's connection, and libvirt's errors as GErrors. */
#include "state/libvirt/connection.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <signal.h>

#include "state/fault.h"
#include "state/libvirt/event_loop.h"
#include "state/libvirt/ssh_uri.h"

/* A hanging daemon accepts connections and never answers, and libvirt waits for ever: connections are opened
 * in a thread of their own, one for each Connection at a time, which may outlive who waits for it. */
enum { OPEN_SECONDS = 30, TOLD_SECONDS = 3 }; /* the latter where somebody is told how it went */
enum { KEEPALIVE_SECONDS = 5, KEEPALIVE_COUNT = 6, MOST_RETIRED = 16, ASK_MICROSECONDS = 10000 };

struct Connection {
  gint refs;
  char *uri;
  gboolean read_only;
  GMutex lock;
  GCond opened;
  gint64 opening;       /* microseconds since 1970 when it was begun; 0: nobody opens it */
  gboolean abandoned;   /* nobody waits for that any more: who wants to know is told */
  virConnectPtr handle;
  GError *refused;      /* why the last opening failed, for who waits for it */
  void (*opens)(gpointer data);
  gpointer data;
  gint64 answered; /* when it was opened or last asked whether it lives */
  gboolean pinned; /* isn't made again */
  GQueue retired; /* dead handles that another thread may still hold, oldest first */
};

static gint events_registered, events_run, given_up;

G_DEFINE_QUARK(reconcile-libvirt-error, libvirt_error)

static void ignore_error(void *data G_GNUC_UNUSED, virErrorPtr error G_GNUC_UNUSED) {}

/* libvirt writes to sockets whose other end may have died. */
static void ignore_broken_pipes(void) {
  struct sigaction now;
  if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
    signal(SIGPIPE, SIG_IGN);
}

static void initialize(void) {
  static gsize done;
  if (g_once_init_enter(&done)) {
    ignore_broken_pipes();
    virSetErrorFunc(NULL, ignore_error); /* libvirt would print to standard error */
    virInitialize();
    g_once_init_leave(&done, 1);
  }
}

/* What our end of a connection meets before there is one; libvirt has the errno beside the message. */
static const char *socket_advice(int number) {
  switch (number) {
  case EACCES: return " (this user may not use it: be root, or in the group that it belongs to, such as libvirt)";
  case ENOENT:
  case ECONNREFUSED: return " (nobody listens there: start libvirtd, or virtqemud, or name another one with --connect)";
  default: return "";
  }
}

/* libvirt waits half a minute for another call on the same machine to end. After it died in the middle of one, some never do. */
static const char *advice(const virError *last) {
  if (last->domain == VIR_FROM_RPC && last->code == VIR_ERR_SYSTEM_ERROR)
    return socket_advice(last->int1);
  return last->code == VIR_ERR_OPERATION_TIMEOUT && last->message && strstr(last->message, "state change lock")
           ? " (libvirt's own work on the machine doesn't go on: restart libvirtd, or virtqemud, which stops no machine)" : "";
}

gboolean libvirt_fail(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *context = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  const virError *last = virGetLastError();
  if (last && last->code != VIR_ERR_OK)
    g_set_error(error, LIBVIRT_ERROR, last->code, "%s: %s%s", context, last->message ? last->message : "unknown error", advice(last));
  else
    g_set_error(error, LIBVIRT_ERROR, VIR_ERR_INTERNAL_ERROR, "%s: libvirt gave no reason", context);
  return FALSE;
}

void connection_register_events(void) {
  initialize();
  static gsize done;
  if (g_once_init_enter(&done)) {
    event_loop_register();
    g_atomic_int_set(&events_registered, TRUE);
    g_once_init_leave(&done, 1);
  }
}

static gpointer run_events(gpointer data G_GNUC_UNUSED) {
  for (;;)
    g_main_context_iteration(NULL, TRUE);
  return NULL;
}

void connection_start_events(void) {
  connection_register_events();
  if (g_atomic_int_get(&events_registered) && g_atomic_int_compare_and_exchange(&events_run, FALSE, TRUE))
    g_thread_unref(g_thread_new("libvirt-events", run_events, NULL));
}

void connection_watch(void) {
  if (!g_atomic_int_get(&events_registered))
    connection_start_events();
}

gboolean connections_give_up(void) {
  if (!g_atomic_int_get(&events_registered))
    return FALSE;
  g_atomic_int_inc(&given_up);
  event_loop_shut(NULL);
  return TRUE;
}

void connection_give_up(const Connection *connection) {
  if (g_atomic_int_get(&events_registered))
    event_loop_shut(connection);
}

guint connections_given_up(void) { return (guint)g_atomic_int_get(&given_up); }

Connection *connection_new(const char *uri, gboolean read_only) {
  initialize();
  Connection *connection = g_new0(Connection, 1);
  connection->refs = 1;
  connection->uri = g_strdup(uri);
  connection->read_only = read_only;
  g_mutex_init(&connection->lock);
  g_cond_init(&connection->opened);
  g_queue_init(&connection->retired);
  return connection;
}

static void connection_unref(Connection *connection) {
  if (!g_atomic_int_dec_and_test(&connection->refs))
    return;
  if (connection->handle)
    virConnectClose(connection->handle);
  for (virConnectPtr old; (old = g_queue_pop_head(&connection->retired));)
    virConnectClose(old);
  g_clear_error(&connection->refused);
  g_mutex_clear(&connection->lock);
  g_cond_clear(&connection->opened);
  g_free(connection->uri);
  g_free(connection);
}

void connection_free(Connection *connection) {
  if (!connection)
    return;
  connection_on_opened(connection, NULL, NULL);
  connection_unref(connection);
}

void connection_on_opened(Connection *connection, void (*opens)(gpointer data), gpointer data) {
  g_mutex_lock(&connection->lock);
  connection->opens = opens;
  connection->data = data;
  g_mutex_unlock(&connection->lock);
}

const char *connection_uri(const Connection *connection) { return connection->uri; }

/* Nobody is at hand to type a password: what needs one fails with libvirt's reason. */
static int no_credentials(virConnectCredentialPtr credentials G_GNUC_UNUSED, unsigned int n G_GNUC_UNUSED,
                          void *data G_GNUC_UNUSED) {
  return -1;
}

char *connection_handle_uri(virConnectPtr handle) { return ssh_uri_as_given(virConnectGetURI(handle)); }

gboolean connection_is_remote(virConnectPtr handle) {
  g_autofree char *text = connection_handle_uri(handle);
  g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
  return uri && g_uri_get_host(uri) && *g_uri_get_host(uri);
}

/* As libvirt chooses; NULL: its configuration's default, and what it probes for, it alone knows. */
static const char *known_uri(const Connection *connection) {
  const char *uri = connection->uri ? connection->uri : g_getenv("LIBVIRT_DEFAULT_URI");
  return uri && *uri ? uri : NULL;
}

static const char *spoken_uri(const Connection *connection) {
  const char *uri = known_uri(connection);
  return uri ? uri : "libvirt";
}

static void fail_to_connect(const char *uri, GError **error) {
  g_autoptr(GError) plain = NULL;
  libvirt_fail(&plain, "cannot connect to %s", uri);
  g_autofree char *message = ssh_uri_explain(uri, "the user that runs this", plain->message);
  g_set_error_literal(error, plain->domain, plain->code, message);
}

static virConnectPtr open_handle(const Connection *connection, GError **error) {
  virConnectAuth auth = {.cb = no_credentials};
  g_autofree char *uri = ssh_uri_unattended(known_uri(connection));
  event_loop_opening(connection);
  virConnectPtr handle = virConnectOpenAuth(uri, &auth, connection->read_only ? VIR_CONNECT_RO : 0);
  event_loop_opening(NULL);
  if (!handle) {
    fail_to_connect(spoken_uri(connection), error);
    return NULL;
  }
  /* A daemon of this host can hang too. Drivers in this process have no keepalive; there is nothing to do
   * about a failure. */
  if (g_atomic_int_get(&events_registered))
    virConnectSetKeepAlive(handle, (int)fault_patience(KEEPALIVE_SECONDS), KEEPALIVE_COUNT);
  return handle;
}

/* Without events nobody watches the socket: libvirt learns of its end by writing to it. Not
 * before each call of an action: no daemon dies and comes back in so short a time. */
static gboolean is_alive(Connection *connection) {
  if (virConnectIsAlive(connection->handle) != 1)
    return FALSE;
  gint64 now = g_get_monotonic_time();
  unsigned long version;
  if (g_atomic_int_get(&events_registered) || now - connection->answered < ASK_MICROSECONDS)
    return TRUE;
  connection->answered = now;
  return virConnectGetLibVersion(connection->handle, &version) == 0 || virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
}

static void retire(Connection *connection) {
  g_queue_push_tail(&connection->retired, g_steal_pointer(&connection->handle));
  if (g_queue_get_length(&connection->retired) > MOST_RETIRED)
    virConnectClose(g_queue_pop_head(&connection->retired));
}

gint64 connection_opening_since(Connection *connection) {
  g_mutex_lock(&connection->lock);
  gint64 since = connection->opening;
  g_mutex_unlock(&connection->lock);
  return since;
}

static void tell_opened(const Connection *connection) {
  if (connection->opens)
    connection->opens(connection->data);
}

static gpointer open_in_thread(gpointer data) {
  Connection *connection = data;
  GError *error = NULL;
  virConnectPtr handle = open_handle(connection, &error);
  g_mutex_lock(&connection->lock);
  connection->handle = handle;
  connection->refused = error;
  connection->answered = g_get_monotonic_time();
  connection->opening = 0;
  g_cond_broadcast(&connection->opened);
  if (connection->abandoned)
    tell_opened(connection);
  g_mutex_unlock(&connection->lock);
  connection_unref(connection);
  return NULL;
}

static void begin_to_open(Connection *connection, gboolean abandoned) {
  connection->opening = g_get_real_time();
  connection->abandoned = abandoned;
  g_clear_error(&connection->refused);
  g_atomic_int_inc(&connection->refs);
  g_thread_unref(g_thread_new("connect", open_in_thread, connection));
}

static void wait_for_opening(Connection *connection) {
  gint64 until = g_get_monotonic_time() + fault_patience(connection->opens ? TOLD_SECONDS : OPEN_SECONDS) * G_USEC_PER_SEC;
  while (connection->opening && !connection->abandoned && g_cond_wait_until(&connection->opened, &connection->lock, until))
    ;
}

static void fail_to_open(Connection *connection, GError **error) {
  const char *name = spoken_uri(connection);
  if (!connection->opening) {
    if (connection->refused)
      g_propagate_error(error, g_error_copy(connection->refused));
    else
      g_set_error(error, LIBVIRT_ERROR, VIR_ERR_NO_CONNECT, "cannot connect to %s: the connection ended at once", name);
    return;
  }
  g_autoptr(GDateTime) since = g_date_time_new_from_unix_utc(connection->opening / G_USEC_PER_SEC);
  g_autofree char *time = g_date_time_format(since, "%Y-%m-%d %H:%M:%SZ");
  g_set_error(error, LIBVIRT_ERROR, VIR_ERR_NO_CONNECT, "cannot connect to %s: no answer since %s: the daemon hangs, or the host is out of reach",
              name, time);
}

void connection_reopen(Connection *connection) {
  g_mutex_lock(&connection->lock);
  if (connection->handle && !is_alive(connection))
    retire(connection);
  if (connection->handle)
    tell_opened(connection);
  else if (connection->opening)
    connection->abandoned = TRUE;
  else
    begin_to_open(connection, TRUE);
  g_mutex_unlock(&connection->lock);
}

GError *connection_trouble(Connection *connection) {
  GError *error = NULL;
  g_mutex_lock(&connection->lock);
  if (!connection->handle)
    fail_to_open(connection, &error);
  else if (!is_alive(connection))
    g_set_error(&error, LIBVIRT_ERROR, VIR_ERR_NO_CONNECT, "the connection to %s has ended", spoken_uri(connection));
  g_mutex_unlock(&connection->lock);
  return error;
}

void connection_pin(Connection *connection, gboolean pinned) {
  g_mutex_lock(&connection->lock);
  connection->pinned = pinned;
  g_mutex_unlock(&connection->lock);
}

virConnectPtr connection_get(Connection *connection, GError **error) {
  g_mutex_lock(&connection->lock);
  if (connection->handle && !is_alive(connection))
    retire(connection);
  if (!connection->handle && !connection->pinned) {
    if (!connection->opening)
      begin_to_open(connection, FALSE);
    wait_for_opening(connection);
    connection->abandoned |= connection->opening != 0;
  }
  virConnectPtr handle = connection->handle;
  if (!handle && connection->pinned)
    g_set_error(error, LIBVIRT_ERROR, VIR_ERR_NO_CONNECT, "the connection to %s was lost, and with it the lock on that host: what isn't done is "
                "left to the next run", spoken_uri(connection));
  else if (!handle)
    fail_to_open(connection, error);
  g_mutex_unlock(&connection->lock);
  return handle;
}
