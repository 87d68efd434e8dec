/* What goes on during an apply. On a terminal each running action has a line of its own that is
 * drawn anew; elsewhere (a log) an action has a line at its start and at its end, and a long
 * one every ten seconds. */
#pragma once
#include <stdio.h>
#include "reconciler/report/report.h"

typedef struct {
  FILE *out;
  gboolean terminal;
  guint columns;        /* of the terminal; 0: unknown */
  gint64 (*now)(void);  /* microseconds; g_get_monotonic_time */
} ProgressOutput;

typedef struct Progress Progress;
Progress *progress_new(const ProgressOutput *output, const ReportView *view);
void progress_free(Progress *progress); /* accepts NULL; leaves the cursor on an empty line */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)

/* As in RunEvents, with the Progress as data. */
void progress_started(gpointer progress, const Plan *plan, const Action *action);
void progress_step(gpointer progress, const Action *action, guint64 done, guint64 total, const char *phase);
void progress_ended(gpointer progress, const Plan *plan, const ActionResult *result);
