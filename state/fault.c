#include "state/fault.h"

#ifdef RECONCILE_FAULTS
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *path, const char *name) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  g_autofree char *line = g_strconcat(name, "\n", NULL);
  if (fd < 0 || write(fd, line, strlen(line)) < 0)
    abort(); /* the test would count wrongly */
  if (fd >= 0)
    close(fd);
}

gint64 fault_now(gint64 now) {
  const char *instead = getenv("RECONCILE_NOW");
  return instead != NULL ? g_ascii_strtoll(instead, NULL, 10) : now;
}

guint fault_patience(guint seconds) {
  const char *instead = getenv("RECONCILE_PATIENCE");
  return instead != NULL ? (guint)atoi(instead) : seconds;
}

static gboolean is_at(const char *at, const char *name, gint number) {
  static gint met;
  const char *time = strrchr(at, '#');
  if (time == NULL)
    return atoi(at) == number || g_str_equal(at, name);
  return strlen(name) == (size_t)(time - at) && g_str_has_prefix(at, name) && g_atomic_int_add(&met, 1) + 1 == atoi(time + 1);
}

void fault_passed(const char *name) {
  static gint passed;
  gint number = g_atomic_int_add(&passed, 1) + 1;
  const char *log = getenv("RECONCILE_FAULT_LOG"), *at = getenv("RECONCILE_FAULT_AT");
  const char *command = getenv("RECONCILE_FAULT_COMMAND");
  if (log != NULL)
    note(log, name);
  if (at == NULL || !is_at(at, name, number))
    return;
  if (command == NULL)
    kill(getpid(), SIGKILL);
  else if (system(command) != 0)
    abort();
}

void fault_passed_in(const char *name, const char *where) {
  g_autofree char *whole = g_strconcat(name, ": ", where, NULL);
  fault_passed(whole);
}
#else
typedef int fault_is_not_built; /* an empty unit isn't C */
#endif
