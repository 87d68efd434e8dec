#include "state/libvirt/event_loop.h"

#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <sys/socket.h>

/* A file descriptor that is watched, or a timer. */
typedef struct {
  int id;
  int fd;              /* borrowed, open until the watch is removed; -1: a timer */
  gconstpointer connection; /* … is this one's socket; NULL: none's */
  int wanted;          /* events; or milliseconds, -1: never */
  gint64 due;          /* of a timer, on the monotonic clock: its source may be ready before */
  GSource *source;     /* NULL: nothing is wanted */
  virEventHandleCallback ready;
  virEventTimeoutCallback over;
  void *opaque;
  virFreeCallback release;
} Watch;

static GMutex lock;
static GHashTable *watches; /* id → Watch *, owned: those that aren't removed */
static int last_id;
static __thread gconstpointer opening;

void event_loop_opening(gconstpointer connection) { opening = connection; }

static const struct {
  int event;
  GIOCondition condition;
} conditions[] = {
    {.event = VIR_EVENT_HANDLE_READABLE, .condition = G_IO_IN}, {.event = VIR_EVENT_HANDLE_WRITABLE, .condition = G_IO_OUT},
    {.event = VIR_EVENT_HANDLE_ERROR, .condition = G_IO_ERR},   {.event = VIR_EVENT_HANDLE_ERROR, .condition = G_IO_NVAL},
    {.event = VIR_EVENT_HANDLE_HANGUP, .condition = G_IO_HUP},
};

static GIOCondition condition_of(int events) {
  GIOCondition condition = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(conditions); i++)
    condition |= events & conditions[i].event ? conditions[i].condition : 0;
  return condition;
}

static int events_of(GIOCondition condition) {
  int events = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(conditions); i++)
    events |= condition & conditions[i].condition ? conditions[i].event : 0;
  return events;
}

static gboolean on_ready(int fd, GIOCondition condition, gpointer data) {
  const Watch *watch = data;
  watch->ready(watch->id, fd, events_of(condition), watch->opaque);
  return G_SOURCE_CONTINUE;
}

static gint64 due_in(int milliseconds) { return g_get_monotonic_time() + (gint64)milliseconds * 1000; }

static gboolean on_over(gpointer data) {
  Watch *watch = data;
  g_mutex_lock(&lock);
  gboolean over = watch->due <= g_get_monotonic_time();
  if (over)
    watch->due = due_in(watch->wanted);
  if (watch->source != NULL)
    g_source_set_ready_time(watch->source, watch->due);
  g_mutex_unlock(&lock);
  if (over)
    watch->over(watch->id, watch->opaque);
  return G_SOURCE_CONTINUE;
}

static gboolean dispatch_timer(GSource *source, GSourceFunc callback, gpointer data) {
  (void)source;
  return callback(data);
}

static GSource *timer_new(gint64 due) {
  static GSourceFuncs functions = {.dispatch = dispatch_timer};
  GSource *source = g_source_new(&functions, sizeof(GSource));
  g_source_set_ready_time(source, due);
  return source;
}

static void ask_for_nothing(Watch *watch) {
  if (watch->source == NULL)
    return;
  g_source_destroy(watch->source);
  g_clear_pointer(&watch->source, g_source_unref);
}

static void ask_for(Watch *watch, int wanted) {
  gboolean timer = watch->fd < 0;
  ask_for_nothing(watch);
  watch->wanted = wanted;
  if (timer ? wanted < 0 : wanted == 0)
    return;
  watch->due = timer ? due_in(wanted) : 0;
  watch->source = timer ? timer_new(watch->due) : g_unix_fd_source_new(watch->fd, condition_of(wanted));
  g_source_set_callback(watch->source, timer ? on_over : G_SOURCE_FUNC(on_ready), watch, NULL);
  g_source_attach(watch->source, NULL);
}

static int add(Watch *watch, int wanted) {
  g_mutex_lock(&lock);
  int id = watch->id = ++last_id;
  g_hash_table_insert(watches, &watch->id, watch);
  ask_for(watch, wanted);
  g_mutex_unlock(&lock);
  return id;
}

/* A timer begins anew. libvirt's keepalive has it do so with each message: the loop isn't woken for what is only put off. */
static void update(int id, int wanted) {
  g_mutex_lock(&lock);
  Watch *watch = g_hash_table_lookup(watches, &id);
  if (watch != NULL && watch->wanted != wanted)
    ask_for(watch, wanted);
  else if (watch != NULL && watch->fd < 0 && wanted >= 0)
    watch->due = due_in(wanted);
  g_mutex_unlock(&lock);
}

/* By the loop itself: whoever removes a watch may hold what this asks for, and the loop may be in its callback. */
static gboolean release_removed(gpointer data) {
  Watch *watch = data;
  if (watch->release != NULL)
    watch->release(watch->opaque);
  g_free(watch);
  return G_SOURCE_REMOVE;
}

static int remove_watch(int id) {
  g_mutex_lock(&lock);
  Watch *watch = g_hash_table_lookup(watches, &id);
  if (watch != NULL) {
    g_hash_table_remove(watches, &id);
    ask_for_nothing(watch);
    if (watch->connection != NULL)
      shutdown(watch->fd, SHUT_RDWR);
    g_idle_add_full(G_PRIORITY_HIGH, release_removed, watch, NULL);
  }
  g_mutex_unlock(&lock);
  return watch != NULL ? 0 : -1;
}

void event_loop_shut(gconstpointer connection) {
  GHashTableIter iter;
  gpointer each;
  g_mutex_lock(&lock);
  g_hash_table_iter_init(&iter, watches);
  while (g_hash_table_iter_next(&iter, NULL, &each)) {
    const Watch *watch = each;
    if (watch->connection != NULL && (connection == NULL || watch->connection == connection))
      shutdown(watch->fd, SHUT_RDWR);
  }
  g_mutex_unlock(&lock);
}

static gboolean is_stream(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static int add_handle(int fd, int events, virEventHandleCallback ready, void *opaque, virFreeCallback release) {
  Watch *watch = g_new0(Watch, 1);
  *watch = (Watch){.fd = fd, .connection = is_stream(fd) ? opening : NULL, .ready = ready, .opaque = opaque, .release = release};
  return add(watch, events);
}

static int add_timeout(int milliseconds, virEventTimeoutCallback over, void *opaque, virFreeCallback release) {
  Watch *watch = g_new0(Watch, 1);
  *watch = (Watch){.fd = -1, .over = over, .opaque = opaque, .release = release};
  return add(watch, milliseconds);
}

void event_loop_register(void) {
  watches = g_hash_table_new(g_int_hash, g_int_equal);
  virEventRegisterImpl(add_handle, update, remove_watch, add_timeout, update, remove_watch);
}
