#include <string.h>

#include "reconciler/service/metrics.h"
#include "reconciler/service/socket.h"
#include "schema/configuration.h"

struct MetricsServer {
  const Metrics *metrics;
  RequestSocket *socket;
};

static char *response(const char *status, const char *type, const char *body) {
  return g_strdup_printf("HTTP/1.0 %s\r\nContent-Type: %s; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status, type,
                         strlen(body), body);
}

static char *answer(gpointer data, const char *request, int peer_uid) {
  (void)peer_uid;
  const MetricsServer *server = data;
  if (!g_str_has_prefix(request, "GET "))
    return response("405 Method Not Allowed", "text/plain", "only GET\n");
  gsize length = strcspn(request + 4, " ?\r\n");
  if (strncmp(request + 4, "/metrics", MAX(length, strlen("/metrics"))) != 0)
    return response("404 Not Found", "text/plain", "there is /metrics\n");
  g_autofree char *text = metrics_text(server->metrics);
  return response("200 OK", "text/plain; version=0.0.4", text);
}

MetricsServer *metrics_server_new(const char *address, const Metrics *metrics, GError **error) {
  g_autofree char *path = NULL, *host = NULL;
  guint16 port;
  if (!listen_address_parse(address, &path, &host, &port)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s isn't an address", address);
    return NULL;
  }
  MetricsServer *server = g_new0(MetricsServer, 1);
  server->metrics = metrics;
  SocketProtocol protocol = {.head = TRUE, .mode = 0666, .answer = answer, .data = server};
  server->socket = request_socket_new(path, host, port, &protocol, error);
  if (server->socket)
    return server;
  g_prefix_error(error, "metrics can't be offered at %s: ", address);
  g_free(server);
  return NULL;
}

void metrics_server_free(MetricsServer *server) {
  if (!server)
    return;
  request_socket_free(server->socket);
  g_free(server);
}
