/* Printing, and what a command says when it fails. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/command/cli.h"
#include "reconciler/plan/input.h"
#include "reconciler/report/escape.h"

G_DEFINE_QUARK(reconcile-cli-error, cli_error)

void cli_print(const char *text) { fputs(text, stdout); }

void cli_print_error(const char *message) {
  g_autoptr(GString) line = g_string_new("reconcile: ");
  escape_append_lines(line, message, 2);
  fflush(stdout); /* so that both streams keep their order in one log */
  fprintf(stderr, "%s\n", line->str);
}

void cli_print_warning(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  cli_print_error(message);
}

static guint count(const Diagnostics *diagnostics, Severity severity) {
  guint number = 0;
  for (guint i = 0; i < diagnostics->items->len; i++)
    number += ((const Diagnostic *)diagnostics->items->pdata[i])->severity == severity;
  return number;
}

void cli_print_diagnostics(const Diagnostics *diagnostics) {
  if (!diagnostics || diagnostics->items->len == 0)
    return;
  fflush(stdout);
  g_autoptr(GString) out = g_string_new(NULL);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    g_autofree char *text = diagnostic_format(diagnostics->items->pdata[i]);
    escape_append_lines(out, text, 2);
    g_string_append_c(out, '\n');
  }
  guint errors = count(diagnostics, SEVERITY_ERROR), warnings = count(diagnostics, SEVERITY_WARNING);
  report_append_number(out, errors, "error", NULL);
  if (warnings) {
    g_string_append(out, ", ");
    report_append_number(out, warnings, "warning", NULL);
  }
  fprintf(stderr, "%s\n", out->str);
}

int cli_fail(const Cli *cli, const GError *error, const Diagnostics *diagnostics) {
  cli_print_diagnostics(diagnostics);
  cli_print_error(error->message);
  if (cli->format && cli->format->failure) {
    g_autoptr(GString) out = g_string_new(NULL);
    cli->format->failure(out, error, diagnostics);
    cli_print(out->str);
  }
  return EXIT_ERROR;
}

void cli_end_at_silence(gpointer data G_GNUC_UNUSED, const char *message) {
  cli_print_error(message);
  _exit(EXIT_ERROR);
}

gboolean cli_is_terminal(int fd) {
  const char *term = g_getenv("TERM");
  return isatty(fd) && term && *term && !g_str_equal(term, "dumb");
}

gboolean cli_parse_allow(const char *text, guint *ret_allow, GError **error) {
  g_auto(GStrv) words = g_strsplit(text, ",", -1);
  guint allow = 0;
  for (char **word = words; *word; word++) {
    gboolean known = FALSE;
    for (Impact impact = 0; impact < IMPACT_N && !known; impact++)
      if ((known = g_str_equal(impact_words[impact], g_strstrip(*word))) && impact >= IMPACT_RESTART)
        allow |= 1u << impact;
    if (!known && (known = g_str_equal(*word, "overcommit")))
      allow |= ALLOW_OVERCOMMIT;
    if (!known) {
      g_set_error(error, CLI_ERROR, CLI_ERROR_USAGE,
                  "--allow %s: unknown class of impact; known are none, live, next-start, restart, data-loss, overcommit", *word);
      return FALSE;
    }
  }
  *ret_allow = allow;
  return TRUE;
}
