#include "reconciler/service/socket.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "schema/configuration.h"

G_STATIC_ASSERT(SOCKET_PATH_MOST == sizeof ((struct sockaddr_un *)NULL)->sun_path - 1);

enum { MOST_BYTES = 8192, MOST_CLIENTS = 32, SLOW_SECONDS = 5 };

/* Each has places of their own, so that nobody else keeps root and the service's user out. */
typedef enum { CLIENT_ANYBODY, CLIENT_TRUSTED, CLIENT_N } ClientKind;

struct RequestSocket {
  SocketProtocol protocol;
  GSocketService *service;
  char *path; /* of a unix socket */
  guint clients[CLIENT_N];
};

/* One that is connected. The reference keeps the service's data alive no longer than the service: what
 * is under way is cancelled with it. */
typedef struct {
  RequestSocket *owner;
  GSocketConnection *connection;
  int uid; /* -1: not known */
  ClientKind kind;
  guint timer; /* until it is dropped */
  GString *text;
  char buffer[1024];
} Client;

static GCancellable *cancel_of(RequestSocket *owner) { return g_object_get_data(G_OBJECT(owner->service), "cancel"); }

static void client_free(Client *client, gboolean owner_lives) {
  if (owner_lives)
    client->owner->clients[client->kind]--;
  g_clear_handle_id(&client->timer, g_source_remove);
  g_object_unref(client->connection);
  g_string_free(client->text, TRUE);
  g_free(client);
}

static void on_written(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_output_stream_write_all_finish(G_OUTPUT_STREAM(source), result, NULL, &error);
  client_free(data, !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
}

static int peer_of(GSocketConnection *connection) {
  g_autoptr(GCredentials) credentials = g_socket_get_credentials(g_socket_connection_get_socket(connection), NULL);
  return credentials ? (int)g_credentials_get_unix_user(credentials, NULL) : -1;
}

static void answer(Client *client) {
  const SocketProtocol *protocol = &client->owner->protocol;
  char *text = protocol->answer(protocol->data, client->text->str, client->uid);
  g_string_assign(client->text, text);
  g_free(text);
  GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(client->connection));
  g_output_stream_write_all_async(out, client->text->str, client->text->len, G_PRIORITY_DEFAULT, cancel_of(client->owner), on_written, client);
}

static gboolean is_complete(const Client *client) {
  const char *text = client->text->str;
  if (!client->owner->protocol.head)
    return strchr(text, '\n') != NULL;
  return strstr(text, "\r\n\r\n") || strstr(text, "\n\n");
}

static void on_read(GObject *source, GAsyncResult *result, gpointer data);

static void read_more(Client *client) {
  GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(client->connection));
  g_input_stream_read_async(in, client->buffer, sizeof client->buffer, G_PRIORITY_DEFAULT, cancel_of(client->owner), on_read, client);
}

static void on_read(GObject *source, GAsyncResult *result, gpointer data) {
  Client *client = data;
  g_autoptr(GError) error = NULL;
  gssize length = g_input_stream_read_finish(G_INPUT_STREAM(source), result, &error);
  if (length <= 0 || client->text->len + (gsize)length > MOST_BYTES) {
    client_free(client, !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    return;
  }
  g_string_append_len(client->text, client->buffer, length);
  if (is_complete(client))
    answer(client);
  else
    read_more(client);
}

/* In all, so that a byte now and then holds no place. What is under way ends as if the peer had hung up. */
static gboolean on_slow(gpointer data) {
  Client *client = data;
  client->timer = 0;
  g_socket_shutdown(g_socket_connection_get_socket(client->connection), TRUE, TRUE, NULL);
  return G_SOURCE_REMOVE;
}

static gboolean on_incoming(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data) {
  (void)service, (void)source;
  RequestSocket *owner = data;
  int uid = peer_of(connection);
  ClientKind kind = uid == 0 || uid == (int)geteuid() ? CLIENT_TRUSTED : CLIENT_ANYBODY;
  if (owner->clients[kind] >= MOST_CLIENTS)
    return TRUE;
  owner->clients[kind]++;
  Client *client = g_new0(Client, 1);
  client->owner = owner;
  client->connection = g_object_ref(connection);
  client->text = g_string_new(NULL);
  client->uid = uid;
  client->kind = kind;
  client->timer = g_timeout_add_seconds_full(G_PRIORITY_LOW, SLOW_SECONDS, on_slow, client, NULL);
  read_more(client);
  return TRUE;
}

/* A socket that is left over from a process that was killed is in the way; one that answers isn't ours. */
static gboolean remove_leftover(const char *path, GError **error) {
  struct stat status;
  if (lstat(path, &status) < 0)
    return TRUE;
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
  g_autoptr(GSocketConnection) other =
      S_ISSOCK(status.st_mode) ? g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL) : NULL;
  if (!S_ISSOCK(status.st_mode) || other) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE, "%s is %s", path, other ? "in use by another process" : "not a socket");
    return FALSE;
  }
  return unlink(path) == 0 || errno == ENOENT;
}

