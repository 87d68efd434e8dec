#include "reconciler/command/cli.h"

#include <locale.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/source/source.h"
#include "schema/value.h"

enum { APPLY, VALIDATE, STATUS, IMPORT, EXPLAIN, SCHEMA, HISTORY, OBSERVE, GRAPH, COMPLETION, SERVE, TRIGGER, N_COMMANDS };

static const Command commands[N_COMMANDS] = {
    [APPLY] = {NULL, command_apply, "[OPTIONS] [SOURCE]",
               "Bring the host in line with SOURCE: a file, a directory (default: this one) or GIT-URL[#REF[:PATH]]", 1},
    [VALIDATE] = {"validate", command_validate, "[SOURCE]", "Check files without a hypervisor", 1},
    [STATUS] = {"status", command_status, "[NAME...]", "What is managed, its power state, drift and pending restarts", -1},
    [IMPORT] = {"import", command_import, "[NAME...]", "YAML of existing domains, on standard output", -1},
    [EXPLAIN] = {"explain", command_explain, "[FIELD]", "The field reference", 1},
    [SCHEMA] = {"schema", command_schema, "", "The JSON Schema of the files", 0},
    [HISTORY] = {"history", command_history, "", "Past runs, from the journal", 0},
    [OBSERVE] = {"observe", command_observe, "", "What the host has, or those of --source, as a file for --against, on standard output", 0},
    [GRAPH] = {"graph", command_graph, "[SOURCE]", "Disk chains, and what a plan for SOURCE would do, as Graphviz", 1},
    [COMPLETION] = {"completion", command_completion, "bash|zsh|fields|names", NULL, 1},
    [SERVE] = {"serve", command_serve, "[--once] [--config FILE]", "The service: keep the host as its source says, all the time", 0},
    [TRIGGER] = {"trigger", command_trigger, "", "Have the service read its source and look at the host now", 0},
};

/* Commands that an option is for. */
#define FOR(command) (1u << (command))
#define FOR_ALL (FOR(N_COMMANDS) - 1)

