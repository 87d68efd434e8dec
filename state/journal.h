/* The journal: runs and their actions, written before and after each act, what the service saw
 * of the host, and a cache of digests. SQLite (state/database.h) in the state directory. Losing it
 * loses history and time, not truth. Thread-safe. Times are microseconds since 1970, UTC. */
#pragma once
#include <glib.h>

typedef struct Journal Journal;

typedef enum {
  JOURNAL_READ,    /* history; works while another process writes */
  JOURNAL_DIGESTS, /* a dry run: history, and digests are kept; no lock */
  JOURNAL_WRITE,   /* the one writer, by a lock that ends with the process */
} JournalMode;

#define JOURNAL_ERROR (journal_error_quark())
GQuark journal_error_quark(void);
typedef enum {
  JOURNAL_ERROR_LOCKED, /* another process writes; the message says which */
  JOURNAL_ERROR_ABSENT, /* JOURNAL_READ: there is none yet */
  JOURNAL_ERROR_CORRUPT,
  JOURNAL_ERROR_NEWER,  /* written by a newer version */
  JOURNAL_ERROR_IO,
} JournalError;

/* $XDG_STATE_HOME/reconcile; where that isn't set /var/lib/reconcile for root, and
 * ~/.local/state/reconcile for others. Free it. */
char *journal_default_dir(void);

/* Opens DIR/journal.db; directory (0700) and file are made where the mode writes. In
 * JOURNAL_WRITE a corrupt file is moved aside to journal.db.corrupt-TIME, a new one made, and
 * ret_warning (may be NULL) says so; free it. */
Journal *journal_open(const char *dir, JournalMode mode, char **ret_warning, GError **error);
void journal_close(Journal *journal); /* accepts NULL; releases the lock */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Journal, journal_close)

/* JOURNAL_WRITE: opens it anew where it or its lock was removed while it was in use, or it was found corrupt; ret_warning
 * says so, to be freed; NULL: all is in place. FALSE: nothing can be written until this succeeds. */
gboolean journal_renew(Journal *journal, char **ret_warning, GError **error);

const char *journal_dir(const Journal *journal); /* the state directory: others keep files there too */

/* Writing: JOURNAL_WRITE only. Old runs beyond the last 1,000 are dropped at run_begin. */
typedef struct {
  const char *source, *revision /* or NULL */, *uri;
  const char *cause; /* what the run was begun for; NULL: somebody ran it */
  gboolean rewritten; /* the revision didn't follow from the one before */
} JournalBegin;
gboolean journal_run_begin(Journal *journal, const JournalBegin *begin, gint64 *ret_run, GError **error);
gboolean journal_run_end(Journal *journal, gint64 run, int exit_status, const char *summary, GError **error);
/* Before the act. */
#define JOURNAL_NO_EPOCH G_GINT64_CONSTANT(-1)
typedef struct {
  const char *action; /* unique in the run */
  const char *object, *kind, *description;
  const char *target; /* host of the fleet that it goes to; NULL: stays */
  gint64 epoch;       /* of the copy that is there then; JOURNAL_NO_EPOCH: none is given, or nobody knows */
  const char *uri;    /* of the host where it is then; NULL: no fleet's */
} JournalActionBegin;
gboolean journal_action_begin(Journal *journal, gint64 run, const JournalActionBegin *begin, GError **error);
gboolean journal_action_end(Journal *journal, gint64 run, const char *action, const char *result,
                            const char *message /* or NULL */, GError **error);

/* How many machines were deleted since then; host: of a fleet, or NULL. */
#define JOURNAL_UNKNOWN G_MAXUINT /* that can't be read */
guint journal_deletions_since(Journal *journal, const char *host, gint64 since);