static gboolean listen_unix(RequestSocket *self, const char *path, GError **error) {
  g_autofree char *folder = g_path_get_dirname(path);
  if (strlen(path) > SOCKET_PATH_MOST) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG, "%s: the path of a socket has at most %d bytes", path, SOCKET_PATH_MOST);
    return FALSE;
  }
  if (g_mkdir_with_parents(folder, 0755) < 0 || !remove_leftover(path, error)) {
    if (error && !*error)
      g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: %s", folder, g_strerror(errno));
    return FALSE;
  }
  g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
  if (!g_socket_listener_add_address(G_SOCKET_LISTENER(self->service), address, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL,
                                     NULL, error))
    return FALSE;
  self->path = g_strdup(path);
  chmod(path, (mode_t)self->protocol.mode);
  return TRUE;
}

static gboolean listen_loopback(RequestSocket *self, const char *host, guint16 port, GError **error) {
  g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string(host, port);
  return g_socket_listener_add_address(G_SOCKET_LISTENER(self->service), address, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL,
                                       NULL, error);
}

RequestSocket *request_socket_new(const char *path, const char *host, guint16 port, const SocketProtocol *protocol, GError **error) {
  RequestSocket *self = g_new0(RequestSocket, 1);
  self->protocol = *protocol;
  self->service = g_socket_service_new();
  g_object_set_data_full(G_OBJECT(self->service), "cancel", g_cancellable_new(), g_object_unref);
  g_signal_connect(self->service, "incoming", G_CALLBACK(on_incoming), self);
  if (path ? listen_unix(self, path, error) : listen_loopback(self, host, port, error)) {
    g_socket_service_start(self->service);
    return self;
  }
  request_socket_free(self);
  return NULL;
}

void request_socket_free(RequestSocket *self) {
  if (!self)
    return;
  g_cancellable_cancel(cancel_of(self));
  g_socket_service_stop(self->service);
  g_signal_handlers_disconnect_by_data(self->service, self);
  g_socket_listener_close(G_SOCKET_LISTENER(self->service));
  g_object_unref(self->service);
  if (self->path)
    unlink(self->path);
  g_free(self->path);
  g_free(self);
}

char *request_send(const char *path, const char *request, guint timeout_seconds, GError **error) {
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_socket_client_set_timeout(client, timeout_seconds);
  g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
  g_autoptr(GSocketConnection) connection = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, error);
  if (!connection)
    return NULL;
  g_autofree char *line = g_strconcat(request, "\n", NULL);
  GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
  if (!g_output_stream_write_all(out, line, strlen(line), NULL, NULL, error))
    return NULL;
  g_autoptr(GString) text = g_string_new(NULL);
  char buffer[4096];
  GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(connection));
  for (gssize length; (length = g_input_stream_read(in, buffer, sizeof buffer, NULL, error)) != 0;) {
    if (length < 0)
      return NULL;
    g_string_append_len(text, buffer, length);
  }
  return g_strdup(text->str);
}
