#include "state/life_sign.h"

static GMutex lock;
static guint expecting, long_calls;
static gint64 last;

static void count(guint *number, gboolean on) {
  g_mutex_lock(&lock);
  *number += on ? 1 : (guint)-1;
  last = g_get_monotonic_time();
  g_mutex_unlock(&lock);
}

void life_expected(gboolean on) { count(&expecting, on); }
void life_long_call(gboolean on) { count(&long_calls, on); }

void life_sign(void) {
  g_mutex_lock(&lock);
  last = g_get_monotonic_time();
  g_mutex_unlock(&lock);
}

gint64 life_silence(void) {
  g_mutex_lock(&lock);
  gint64 silence = expecting > 0 && long_calls == 0 ? MAX(g_get_monotonic_time() - last, 1) : 0;
  g_mutex_unlock(&lock);
  return silence;
}
