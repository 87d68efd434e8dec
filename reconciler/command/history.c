/* Past runs, from the journal: newest first, with -v also what each did; or what the host told. */
#include "reconciler/command/cli.h"
#include "reconciler/command/service_client.h"
#include "reconciler/plan/json.h"
#include "reconciler/report/table.h"

enum { RUNS_SHOWN = 50, EVENTS_SHOWN = 200 }; /* as text; JSON has all */

static char *time_text(gint64 microseconds) {
  if (microseconds == 0)
    return NULL;
  g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(microseconds / G_USEC_PER_SEC);
  return utc ? g_date_time_format(utc, "%Y-%m-%d %H:%M:%SZ") : NULL;
}

static const char *outcome(const JournalRun *run) {
  static const char *const words[] = {"applied", "failed", "changes pending", "refused"};
  if (run->ended == 0)
    return run->running ? "running" : "interrupted";
  return run->exit_status >= 0 && run->exit_status < (int)G_N_ELEMENTS(words) ? words[run->exit_status] : "failed";
}

static void add_action_rows(Table *table, Journal *journal, const JournalRun *run) {
  g_autoptr(GPtrArray) actions = journal_actions(journal, run->id, NULL);
  for (guint i = 0; actions && i < actions->len; i++) {
    const JournalAction *action = actions->pdata[i];
    g_autofree char *started = time_text(action->started);
    table_add_printf(table, "  %s", action->id);
    table_add(table, started);
    table_add(table, action->result ? action->result : "not ended");
    table_add(table, NULL);
    table_add(table, action->object);
    table_add_printf(table, "%s%s%s", action->description ? action->description : "", action->message ? ": " : "",
                     action->message ? action->message : "");
    table_add(table, NULL);
  }
}

static void print_rows(const Cli *cli, Table *table) {
  g_autoptr(GString) out = g_string_new(NULL);
  if (cli->format == &report_markdown)
    table_markdown(table, out);
  else
    table_text(table, out, cli->view.color);
  cli_print(out->str);
}

static void print_table(const Cli *cli, Journal *journal, const GPtrArray *runs) {
  static const char *const headers[] = {"RUN", "STARTED", "RESULT", "ACTIONS", "SOURCE", "CONNECTION", "CAUSE", NULL};
  g_autoptr(Table) table = table_new(headers);
  for (guint i = 0; i < runs->len; i++) {
    const JournalRun *run = runs->pdata[i];
    g_autofree char *started = time_text(run->started);
    table_add_printf(table, "%" G_GINT64_FORMAT, run->id);
    table_add(table, started);
    table_add(table, outcome(run));
    if (run->n_failed)
      table_add_printf(table, "%u, %u failed", run->n_actions, run->n_failed);
    else
      table_add_printf(table, "%u", run->n_actions);
    table_add_printf(table, "%s%s%.12s", run->source ? run->source : "", run->revision ? "@" : "",
                     run->revision ? run->revision : "");
    table_add(table, run->uri);
    table_add(table, run->cause);
    if (cli->view.verbose)
      add_action_rows(table, journal, run);
  }
  print_rows(cli, table);
}

static json_t *actions_json(Journal *journal, gint64 run) {
  json_t *array = json_array();
  g_autoptr(GPtrArray) actions = journal_actions(journal, run, NULL);
  for (guint i = 0; actions && i < actions->len; i++) {
    const JournalAction *action = actions->pdata[i];
    json_array_append_new(array, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", json_text(action->id),
                                           "object", json_text(action->object), "kind", json_text(action->kind),
                                           "description", json_text(action->description), "started",
                                           json_time(action->started), "ended", json_time(action->ended), "result",
                                           json_text(action->result), "message", json_text(action->message)));
  }
  return array;
}

