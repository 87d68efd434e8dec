/* One live migration, peer to peer: what is asked of libvirt (migrate_params.c), and how it is watched and
 * made to end (migrate_watch.c). */
#pragma once
#include "reconciler/act/move.h"
#include "state/actual.h"

typedef struct {
  const char *peer;                  /* URI by which the source's libvirt reaches the target's */
  virTypedParameterPtr params;
  int n_params, most;
  unsigned int flags;
  guint64 downtime, timeout;         /* milliseconds */
  char *lost;                        /* why the call was given up, which libvirt doesn't end; NULL: it wasn't */
  gboolean unreached;                /* the source's libvirt has no connection to the target's, or lost it */
  gboolean stood;                    /* it was aborted because nothing was sent any more */
  gboolean stray;                    /* … because it went to another host than was asked whether it can take it */
  gboolean gave_up;                  /* it was aborted because it didn't converge: */
  ActualJob last;                    /* … how it stood then */
} Migration;

void migration_clear(Migration *migration);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Migration, migration_clear)

/* Flags and parameters of the action's arguments. */
gboolean migration_prepare(const ActionContext *context, const Action *action, virDomainPtr domain, Migration *migration, GError **error);

typedef struct {
  guint64 first_disks;        /* bytes of disks, when that was known first */
  gboolean memory;            /* the disks are there, and memory is sent */
  gint64 again;               /* when the first of it was sent again; 0: not yet */
  guint64 downtime;           /* milliseconds, as set last; 0: QEMU's own */
  gboolean switched, aborted; /* to post-copy, which can't be aborted; either is the end of the schedule */
} Schedule;

typedef struct {
  const ActionContext *context;
  const Action *action;
  Migration *migration;
  Schedule schedule;
  gboolean seen;    /* under way */
  gboolean sending; /* memory */
  gint64 next;      /* when it is looked at again */
  gint64 lost;      /* since when there is a reason to give the call up; 0: there is none */
  gboolean arrives; /* on its new home, or that can't be told */
  gint64 moved;     /* when something of it was seen to be sent; 0: not yet */
} MigrationWatch;
/* A look at how it goes (a LongWatch): shows it, and does what is due. */
gboolean migration_look(virDomainPtr domain, gpointer migration_watch);
