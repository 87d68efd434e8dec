#include "state/libvirt/event_loop.h"

#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* A file descriptor that is watched, or a timer. */
typedef struct {
  int id;
  int fd;              /* borrowed, open until the watch is removed; -1: a timer */
  gconstpointer connection; /* … is this one's socket; NULL: none's */
  int wanted;          /* events; or milliseconds, -1: never */
  gint64 due;          /* of a timer, on the monotonic clock: its source may be ready before */
  GSource *source;     /* of a timer that runs */
  virEventHandleCallback ready;
  virEventTimeoutCallback over;
  void *opaque;
  virFreeCallback release;
} Watch;

enum { READY = 32 }; /* at once */

static GMutex lock;
static GHashTable *watches; /* id → Watch *, owned: those that aren't removed */
static int last_id;
/* All file descriptors, so that the loop isn't woken to hear which of them are watched: libvirt's client stops to watch its socket, and
 * begins again, around each call that waits, which is several times a call. */
static int poller = -1;
static __thread gconstpointer opening;

void event_loop_opening(gconstpointer connection) { opening = connection; }

static const struct {
  int event;
  guint32 condition;
} conditions[] = {
    {.event = VIR_EVENT_HANDLE_READABLE, .condition = EPOLLIN}, {.event = VIR_EVENT_HANDLE_WRITABLE, .condition = EPOLLOUT},
    {.event = VIR_EVENT_HANDLE_ERROR, .condition = EPOLLERR},   {.event = VIR_EVENT_HANDLE_HANGUP, .condition = EPOLLHUP},
};

static guint32 condition_of(int events) {
  guint32 condition = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(conditions); i++)
    condition |= events & conditions[i].event ? conditions[i].condition : 0;
  return condition;
}

static int events_of(guint32 condition) {
  int events = 0;
  for (gsize i = 0; i < G_N_ELEMENTS(conditions); i++)
    events |= condition & conditions[i].condition ? conditions[i].event : 0;
  return events;
}

/* One that is removed meanwhile lives until the loop, which is who asks, comes to release it. */
static void tell_ready(int id, guint32 condition) {
  g_mutex_lock(&lock);
  const Watch *watch = g_hash_table_lookup(watches, &id);
  gboolean wanted = watch != NULL && watch->wanted != 0;
  g_mutex_unlock(&lock);
  if (wanted)
    watch->ready(id, watch->fd, events_of(condition), watch->opaque);
}

static gboolean on_ready(int fd, GIOCondition condition, gpointer data) {
  (void)condition, (void)data;
  struct epoll_event ready[READY];
  int n = epoll_wait(fd, ready, READY, 0);
  for (int i = 0; i < n; i++)
    tell_ready((int)ready[i].data.u32, ready[i].events);
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

static void stop_timer(Watch *watch) {
  if (watch->source == NULL)
    return;
  g_source_destroy(watch->source);
  g_clear_pointer(&watch->source, g_source_unref);
}

static void ask_for_time(Watch *watch, int milliseconds) {
  stop_timer(watch);
  watch->wanted = milliseconds;
  if (milliseconds < 0)
    return;
  watch->due = due_in(milliseconds);
  watch->source = timer_new(watch->due);
  g_source_set_callback(watch->source, on_over, watch, NULL);
  g_source_attach(watch->source, NULL);
}

/* One of which nothing is wanted isn't watched at all: its end would be told again and again. */
static gboolean ask_for_events(Watch *watch, int events) {
  struct epoll_event event = {.events = condition_of(events), .data.u32 = (guint32)watch->id};
  int change = events == 0 ? EPOLL_CTL_DEL : watch->wanted == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  gboolean fine = events == watch->wanted || epoll_ctl(poller, change, watch->fd, &event) == 0;
  watch->wanted = events;
  return fine;
}

static gboolean ask_for(Watch *watch, int wanted) {
  if (watch->fd >= 0)
    return ask_for_events(watch, wanted);
  ask_for_time(watch, wanted);
  return TRUE;
}

/* -1: this can't be watched. libvirt does without then. */
static int add(Watch *watch, int wanted) {
  g_mutex_lock(&lock);
  watch->id = ++last_id;
  int id = ask_for(watch, wanted) ? watch->id : -1;
  if (id >= 0)
    g_hash_table_insert(watches, &watch->id, watch);
  else
    g_free(watch);
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
    ask_for(watch, watch->fd >= 0 ? 0 : -1);
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
  poller = epoll_create1(EPOLL_CLOEXEC);
  g_unix_fd_add(poller, G_IO_IN, on_ready, NULL);
  virEventRegisterImpl(add_handle, update, remove_watch, add_timeout, update, remove_watch);
}
