/* The signals are blocked everywhere and waited for in a thread of their own, so that what
 * they do needs not be async-signal-safe. */
#include "reconciler/run/signals.h"

#include <pthread.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 10 };

typedef struct {
  GCancellable *cancel;
  void (*late)(void);
} Ending;

static void ending_signals(sigset_t *ret_set) {
  sigemptyset(ret_set);
  sigaddset(ret_set, SIGINT);
  sigaddset(ret_set, SIGTERM);
}

/* A second signal ends it at once; so does a call that a hanging daemon never answers, after a while. */
static gpointer wait_for_signals(gpointer data) {
  const Ending *ending = data;
  const struct timespec patience = {.tv_sec = PATIENCE_SECONDS};
  sigset_t set;
  int number = 0, again;
  ending_signals(&set);
  while (sigwait(&set, &number) != 0) {
  }
  g_cancellable_cancel(ending->cancel);
  while ((again = sigtimedwait(&set, NULL, &patience)) < 0 && errno == EINTR) {
  }
  if (again < 0 && ending->late)
    ending->late();
  _exit(128 + (again < 0 ? number : again));
}

void signals_cancel(GCancellable *cancel, void (*late)(void)) {
  static Ending ending;
  ending = (Ending){cancel, late};
  sigset_t set;
  ending_signals(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  g_thread_unref(g_thread_new("signals", wait_for_signals, &ending));
}
