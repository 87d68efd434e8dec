/* One JSON line in, one JSON document out. Anyone who reaches the socket may ask for the state; only the
 * service's user and root may have it work. */
#include <unistd.h>

#include "reconciler/plan/json.h"
#include "reconciler/service/service.h"

static void add_waiting(gpointer data, const char *id, gint64 until, guint failures, const char *why) {
  gint64 from_now = until - g_get_monotonic_time();
  json_object_set_new(data, id, json_pack("{s:o, s:i, s:o}", "until", json_time(g_get_real_time() + from_now), "failures", (int)failures,
                                          "why", json_text(why)));
}

static json_t *state_json(const Service *service) {
  const Metrics *metrics = &service->metrics;
  json_t *waiting = json_object();
  backoff_each(service->backoff, g_get_monotonic_time(), add_waiting, waiting);
  json_t *root = json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "formatVersion", 1, "pid", (int)getpid(), "started",
                           json_time(service->started), "source", json_text(metrics->source), "revision", json_text(metrics->revision),
                           "sourceRead", json_time(metrics->last_read), "sourceError", json_text(service->source_error), "waiting", waiting);
  json_object_set_new(root, "stateDir", json_text(service->config->state_dir));
  hosts_describe(service->hosts, root);
  json_object_set_new(root, "hostError", json_text(service->host_error));
  json_object_set_new(root, "busy", json_boolean(service->pass_busy || service->look || service->reading_busy));
  json_object_set_new(root, "passSince", json_time(service->pass_busy ? service->pass_since : 0));
  json_object_set_new(root, "suspended", json_boolean(given(&service->config->spec, ServiceSpec, suspend) && service->config->spec.suspend));
  json_object_set_new(root, "lastPass", json_time(metrics->last_pass));
  json_object_set_new(root, "lastApplied", json_time(metrics->last_applied));
  json_object_set_new(root, "passes", json_integer((json_int_t)metrics->passes));
  json_object_set_new(root, "idlePasses", json_integer((json_int_t)metrics->idle_passes));
  json_object_set_new(root, "pendingRestart", json_integer((json_int_t)metrics->pending));
  json_object_set(root, "objects", service->verdicts);
  return root;
}

static json_t *trigger(Service *service, int peer_uid) {
  if (peer_uid != 0 && peer_uid != (int)geteuid())
    return json_pack("{s:s}", "error", "only root and the service's own user may trigger it");
  backoff_forget(service->patience, NULL);
  service->forget = TRUE;
  sources_read(service, TRUE);
  hosts_retry(service->hosts);
  passes_look_at_all(service, "somebody asked for it");
  return json_pack("{s:b}", "triggered", 1);
}

static char *answer(gpointer data, const char *request, int peer_uid) {
  Service *service = data;
  json_auto_t *asked = json_loads(request, 0, NULL);
  const char *command = json_string_value(json_object_get(asked, "command"));
  json_auto_t *reply = g_strcmp0(command, "status") == 0    ? state_json(service)
                       : g_strcmp0(command, "trigger") == 0 ? trigger(service, peer_uid)
                                                            : json_pack("{s:s}", "error", "the commands are status and trigger");
  g_autofree char *text = json_dumps(reply, JSON_COMPACT);
  return g_strconcat(text, "\n", NULL);
}

gboolean control_configure(Service *service, const char *path, GError **error) {
  SocketProtocol protocol = {.mode = 0666, .answer = answer, .data = service};
  RequestSocket *control = request_socket_new(path, NULL, 0, &protocol, error);
  if (!control) {
    g_prefix_error(error, "the control socket can't be made: ");
    return FALSE;
  }
  request_socket_free(service->control);
  service->control = control;
  return TRUE;
}
