/* What people and programs see of a run: one format per file, chosen by -o. Formats write
 * text into a string and nothing else; the command line prints it. */
#pragma once
#include "reconciler/run/pipeline.h"

typedef struct {
  gboolean color;   /* terminal escapes of ours */
  gboolean unicode; /* arrows and bullets; otherwise ASCII */
  gboolean quiet, verbose;
  gboolean dry_run;
  guint allow; /* as in RunOptions: what isn't allowed is marked */
} ReportView;

typedef struct {
  const char *name; /* as for -o */
  /* The plan, before anything is done; NULL: the format is one document, written at the end. */
  void (*plan)(GString *out, const Plan *plan, const ReportView *view);
  /* The end of a run; for formats without plan() all of it. */
  void (*result)(GString *out, const RunResult *result, const ReportView *view);
  /* An error before there could be a result (a wrong option, say); NULL: nothing but standard error. */
  void (*failure)(GString *out, const GError *error, const Diagnostics *diagnostics);
} ReportFormat;

extern const ReportFormat report_text, report_json, report_markdown;
const ReportFormat *report_format(const char *name); /* NULL when unknown */

/* Shared by the formats. */

extern const char *const result_words[RESULT_CANCELLED + 1]; /* "pending", "done", … */

/* "2 to create, 1 to update, 0 to delete, 5 unchanged"; rarer counts follow when there are any. */
void report_append_counts(GString *out, const PlanSummary *summary);
/* "1 action", "7 actions"; `plural` NULL: with an s. */
void report_append_number(GString *out, guint number, const char *singular, const char *plural);
/* "+", "~", "-", "!", "?", "=" */
const char *report_symbol(ChangeKind change);
/* "live", "at the next start", "pending restart", "refused: …"; to be freed. Not escaped. */
char *report_effect(const FieldChange *change);
/* Why the action may not run under --allow as given, or NULL. */
const char *report_forbidden(const Action *action, const ReportView *view);
/* Whether there is something to say about the object. */
gboolean report_is_notable(const PlanObject *object, const GPtrArray *actions);
/* Object id → GPtrArray of its Action *, in order. */
GHashTable *report_actions(const Plan *plan);
/* How many results are of this kind. */
guint report_count(const GPtrArray *results, ResultKind kind);

/* The main fields of a spec, one line per field of its table: called with "memory" and
 * "size 2GiB, max 8GiB", not escaped. A list calls once per item, with NULL after the first. */
typedef void (*SummaryFunction)(gpointer data, const char *key, const char *value);
void report_spec(const FieldTable *table, gconstpointer spec, SummaryFunction function, gpointer data);
