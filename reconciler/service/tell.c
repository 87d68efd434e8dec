#include "reconciler/service/tell.h"

#include <string.h>

enum { MOST_WAITING = 100 };

typedef struct {
  char **command;
  GBytes *input;
  guint timeout; /* milliseconds */
} Message;

struct Teller {
  void (*failed)(gpointer data, const char *message);
  gpointer data;
  GQueue waiting; /* of Message * */
  GSubprocess *running;
  GCancellable *cancel;
  guint timer;
};

static void message_free(Message *message) {
  g_strfreev(message->command);
  g_bytes_unref(message->input);
  g_free(message);
}

static void start_next(Teller *teller);

static void on_ended(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  GSubprocess *process = G_SUBPROCESS(source);
  gboolean ended = g_subprocess_communicate_finish(process, result, NULL, NULL, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* so is the teller */
  Teller *teller = data;
  g_autofree char *why = NULL;
  if (!ended)
    why = g_strdup(error->message);
  else if (g_subprocess_get_if_signaled(process))
    why = g_strdup_printf("it was ended by signal %d%s", g_subprocess_get_term_sig(process), teller->timer ? "" : ": it took too long");
  else if (g_subprocess_get_exit_status(process) != 0)
    why = g_strdup_printf("it ended with status %d", g_subprocess_get_exit_status(process));
  g_clear_handle_id(&teller->timer, g_source_remove);
  g_clear_object(&teller->running);
  if (why)
    teller->failed(teller->data, why);
  start_next(teller);
}

static gboolean on_timeout(gpointer data) {
  Teller *teller = data;
  teller->timer = 0;
  g_subprocess_force_exit(teller->running);
  return G_SOURCE_REMOVE;
}

static void start_next(Teller *teller) {
  Message *message;
  while (!teller->running && (message = g_queue_pop_head(&teller->waiting))) {
    g_autoptr(GError) error = NULL;
    GSubprocessFlags flags = G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE;
    teller->running = g_subprocess_newv((const char *const *)message->command, flags, &error);
    if (teller->running) {
      teller->timer = g_timeout_add(message->timeout, on_timeout, teller);
      g_subprocess_communicate_async(teller->running, message->input, teller->cancel, on_ended, teller);
    } else {
      teller->failed(teller->data, error->message);
    }
    message_free(message);
  }
}

Teller *teller_new(void (*failed)(gpointer data, const char *message), gpointer data) {
  Teller *teller = g_new0(Teller, 1);
  teller->failed = failed;
  teller->data = data;
  teller->cancel = g_cancellable_new();
  g_queue_init(&teller->waiting);
  return teller;
}

void teller_free(Teller *teller) {
  if (!teller)
    return;
  g_cancellable_cancel(teller->cancel);
  g_clear_handle_id(&teller->timer, g_source_remove);
  if (teller->running)
    g_subprocess_force_exit(teller->running);
  g_clear_object(&teller->running);
  g_queue_clear_full(&teller->waiting, (GDestroyNotify)message_free);
  g_object_unref(teller->cancel);
  g_free(teller);
}

void teller_tell(Teller *teller, const Config *config, NotifyEvent event, json_t *document) {
  if (config_tells(config, event)) {
    char *text = json_dumps(document, JSON_COMPACT);
    Message *message = g_new0(Message, 1);
    message->command = g_strdupv(config->spec.notify.command);
    message->timeout = (guint)config->spec.notify.timeout;
    message->input = g_bytes_new_take(text, strlen(text));
    g_queue_push_tail(&teller->waiting, message);
    if (g_queue_get_length(&teller->waiting) > MOST_WAITING)
      message_free(g_queue_pop_head(&teller->waiting));
    start_next(teller);
  }
  json_decref(document);
}
