/* A connection to one host's libvirt: opened lazily, read-only or writable, checked
 * before use and opened again when it has died. Thread-safe. The first one makes the process
 * ignore SIGPIPE where nobody handles it, since libvirt writes to sockets of dead daemons. */
#pragma once
#include <glib.h>
#include <libvirt/libvirt.h>

typedef struct Connection Connection;
Connection *connection_new(const char *uri /* NULL: libvirt's default */, gboolean read_only);
void connection_free(Connection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Connection, connection_free)
/* The open handle, borrowed: valid until connection_free, also when another thread has found it
 * dead and opened a new one meanwhile. NULL with error (LIBVIRT_ERROR), also when nobody has answered for
 * 30 s (3 s where connection_on_opened has somebody told); then at once, until somebody does. Without events a dead connection is noticed by asking, a round
 * trip each 10 ms at most. */
virConnectPtr connection_get(Connection *connection, GError **error);
/* Since when it is being connected, microseconds since 1970; 0: it isn't. */
gint64 connection_opening_since(Connection *connection);
/* Has it opened in the background where it isn't open. */
void connection_reopen(Connection *connection);
/* Called, in any thread, when an opening that nobody waits for has ended well or badly; NULL: nobody. It mustn't
 * ask the connection anything. */
void connection_on_opened(Connection *connection, void (*opened)(gpointer data), gpointer data);
/* Why it isn't open, without waiting; NULL: it is. To be freed. */
GError *connection_trouble(Connection *connection);
/* While it is pinned it isn't made again when it is lost: something hangs on it that is lost with it. */
void connection_pin(Connection *connection, gboolean pinned);
gboolean connection_is_remote(virConnectPtr handle); /* its URI names a host */
char *connection_handle_uri(virConnectPtr handle);   /* as it was given, or as libvirt chose it; NULL: there is none. Free it. */
const char *connection_uri(const Connection *connection); /* as asked; may be NULL */

/* Registers libvirt's default event loop and runs it in a thread of its own: for streams and
 * keepalive over remote connections. Once, before the first connection_get; further calls do
 * nothing. Not for programs that run a GMainLoop on the default context: those register only. */
void connection_start_events(void);
void connection_register_events(void);
/* The same as connection_start_events, unless this program runs the loop itself already. */
void connection_watch(void);

/* Ends what all connections of this process are asked for: it fails, and they open again when they are used next.
 * FALSE: without events there is no way to that. How often that was done: for who fails and wants to say why. */
gboolean connections_give_up(void);
guint connections_given_up(void);
/* The same of this one alone; it isn't counted. Without events nothing ends. */
void connection_give_up(const Connection *connection);

#define LIBVIRT_ERROR (libvirt_error_quark())
GQuark libvirt_error_quark(void); /* codes are virErrorNumber */
/* Turns the thread's last libvirt error into a GError with context in front; library code
 * never prints (libvirt's own printing is silenced). Always returns FALSE. */
gboolean libvirt_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

typedef virDomain VirDomain; typedef virStoragePool VirStoragePool; typedef virStorageVol VirStorageVol;
typedef virNetwork VirNetwork; typedef virStream VirStream; typedef virSecret VirSecret;
static inline void vir_domain_release(virDomainPtr p) { if (p) virDomainFree(p); }
static inline void vir_pool_release(virStoragePoolPtr p) { if (p) virStoragePoolFree(p); }
static inline void vir_vol_release(virStorageVolPtr p) { if (p) virStorageVolFree(p); }
static inline void vir_network_release(virNetworkPtr p) { if (p) virNetworkFree(p); }
static inline void vir_stream_release(virStreamPtr p) { if (p) virStreamFree(p); }
static inline void vir_secret_release(virSecretPtr p) { if (p) virSecretFree(p); }
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirDomain, vir_domain_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirStoragePool, vir_pool_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirStorageVol, vir_vol_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirNetwork, vir_network_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirStream, vir_stream_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirSecret, vir_secret_release)