#define NOT_GIVEN G_MININT /* a number that nobody gives */
#define OPTION(member) offsetof(CliOptions, member)
static const Option options[] = {
    {"connect", 'c', G_OPTION_ARG_FILENAME, OPTION(connect), FOR(APPLY) | FOR(STATUS) | FOR(IMPORT) | FOR(OBSERVE) | FOR(GRAPH) | FOR(COMPLETION), "URI",
     "Hypervisor, as for virsh (default: $LIBVIRT_DEFAULT_URI, then libvirt's own default)"},
    {"host", 0, G_OPTION_ARG_FILENAME, OPTION(host), FOR(APPLY) | FOR(STATUS) | FOR(OBSERVE), "NAME", "Of a source for several hosts, only this one's part"},
    {"source", 0, G_OPTION_ARG_FILENAME, OPTION(source), FOR(STATUS) | FOR(OBSERVE), "SOURCE", "The hosts that this source declares, instead of one"},
    {"dry-run", 0, G_OPTION_ARG_NONE, OPTION(dry_run), FOR(APPLY), NULL, "Print the plan only; nothing is changed"},
    {"against", 0, G_OPTION_ARG_FILENAME, OPTION(against), FOR(APPLY), "FILE",
     "Plan against a saved observation, without a hypervisor (dry run only)"},
    {"events", 0, G_OPTION_ARG_NONE, OPTION(events), FOR(HISTORY), NULL, "What the service saw of the host, instead of the runs"},
    {"disks", 0, G_OPTION_ARG_NONE, OPTION(disks), FOR(STATUS), NULL, "The layers of each disk, and who else uses them"},
    {"output", 'o', G_OPTION_ARG_FILENAME, OPTION(output), FOR(APPLY) | FOR(VALIDATE) | FOR(STATUS) | FOR(HISTORY), "FORMAT",
     "text, json or markdown (default: text)"},
    {"plan-out", 0, G_OPTION_ARG_FILENAME, OPTION(plan_out), FOR(APPLY), "FILE", "Save the plan"},
    {"plan", 0, G_OPTION_ARG_FILENAME, OPTION(plan_in), FOR(APPLY), "FILE", "Apply exactly this saved plan, or refuse"},
    {"preflight", 0, G_OPTION_ARG_NONE, OPTION(preflight), FOR(APPLY), NULL,
     "Let the hypervisor judge the planned definitions; still changes nothing"},
    {"allow", 0, G_OPTION_ARG_FILENAME, OPTION(allow), FOR(APPLY) | FOR(GRAPH), "CLASS[,CLASS]",
     "Allow these too: restart, data-loss, overcommit"},
    {"prune", 0, G_OPTION_ARG_NONE, OPTION(prune), FOR(APPLY) | FOR(GRAPH), NULL, "Delete what is ours and has left the source"},
    {"prune-limit", 0, G_OPTION_ARG_INT, OPTION(prune_limit), FOR(APPLY) | FOR(GRAPH), "PERCENT",
     "Most of what is ours that a run may delete (default: 30)"},
    {"formerly", 0, G_OPTION_ARG_FILENAME, OPTION(formerly), FOR(APPLY) | FOR(GRAPH), "SOURCE",
     "What the source was before it moved: take over its machines, and count them as this one's"},
    {"prune-images", 0, G_OPTION_ARG_FILENAME, OPTION(prune_images), FOR(APPLY), "AGE",
     "Delete base images that nothing uses and nobody touched for so long (such as 30d)"},
    {"forbid-extra", 0, G_OPTION_ARG_NONE, OPTION(forbid_extra), FOR(APPLY), NULL,
     "Refuse machines that bring raw device XML (devices.extra)"},
    {"jobs", 0, G_OPTION_ARG_INT, OPTION(jobs), FOR(APPLY), "N", "Objects that are worked on at once on all hosts (default: 4, or the hosts' limits)"},
    {"state-dir", 0, G_OPTION_ARG_FILENAME, OPTION(state_dir), FOR(APPLY) | FOR(HISTORY) | FOR(GRAPH), "DIR",
     "Where the journal is (default: $XDG_STATE_HOME/reconcile, for root /var/lib/reconcile)"},
    {"config", 0, G_OPTION_ARG_FILENAME, OPTION(config),
     FOR(APPLY) | FOR(VALIDATE) | FOR(STATUS) | FOR(HISTORY) | FOR(SERVE) | FOR(TRIGGER), "FILE",
     "The configuration of the service (default for serve: /etc/reconcile/reconcile.yaml)"},
    {"once", 0, G_OPTION_ARG_NONE, OPTION(once), FOR(SERVE), NULL, "Make one pass and end, for a timer"},
    {"verbose", 'v', G_OPTION_ARG_NONE, OPTION(verbose), FOR_ALL, NULL, "Say more: unchanged objects, arguments of actions"},
    {"quiet", 'q', G_OPTION_ARG_NONE, OPTION(quiet), FOR_ALL, NULL, "Say only errors and the last line"},
    {"color", 0, G_OPTION_ARG_FILENAME, OPTION(color), FOR_ALL, "WHEN",
     "auto, always or never (default: auto; NO_COLOR is respected)"},
    {"help", 'h', G_OPTION_ARG_NONE, OPTION(help), FOR_ALL, NULL, "Print this help"},
    {"version", 0, G_OPTION_ARG_NONE, OPTION(version), FOR_ALL, NULL, "Print the version"},
};

const Option *cli_option_rows(guint *ret_count) {
  *ret_count = G_N_ELEMENTS(options);
  return options;
}

const Command *cli_command_rows(guint *ret_count) {
  *ret_count = G_N_ELEMENTS(commands);
  return commands;
}

gboolean cli_option_is_for(const Option *option, const Command *command) {
  return (option->commands & FOR(command - commands)) != 0;
}

static gpointer member(const Option *option, CliOptions *values) { return (char *)values + option->offset; }

static gboolean is_given(const Option *option, CliOptions *values) {
  gconstpointer value = member(option, values);
  return option->type == G_OPTION_ARG_FILENAME ? *(char *const *)value != NULL
         : option->type == G_OPTION_ARG_INT    ? *(const int *)value != NOT_GIVEN
                                               : *(const gboolean *)value;
}

static char *option_text(const Option *option) {
  g_autofree char *letter = option->letter ? g_strdup_printf("-%c, ", option->letter) : g_strdup("    ");
  return g_strdup_printf("%s--%s%s%s", letter, option->name, option->value ? " " : "", option->value ? option->value : "");
}