/* The host of a fleet that a machine was made on, moved to, or seen on last, and wasn't deleted from; or that a move may have brought it to. */
typedef struct {
  char *host, *uri; /* uri: as it was asked then; NULL: an older version wrote it */
  gint64 epoch;     /* of the copy there; JOURNAL_NO_EPOCH: an older version wrote it */
  char *source;     /* whose run it was */
  gboolean ran;     /* a look has seen that copy run there, before its move was over */
  gboolean sent;    /* a migration that broke off put it there, as far as is known: nobody has seen it since */
} JournalPlace;
/* machine → JournalPlace *, of this source; also of runs that were dropped meanwhile. formerly: what the source was called before; may be NULL. */
GHashTable *journal_whereabouts(Journal *journal, const char *source, const char *const *formerly, GError **error);
JournalPlace *journal_place_new(const JournalPlace *like);
/* What a look showed after all that was noted so far, of a machine of the place's source. JOURNAL_WRITE. */
gboolean journal_note_place(Journal *journal, const char *machine, const JournalPlace *place /* host NULL: nowhere */, GError **error);

/* The highest epoch of a machine that was noted; 0: none. A lower one than before is no news. */
gboolean journal_epoch(Journal *journal, gint64 *ret_epoch, GError **error);
gboolean journal_note_epoch(Journal *journal, gint64 epoch, GError **error); /* JOURNAL_WRITE */

/* What is written in between is written at once, by journal_keep; FALSE: none of it was. */
void journal_gather(Journal *journal);
gboolean journal_keep(Journal *journal, GError **error);

/* Reading. */
typedef struct {
  gint64 id, started, ended; /* ended 0: it didn't end */
  gboolean running;          /* not ended, and its process still holds the lock; else it was interrupted */
  gint64 pid;
  char *source, *revision, *uri, *cause;
  gboolean rewritten;        /* the revision didn't follow from the one before */
  int exit_status;           /* -1 when not ended */
  char *summary;
  guint n_actions, n_failed;
} JournalRun;

typedef struct {
  char *id, *object, *kind, *description;
  gint64 started, ended; /* ended 0: it didn't end, or is under way */
  char *result, *message; /* NULL when not ended */
} JournalAction;

GPtrArray *journal_runs(Journal *journal, guint limit /* 0: all */, GError **error);    /* JournalRun *, newest first */
GPtrArray *journal_actions(Journal *journal, gint64 run, GError **error); /* JournalAction *, as begun */

/* What the host told while the service watched. Of a file of an older format there are none. */
typedef struct {
  gint64 time;
  char *uri;    /* of the connection that told it, as libvirt has it; may be NULL */
  char *object; /* "vm/web-1"; NULL: the host */
  char *kind;   /* "lifecycle", "watchdog", …; "watch" (begun): what came before may have been missed */
  char *detail; /* "stopped (crashed)"; may be NULL */
} JournalEvent;
void journal_event_free(JournalEvent *event); /* accepts NULL */
/* In one go. Beyond the last 10,000 the oldest are dropped. */
gboolean journal_events_add(Journal *journal, const GPtrArray *events /* of JournalEvent * */, GError **error);
/* JournalEvent *, newest first: of this object and of the host; object NULL: of all. */
GPtrArray *journal_events(Journal *journal, const char *object, guint limit /* 0: all */, GError **error);

/* Digests of files, valid while device, inode, size and time of change are the same. */
typedef struct {
  guint64 device, inode, size;
  gint64 mtime_ns;
} FileIdentity;
gboolean file_identity_of(int fd, FileIdentity *ret_identity, GError **error);
/* NULL when unknown or out of date; the caller then computes it. Trouble counts as unknown. */
char *journal_digest_find(Journal *journal, const char *path, const FileIdentity *identity);
/* Best effort; nothing in JOURNAL_READ, nor for a file written in the last two seconds: somebody may still
 * write to it without changing its times. _keep has no such doubt: we wrote it. */
void journal_digest_store(Journal *journal, const char *path, const FileIdentity *identity, const char *sha256);
void journal_digest_keep(Journal *journal, const char *path, const FileIdentity *identity, const char *sha256);
