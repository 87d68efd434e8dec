/* The command line: one table of options, one of commands; parsing, --help and the man page's
 * test stand on the same rows. Commands are in files beside it; they and this print, nobody else. */
#pragma once
#include "reconciler/report/report.h"

typedef struct {
  char *connect, *output, *plan_in, *plan_out, *against, *allow, *state_dir, *color, *config;
  char *host, *prune_images, *source, *formerly;
  guint64 prune_images_age; /* milliseconds */
  gboolean once, dry_run, preflight, prune, forbid_extra, disks, events, verbose, quiet, help, version;
  int prune_limit, jobs; /* 0: not given */
} CliOptions;

typedef struct Command Command;

typedef struct {
  CliOptions options;
  const Command *command;
  const ReportFormat *format;
  ReportView view;
  char **args; /* what follows the command; NULL-terminated */
} Cli;

struct Command {
  const char *name; /* NULL: apply, which needs no name */
  int (*function)(const Cli *cli); /* returns the exit status */
  const char *synopsis; /* what follows the program's name */
  const char *help;     /* one line; NULL: for other programs, not told to people */
  int max_args;         /* -1: any number */
};

typedef struct {
  const char *name;
  char letter; /* 0: none */
  GOptionArg type;
  gsize offset;
  guint commands;
  const char *value; /* NULL: takes none */
  const char *help;
} Option;

/* The rows themselves; the first command is the apply, which has no name. */
const Option *cli_option_rows(guint *ret_count);
const Command *cli_command_rows(guint *ret_count);
gboolean cli_option_is_for(const Option *option, const Command *command);

int cli_main(int argc, char **argv);
void cli_print_help(void);

/* Exit status of the command line, as the manual has it. */
enum { EXIT_IN_SYNC = 0, EXIT_ERROR = 1, EXIT_CHANGES = 2, EXIT_REFUSED = 3 };

#define CLI_ERROR (cli_error_quark())
GQuark cli_error_quark(void);
typedef enum { CLI_ERROR_USAGE, CLI_ERROR_NOT_FOUND, CLI_ERROR_FAILED } CliError;

/* Standard output. A failed write (a full disk, say) turns success into an error at exit. */
void cli_print(const char *text);
/* Standard error: "reconcile: …", escaped. */
void cli_print_error(const char *message);
void cli_print_warning(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Standard error: one line each, then their count. */
void cli_print_diagnostics(const Diagnostics *diagnostics);
/* Tells an error that ends a command, in the format asked for. Returns the exit status. */
int cli_fail(const Cli *cli, const GError *error, const Diagnostics *diagnostics);
/* For silence_watch_new: a host doesn't answer, so that its calls would never end. Says that, and ends the process. */
void cli_end_at_silence(gpointer data, const char *message) G_GNUC_NORETURN;
/* "none,live,restart" → bits beyond the harmless ones. */
gboolean cli_parse_allow(const char *text, guint *ret_allow, GError **error);
/* Whether the file descriptor is a terminal that understands escapes. */
gboolean cli_is_terminal(int fd);

int command_apply(const Cli *cli);
int command_validate(const Cli *cli);
int command_status(const Cli *cli);
int command_import(const Cli *cli);
int command_explain(const Cli *cli);
int command_schema(const Cli *cli);
int command_history(const Cli *cli);
int command_serve(const Cli *cli);
int command_trigger(const Cli *cli);
int command_observe(const Cli *cli);
int command_graph(const Cli *cli);
int command_completion(const Cli *cli);
