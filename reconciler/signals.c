/* The signals are blocked everywhere and waited for in a thread of their own, so that what
 * they do needs not be async-signal-safe. */
#include "reconciler/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static void ending_signals(sigset_t *ret_set) {
  sigemptyset(ret_set);
  sigaddset(ret_set, SIGINT);
  sigaddset(ret_set, SIGTERM);
}

static gpointer wait_for_signals(gpointer data) {
  sigset_t set;
  int number = 0;
  ending_signals(&set);
  while (sigwait(&set, &number) != 0) {
  }
  g_cancellable_cancel(data);
  while (sigwait(&set, &number) != 0) {
  }
  _exit(128 + number);
}

void signals_cancel(GCancellable *cancel) {
  sigset_t set;
  ending_signals(&set);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  g_thread_unref(g_thread_new("signals", wait_for_signals, cancel));
}
