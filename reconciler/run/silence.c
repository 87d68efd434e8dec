#include "reconciler/run/silence.h"

#include "state/fault.h"
#include "state/libvirt/connection.h"
#include "state/life_sign.h"

enum { PAUSE_SECONDS = 10, PATIENT_PAUSES = 12 };

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

static void tell(SilenceWatch *watch, const char *message) {
  g_mutex_lock(&watch->lock);
  if (!watch->stop && watch->silent)
    watch->silent(watch->data, message);
  watch->stop = TRUE;
  g_mutex_unlock(&watch->lock);
}

/* Another trouble than silence is the run's own to find. */
static void ask(SilenceWatch *watch) {
  g_autoptr(Connection) connection = connection_new(watch->uri, TRUE);
  g_autoptr(GError) error = NULL;
  if (!connection_get(connection, &error) && connection_opening_since(connection))
    tell(watch, error->message);
}

/* What was begun is found again by whoever looks next; who waits on is of no use to the other machines. */
static void listen(SilenceWatch *watch) {
  gint64 limit = (gint64)fault_patience(PAUSE_SECONDS) * PATIENT_PAUSES * G_USEC_PER_SEC, silence = life_silence();
  if (silence < limit)
    return;
  life_sign(); /* of the other end: time for what was given up to end */
  if (connections_give_up())
    return;
  g_autofree char *message = g_strdup_printf("the daemon answers, but not what it was asked for %u s ago: a machine's QEMU, or storage, hangs; "
                                             "the next run says which machine, where it can be told", (guint)(silence / G_USEC_PER_SEC));
  tell(watch, message);
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
  while (pause_is_over(watch)) {
    listen(watch);
    if (watch->silent)
      ask(watch);
  }
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