void cli_print_help(void) {
  g_autoptr(GString) out = g_string_new("Usage:\n");
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
    if (!commands[i].help)
      continue;
    g_autofree char *usage = g_strjoin(" ", "reconcile", commands[i].name ? commands[i].name : commands[i].synopsis,
                                       commands[i].name ? commands[i].synopsis : NULL, NULL);
    g_string_append_printf(out, "  %-32s  %s\n", g_strchomp(usage), commands[i].help);
  }
  g_string_append(out, "\nOptions:\n");
  for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
    g_autofree char *text = option_text(&options[i]);
    g_string_append_printf(out, "  %-26s  %s\n", text, options[i].help);
  }
  g_string_append(out, "\nExit status: 0 in sync or applied, 1 error, 2 changes pending (dry run),\n"
                       "3 refused (stale plan, impact not allowed, deletion guard).\n");
  cli_print(out->str);
}

static gboolean usage_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean usage_error(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, CLI_ERROR, CLI_ERROR_USAGE, "%s; see reconcile --help", message);
  return FALSE;
}

static gboolean parse_options(CliOptions *values, char ***args, GError **error) {
  g_autofree GOptionEntry *entries = g_new0(GOptionEntry, G_N_ELEMENTS(options) + 1);
  for (guint i = 0; i < G_N_ELEMENTS(options); i++)
    entries[i] = (GOptionEntry){.long_name = options[i].name, .short_name = options[i].letter, .arg = options[i].type,
                                .arg_data = member(&options[i], values)};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_option_context_set_help_enabled(context, FALSE);
  g_option_context_add_main_entries(context, entries, NULL);
  g_autoptr(GError) wrong = NULL;
  return g_option_context_parse_strv(context, args, &wrong) || usage_error(error, "%s", wrong->message);
}

static const Command *find_command(const char *name) {
  for (guint i = 1; i < G_N_ELEMENTS(commands); i++)
    if (g_str_equal(commands[i].name, name))
      return &commands[i];
  return NULL;
}

/* A mistyped command would be taken for a source. */
static gboolean check_source_word(const char *word, GError **error) {
  const char *names[G_N_ELEMENTS(commands)] = {0};
  for (guint i = 1, n = 0; i < G_N_ELEMENTS(commands); i++)
    if (commands[i].help)
      names[n++] = commands[i].name;
  if (strchr(word, '/') || source_is_git(word) || g_file_test(word, G_FILE_TEST_EXISTS))
    return TRUE;
  const char *near = nearest_word(word, names);
  return !near || usage_error(error, "there is no command, file or directory \"%s\"; did you mean %s?", word, near);
}

/* GLib leaves the "--" where an argument behind it begins with a dash. */
static void drop_separator(char **args) {
  while (*args && !g_str_equal(*args, "--"))
    args++;
  g_free(*args);
  for (; *args; args++)
    args[0] = args[1];
}

static gboolean choose_command(Cli *cli, char **args, GError **error) {
  if (*args)
    args++; /* the program's name */
  const Command *command = *args ? find_command(*args) : NULL;
  gboolean literal = *args && g_str_equal(*args, "--");
  cli->command = command ? command : &commands[APPLY];
  cli->args = g_strdupv(command ? args + 1 : args);
  drop_separator(cli->args);
  if (!command && !literal && cli->args[0] && !check_source_word(cli->args[0], error))
    return FALSE;
  guint count = g_strv_length(cli->args);
  if (cli->command->max_args >= 0 && count > (guint)cli->command->max_args)
    return usage_error(error, "unexpected argument \"%s\"", cli->args[cli->command->max_args]);
  return TRUE;
}

static gboolean check_option(const Cli *cli, const Option *option, CliOptions *values, GError **error) {
  if (is_given(option, values) && !(option->commands & FOR(cli->command - commands)))
    return usage_error(error, "--%s isn't an option of %s", option->name,
                       cli->command->name ? cli->command->name : "an apply");
  return TRUE;
}

static gboolean check_range(const char *name, int *value, int max, GError **error) {
  if (*value == NOT_GIVEN) {
    *value = 0;
    return TRUE;
  }
  return (*value >= 1 && *value <= max) || usage_error(error, "--%s must be from 1 to %d", name, max);
}

