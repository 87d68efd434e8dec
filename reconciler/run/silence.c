#include "reconciler/run/silence.h"

#include "state/fault.h"
#include "state/libvirt/connection.h"

enum { PAUSE_SECONDS = 20 };

struct SilenceWatch {
  char *uri;
  void (*silent)(gpointer data, const char *message);
  gpointer data;
  GMutex lock;
  GCond stopped;
  gboolean stop;
  gint refs; /* the thread may be at its question when the run is over */
};

static void watch_unref(SilenceWatch *watch) {
  if (!g_atomic_int_dec_and_test(&watch->refs))
    return;
  g_mutex_clear(&watch->lock);
  g_cond_clear(&watch->stopped);
  g_free(watch->uri);
  g_free(watch);
}

/* Another trouble than silence is the run's own to find. */
static void ask(SilenceWatch *watch) {
  g_autoptr(Connection) connection = connection_new(watch->uri, TRUE);
  g_autoptr(GError) error = NULL;
  if (connection_get(connection, &error) || !connection_opening_since(connection))
    return;
  g_mutex_lock(&watch->lock);
  if (!watch->stop)
    watch->silent(watch->data, error->message);
  watch->stop = TRUE;
  g_mutex_unlock(&watch->lock);
}

static gboolean pause_is_over(SilenceWatch *watch) {
  gint64 until = g_get_monotonic_time() + fault_patience(PAUSE_SECONDS) * G_USEC_PER_SEC;
  g_mutex_lock(&watch->lock);
  while (!watch->stop && g_cond_wait_until(&watch->stopped, &watch->lock, until))
    ;
  gboolean going = !watch->stop;
  g_mutex_unlock(&watch->lock);
  return going;
}

static gpointer keep_asking(gpointer data) {
  SilenceWatch *watch = data;
  while (pause_is_over(watch))
    ask(watch);
  watch_unref(watch);
  return NULL;
}

SilenceWatch *silence_watch_new(const char *uri, void (*silent)(gpointer data, const char *message), gpointer data) {
  SilenceWatch *watch = g_new0(SilenceWatch, 1);
  *watch = (SilenceWatch){.uri = g_strdup(uri), .silent = silent, .data = data, .refs = 2};
  g_mutex_init(&watch->lock);
  g_cond_init(&watch->stopped);
  g_thread_unref(g_thread_new("silence", keep_asking, watch));
  return watch;
}

void silence_watch_free(SilenceWatch *watch) {
  if (!watch)
    return;
  g_mutex_lock(&watch->lock);
  watch->stop = TRUE;
  g_cond_signal(&watch->stopped);
  g_mutex_unlock(&watch->lock);
  watch_unref(watch);
}