static json_t *run_json(Journal *journal, const JournalRun *run) {
  json_t *object = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)run->id, "started",
                             json_time(run->started), "ended", json_time(run->ended), "result",
                             json_text(outcome(run)), "source", json_text(run->source), "revision",
                             json_text(run->revision), "connection", json_text(run->uri), "summary",
                             json_text(run->summary), "cause", json_text(run->cause));
  json_object_set_new(object, "exitStatus", run->ended ? json_integer(run->exit_status) : json_null());
  json_object_set_new(object, "actions", actions_json(journal, run->id));
  return object;
}

static void print_list(const char *key, json_t *list /* taken */) {
  json_auto_t *root = json_pack("{s:i, s:o}", "formatVersion", 1, key, list);
  g_autofree char *text = json_dumps(root, JSON_INDENT(2));
  cli_print(text);
  cli_print("\n");
}

static void print_json(Journal *journal, const GPtrArray *runs) {
  json_t *array = json_array();
  for (guint i = 0; i < runs->len; i++)
    json_array_append_new(array, run_json(journal, runs->pdata[i]));
  print_list("runs", array);
}

/* What the host told */

static gboolean are_of_several(const GPtrArray *events) {
  const JournalEvent *first = events->pdata[0];
  for (guint i = 1; i < events->len; i++)
    if (g_strcmp0(((const JournalEvent *)events->pdata[i])->uri, first->uri) != 0)
      return TRUE;
  return FALSE;
}

static void print_event_table(const Cli *cli, const GPtrArray *events) {
  static const char *const of_one[] = {"TIME", "OBJECT", "EVENT", "DETAIL", NULL};
  static const char *const of_several[] = {"TIME", "OBJECT", "EVENT", "DETAIL", "CONNECTION", NULL};
  gboolean several = are_of_several(events);
  g_autoptr(Table) table = table_new(several ? of_several : of_one);
  for (guint i = 0; i < events->len; i++) {
    const JournalEvent *event = events->pdata[i];
    g_autofree char *time = time_text(event->time);
    table_add(table, time);
    table_add(table, event->object ? event->object : "the host");
    table_add(table, event->kind);
    table_add(table, event->detail);
    if (several)
      table_add(table, event->uri);
  }
  print_rows(cli, table);
}

static void print_event_json(const GPtrArray *events) {
  json_t *array = json_array();
  for (guint i = 0; i < events->len; i++) {
    const JournalEvent *event = events->pdata[i];
    json_array_append_new(array, json_pack("{s:o, s:o, s:o, s:o, s:o}", "time", json_time(event->time), "connection", json_text(event->uri),
                                           "object", json_text(event->object), "event", json_text(event->kind), "detail",
                                           json_text(event->detail)));
  }
  print_list("events", array);
}

static int show_events(const Cli *cli, Journal *journal, GError **error) {
  gboolean json = cli->format == &report_json;
  g_autoptr(GPtrArray) events = journal ? journal_events(journal, NULL, json ? 0 : EVENTS_SHOWN, error) : g_ptr_array_new();
  if (!events)
    return cli_fail(cli, *error, NULL);
  if (json)
    print_event_json(events);
  else if (events->len == 0)
    cli_print("No events yet.\n");
  else
    print_event_table(cli, events);
  return EXIT_IN_SYNC;
}

static int show_runs(const Cli *cli, Journal *journal, GError **error) {
  gboolean json = cli->format == &report_json;
  g_autoptr(GPtrArray) runs = journal ? journal_runs(journal, json ? 0 : RUNS_SHOWN, error) : g_ptr_array_new();
  if (!runs)
    return cli_fail(cli, *error, NULL);
  if (json)
    print_json(journal, runs);
  else if (runs->len == 0)
    cli_print("No runs yet.\n");
  else
    print_table(cli, journal, runs);
  return EXIT_IN_SYNC;
}

/* Without a journal there were no runs, which isn't an error. */
int command_history(const Cli *cli) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Journal) journal = service_journal(cli, NULL, &error);
  if (error)
    return cli_fail(cli, error, NULL);
  return cli->options.events ? show_events(cli, journal, &error) : show_runs(cli, journal, &error);
}