static gboolean check_values(Cli *cli, GError **error) {
  CliOptions *values = &cli->options;
  if (values->quiet && values->verbose)
    return usage_error(error, "--quiet and --verbose exclude each other");
  if (values->plan_in && (values->plan_out || cli->args[0]))
    return usage_error(error, "--plan applies a saved plan: give neither a source nor --plan-out");
  if (values->against && (!values->dry_run || values->preflight || values->plan_in || values->connect))
    return usage_error(error, "--against plans without a hypervisor: give --dry-run with it, and neither --connect, --preflight nor --plan");
  if (values->source && values->connect)
    return usage_error(error, "--source says which hosts there are: leave out --connect");
  if (cli->command == &commands[STATUS] && values->host && !values->source)
    return usage_error(error, "--host is of a source for several hosts: give --source with it");
  if (values->allow && !cli_parse_allow(values->allow, &cli->view.allow, error))
    return FALSE;
  static const Field age = {.key = "age", .type = VALUE_DURATION, .max = 100 * 366 * G_GINT64_CONSTANT(86400000)};
  g_autoptr(GError) wrong = NULL;
  if (values->prune_images && !value_parse(&age, values->prune_images, &values->prune_images_age, &wrong))
    return usage_error(error, "--prune-images %s: %s", values->prune_images, wrong->message);
  return check_range("prune-limit", &values->prune_limit, 100, error) && check_range("jobs", &values->jobs, 64, error);
}

static gboolean choose_format(Cli *cli, GError **error) {
  const CliOptions *values = &cli->options;
  cli->format = report_format(values->output ? values->output : "text");
  if (!cli->format)
    return usage_error(error, "--output %s: text, json or markdown is expected", values->output);
  const char *color = values->color ? values->color : "auto", *no_color = g_getenv("NO_COLOR");
  if (!g_str_equal(color, "auto") && !g_str_equal(color, "always") && !g_str_equal(color, "never"))
    return usage_error(error, "--color %s: auto, always or never is expected", color);
  cli->view.color = g_str_equal(color, "always") ||
                    (g_str_equal(color, "auto") && cli_is_terminal(STDOUT_FILENO) && !(no_color && *no_color));
  cli->view.unicode = g_get_charset(NULL);
  cli->view.quiet = values->quiet;
  cli->view.verbose = values->verbose;
  cli->view.dry_run = values->dry_run;
  return TRUE;
}

/* Who asked for JSON gets JSON, also when the rest can't be parsed. */
static const ReportFormat *guess_format(char **args) {
  const ReportFormat *format = NULL;
  for (char **arg = args; *arg && !format; arg++) {
    if (g_str_equal(*arg, "-o") || g_str_equal(*arg, "--output"))
      format = arg[1] ? report_format(arg[1]) : NULL;
    else if (g_str_has_prefix(*arg, "--output="))
      format = report_format(*arg + strlen("--output="));
    else if (g_str_has_prefix(*arg, "-o"))
      format = report_format(*arg + strlen("-o"));
  }
  return format ? format : &report_text;
}

static gboolean parse(Cli *cli, char ***args, GError **error) {
  cli->options.prune_limit = cli->options.jobs = NOT_GIVEN;
  cli->format = guess_format(*args);
  if (!parse_options(&cli->options, args, error) || !choose_format(cli, error))
    return FALSE;
  if (cli->options.help || cli->options.version)
    return TRUE;
  if (!choose_command(cli, *args, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(options); i++)
    if (!check_option(cli, &options[i], &cli->options, error))
      return FALSE;
  return check_values(cli, error);
}

static void cli_clear(Cli *cli) {
  for (guint i = 0; i < G_N_ELEMENTS(options); i++)
    if (options[i].type == G_OPTION_ARG_FILENAME)
      g_free(*(char **)member(&options[i], &cli->options));
  g_strfreev(cli->args);
}

static int run(Cli *cli, char ***args) {
  g_autoptr(GError) error = NULL;
  if (!parse(cli, args, &error))
    return cli_fail(cli, error, NULL);
  if (cli->options.help)
    cli_print_help();
  else if (cli->options.version)
    cli_print("reconcile " RECONCILE_VERSION "\n");
  else
    return cli->command->function(cli);
  return 0;
}

int cli_main(G_GNUC_UNUSED int argc, char **argv) {
  setlocale(LC_CTYPE, ""); /* numbers stay as they are */
  g_auto(GStrv) args = g_strdupv(argv);
  Cli cli = {0};
  int status = run(&cli, &args);
  cli_clear(&cli);
  if ((fflush(stdout) != 0 || ferror(stdout)) && status != EXIT_ERROR) {
    cli_print_error("standard output can't be written");
    return EXIT_ERROR;
  }
  return status;
}
