#include "reconciler/report/progress.h"

#include "reconciler/report/escape.h"
#include "reconciler/report/paint.h"
#include "schema/value.h"

#define DRAW_INTERVAL (G_USEC_PER_SEC / 10)
#define LOG_INTERVAL (10 * G_USEC_PER_SEC)

typedef struct {
  const Action *action;
  gint64 since, said; /* said: when a log line was written last */
  guint64 done, total;
  char *phase;
} Running;

struct Progress {
  ProgressOutput output;
  ReportView view;
  GPtrArray *running; /* of Running *, as begun */
  guint drawn;        /* lines below which the cursor stands */
  gint64 drawn_at;
};

static void running_free(Running *running) {
  g_free(running->phase);
  g_free(running);
}

Progress *progress_new(const ProgressOutput *output, const ReportView *view) {
  Progress *progress = g_new0(Progress, 1);
  progress->output = *output;
  progress->view = *view;
  progress->running = g_ptr_array_new_with_free_func((GDestroyNotify)running_free);
  return progress;
}

static Running *find(const Progress *progress, const Action *action) {
  for (guint i = 0; i < progress->running->len; i++) {
    Running *running = progress->running->pdata[i];
    if (running->action == action)
      return running;
  }
  return NULL;
}

static char *action_text(const Action *action) {
  g_autofree char *object = escape_text(action->object), *description = escape_text(action->description);
  return g_strdup_printf("%s: %s", object, description);
}

/* "45%, 1.4 GiB of 3 GiB, copying" */
static void append_amount(GString *out, const Running *running) {
  g_autofree char *done = bytes_format_short(running->done), *total = bytes_format_short(running->total);
  if (running->total > 0)
    g_string_append_printf(out, "%u%%, %s of %s", (guint)(100.0 * MIN(running->done, running->total) / running->total),
                           done, total);
  else if (running->done > 0)
    g_string_append(out, done);
  if (running->phase && *running->phase) {
    g_string_append(out, out->len ? ", " : "");
    escape_append(out, running->phase);
  }
}

/* A line must not wrap, or the next drawing would start at the wrong one. */
static char *cut(const char *text, guint columns) {
  guint width = 0;
  const char *at = text;
  for (; *at; at = g_utf8_next_char(at)) {
    gunichar c = g_utf8_get_char(at);
    width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    if (width > columns)
      break;
  }
  return g_strndup(text, (gsize)(at - text));
}

/* columns 0: as long as it is. Otherwise the description is cut rather than the amount. */
static char *running_text(const Running *running, gint64 now, guint columns) {
  g_autofree char *text = action_text(running->action);
  g_autoptr(GString) amount = g_string_new(NULL);
  append_amount(amount, running);
  g_string_append_printf(amount, "%s%d s", amount->len ? ", " : "", (int)((now - running->since) / G_USEC_PER_SEC));
  if (columns == 0)
    return g_strdup_printf("%s  %s", text, amount->str);
  guint room = columns - 1, amount_width = text_width(amount->str) + 2;
  g_autofree char *head = cut(text, room > amount_width ? room - amount_width : 0);
  g_autofree char *line = g_strdup_printf("%s  %s", head, amount->str);
  return cut(line, room);
}

static void erase(Progress *progress) {
  for (; progress->drawn > 0; progress->drawn--)
    fputs("\033[1A\033[2K", progress->output.out);
}

static void draw(Progress *progress, gint64 now) {
  erase(progress);
  for (guint i = 0; i < progress->running->len; i++) {
    g_autofree char *text = running_text(progress->running->pdata[i], now, progress->output.columns);
    fprintf(progress->output.out, "%s\n", text);
    progress->drawn++;
  }
  progress->drawn_at = now;
  fflush(progress->output.out);
}

void progress_started(gpointer data, G_GNUC_UNUSED const Plan *plan, const Action *action) {
  Progress *progress = data;
  if (progress->view.quiet)
    return;
  Running *running = g_new0(Running, 1);
  *running = (Running){.action = action, .since = progress->output.now(), .said = progress->output.now()};
  g_ptr_array_add(progress->running, running);
  if (progress->output.terminal) {
    draw(progress, running->since);
    return;
  }
  g_autofree char *text = action_text(action);
  fprintf(progress->output.out, "%s ...\n", text);
  fflush(progress->output.out);
}

void progress_step(gpointer data, const Action *action, guint64 done, guint64 total, const char *phase) {
  Progress *progress = data;
  Running *running = find(progress, action);
  if (!running)
    return;
  gint64 now = progress->output.now();
  running->done = done;
  running->total = total;
  if (g_strcmp0(running->phase, phase)) {
    g_free(running->phase);
    running->phase = g_strdup(phase);
  }
  if (progress->output.terminal) {
    if (now - progress->drawn_at >= DRAW_INTERVAL)
      draw(progress, now);
  } else if (now - running->said >= LOG_INTERVAL) {
    g_autofree char *text = running_text(running, now, 0);
    fprintf(progress->output.out, "%s\n", text);
    fflush(progress->output.out);
    running->said = now;
  }
}

static void print_end(const Progress *progress, const ActionResult *result) {
  g_autofree char *text = action_text(result->action);
  g_autoptr(GString) line = g_string_new(NULL);
  gboolean done = result->kind == RESULT_DONE;
  g_string_append_printf(line, "%s: ", text);
  paint_append(line, progress->view.color, done ? PAINT_GREEN : PAINT_RED, result_words[result->kind]);
  if (result->kind == RESULT_DONE || result->kind == RESULT_FAILED)
    g_string_append_printf(line, " (%.1f s)", (double)result->milliseconds / 1000);
  fprintf(progress->output.out, "%s\n", line->str);
}

void progress_ended(gpointer data, G_GNUC_UNUSED const Plan *plan, const ActionResult *result) {
  Progress *progress = data;
  if (progress->view.quiet)
    return;
  Running *running = find(progress, result->action);
  if (!running) /* it didn't begin: the summary says why */
    return;
  g_ptr_array_remove(progress->running, running);
  if (progress->output.terminal)
    erase(progress);
  print_end(progress, result);
  if (progress->output.terminal)
    draw(progress, progress->output.now());
  fflush(progress->output.out);
}

void progress_free(Progress *progress) {
  if (!progress)
    return;
  if (progress->output.terminal)
    erase(progress);
  fflush(progress->output.out);
  g_ptr_array_unref(progress->running);
  g_free(progress);
}
