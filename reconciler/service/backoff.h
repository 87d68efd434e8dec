/* Patience, object by object: who fails is tried again later and later, and who is acted on again and
 * again (a machine that stops as soon as it is started, a value that somebody keeps changing back)
 * is acted on less and less often. Pure, but for wait_spread: times are microseconds of one clock, and given. */
#pragma once
#include <glib.h>

typedef struct {
  gint64 first, most; /* the least and the longest wait */
  gint64 calm;        /* after so long without failure or act an object's past is forgotten */
  guint free_acts;    /* so many acts in a row cost nothing */
} BackoffTimes;
extern const BackoffTimes backoff_times_default; /* 5 s, 10 min, 10 min, 3 */

typedef struct Backoff Backoff;
/* A tenth more or less, so that many hosts don't ask their server at the same moment. */
guint64 wait_spread(guint64 milliseconds);

Backoff *backoff_new(const BackoffTimes *times, guint32 seed /* of the jitter, ±20 % */);
void backoff_free(Backoff *backoff);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Backoff, backoff_free)

void backoff_failed(Backoff *backoff, const char *id, gint64 now, const char *why);
void backoff_acted(Backoff *backoff, const char *id, gint64 now);
/* It is as it should be, and nothing was done to it. */
void backoff_in_sync(Backoff *backoff, const char *id, gint64 now);
void backoff_forget(Backoff *backoff, const char *id /* NULL: all */);

/* When it may be tried again; 0: now. ret_why (may be NULL) is borrowed: what failed, or NULL. */
gint64 backoff_until(const Backoff *backoff, const char *id, gint64 now, const char **ret_why);
/* The next time at which somebody may be tried again; 0: nobody waits. */
gint64 backoff_next(const Backoff *backoff, gint64 now);
guint backoff_waiting(const Backoff *backoff, gint64 now);
/* Called for each object that waits. */
typedef void (*BackoffFunction)(gpointer data, const char *id, gint64 until, guint failures, const char *why);
void backoff_each(const Backoff *backoff, gint64 now, BackoffFunction function, gpointer data);
