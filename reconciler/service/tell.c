#include "reconciler/service/tell.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { MOST_WAITING = 100 };

typedef struct {
  char **command;
  GBytes *input;
  guint timeout; /* milliseconds */
} Message;

/* One command under way; it may outlive the teller. */
typedef struct {
  Teller *teller; /* NULL: gone */
  GBytes *input;
  gsize written;
  int pipe;      /* to its standard input; -1: closed */
  guint writing; /* source */
  guint timer;
  gboolean late;
} Running;

struct Teller {
  void (*failed)(gpointer data, const char *message);
  gpointer data;
  GQueue waiting; /* of Message * */
  GSubprocess *process; /* that runs; NULL: none */
  Running *running;
};

static void message_free(Message *message) {
  g_strfreev(message->command);
  g_bytes_unref(message->input);
  g_free(message);
}

static void stop_writing(Running *running) {
  g_clear_handle_id(&running->writing, g_source_remove);
  if (running->pipe >= 0)
    close(running->pipe);
  running->pipe = -1;
}

static void running_free(Running *running) {
  g_clear_handle_id(&running->timer, g_source_remove);
  stop_writing(running);
  g_bytes_unref(running->input);
  g_free(running);
}

static void start_next(Teller *teller);

static char *why_bad(GSubprocess *process, const Running *running) {
  if (running->late)
    return g_strdup("it took too long, and was ended");
  if (g_subprocess_get_if_signaled(process))
    return g_strdup_printf("it was ended by signal %d", g_subprocess_get_term_sig(process));
  if (g_subprocess_get_exit_status(process) != 0)
    return g_strdup_printf("it ended with status %d", g_subprocess_get_exit_status(process));
  return NULL;
}

static void on_ended(GObject *source, GAsyncResult *result, gpointer data) {
  Running *running = data;
  Teller *teller = running->teller;
  g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
  g_autofree char *why = teller ? why_bad(G_SUBPROCESS(source), running) : NULL;
  running_free(running);
  if (!teller)
    return;
  teller->running = NULL;
  g_clear_object(&teller->process);
  if (why)
    teller->failed(teller->data, why);
  start_next(teller);
}

/* It needn't read all of it, nor need whom it leaves behind: what counts is how it ends. */
static gboolean on_writable(int fd, GIOCondition condition, gpointer data) {
  (void)condition;
  Running *running = data;
  gsize length;
  const char *text = g_bytes_get_data(running->input, &length);
  gssize count = write(fd, text + running->written, length - running->written);
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  running->written += (gsize)MAX(count, 0);
  if (count >= 0 && running->written < length)
    return G_SOURCE_CONTINUE;
  running->writing = 0;
  stop_writing(running);
  return G_SOURCE_REMOVE;
}

/* With what it has started, as far as that stays in its process group. */
static void end_process(GSubprocess *process) {
  const char *id = g_subprocess_get_identifier(process);
  if (id)
    kill((pid_t)-g_ascii_strtoll(id, NULL, 10), SIGKILL);
}

static gboolean on_timeout(gpointer data) {
  Running *running = data;
  running->timer = 0;
  running->late = TRUE;
  end_process(running->teller->process);
  return G_SOURCE_REMOVE;
}

static void lead_a_group(gpointer data) {
  (void)data;
  setpgid(0, 0);
}

static GSubprocess *start(const Message *message, int *ret_pipe, GError **error) {
  GSubprocessFlags flags = G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE;
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(flags);
  int ends[2];
  if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
    return NULL;
  g_unix_set_fd_nonblocking(ends[1], TRUE, NULL);
  g_subprocess_launcher_take_stdin_fd(launcher, ends[0]);
  g_subprocess_launcher_set_child_setup(launcher, lead_a_group, NULL, NULL);
  GSubprocess *process = g_subprocess_launcher_spawnv(launcher, (const char *const *)message->command, error);
  if (process)
    *ret_pipe = ends[1];
  else
    close(ends[1]);
  return process;
}

static void start_next(Teller *teller) {
  Message *message;
  while (!teller->process && (message = g_queue_pop_head(&teller->waiting))) {
    g_autoptr(GError) error = NULL;
    int pipe = -1;
    teller->process = start(message, &pipe, &error);
    if (teller->process) {
      Running *running = teller->running = g_new0(Running, 1);
      *running = (Running){.teller = teller, .input = g_bytes_ref(message->input), .pipe = pipe};
      running->writing = g_unix_fd_add(pipe, G_IO_OUT | G_IO_ERR | G_IO_HUP, on_writable, running);
      running->timer = g_timeout_add(message->timeout, on_timeout, running);
      g_subprocess_wait_async(teller->process, NULL, on_ended, running);
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
  g_queue_init(&teller->waiting);
  return teller;
}

void teller_free(Teller *teller) {
  if (!teller)
    return;
  if (teller->running) {
    teller->running->teller = NULL;
    g_clear_handle_id(&teller->running->timer, g_source_remove);
    stop_writing(teller->running);
    end_process(teller->process);
  }
  g_clear_object(&teller->process);
  g_queue_clear_full(&teller->waiting, (GDestroyNotify)message_free);
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
