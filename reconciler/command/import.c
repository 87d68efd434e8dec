/* YAML of existing domains: those that aren't ours, or the ones named. */
#include <stdio.h>
#include <string.h>

#include "reconciler/command/cli.h"
#include "reconciler/command/import_domain.h"
#include "reconciler/command/observe_names.h"
#include "reconciler/run/silence.h"

#define HEADING "Settings and devices that aren't listed stay as they are."

static char *comment_of(const GPtrArray *remarks) {
  GString *text = g_string_new(HEADING);
  for (guint i = 0; i < remarks->len; i++)
    g_string_append_printf(text, "\n%s", (const char *)remarks->pdata[i]);
  return g_string_free(text, FALSE);
}

/* What was written must be what is read: an object that the files' own rules refuse is said. */
static gboolean check_yaml(const char *name, const char *yaml) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  desired_decode(desired, name, yaml, strlen(yaml), diagnostics);
  desired_finish(desired, diagnostics);
  if (diagnostics->errors == 0)
    return TRUE;
  cli_print_warning("%s: its YAML needs work by hand before it can be applied:", name);
  cli_print_diagnostics(diagnostics);
  return FALSE;
}

static gboolean import_one(const ActualDomain *domain, GString *out) {
  g_autoptr(GPtrArray) remarks = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(Object) object = import_domain(domain, remarks);
  g_autofree char *comment = comment_of(remarks);
  g_autoptr(GString) yaml = g_string_new(NULL);
  object_to_yaml(object, comment, yaml);
  if (out->len)
    g_string_append(out, "---\n");
  g_string_append(out, yaml->str);
  return check_yaml(domain->name, yaml->str);
}

/* Whether the domain is one to import; says why not. */
static gboolean is_wanted(const Cli *cli, const ActualDomain *domain, gboolean *ret_failed) {
  gboolean named = cli->args[0] != NULL;
  g_autofree char *obstacle = import_obstacle(domain);
  if (obstacle) {
    cli_print_warning("%s: not imported: %s", domain->name, obstacle);
    *ret_failed |= named || domain->error;
    return FALSE;
  }
  if (domain->owner && !named && !cli->view.quiet)
    cli_print_warning("%s: skipped: it is managed already, by %s", domain->name, domain->owner->source);
  return named || !domain->owner;
}

int command_import(const Cli *cli) {
  g_autoptr(SilenceWatch) silence = silence_watch_new(cli->options.connect, cli_end_at_silence, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(Actual) actual = NULL;
  g_autoptr(GPtrArray) domains = observe_named(cli, FALSE, &actual, &error);
  if (!domains)
    return cli_fail(cli, error, NULL);
  g_autoptr(GString) out = g_string_new(NULL);
  gboolean failed = FALSE;
  for (guint i = 0; i < domains->len; i++)
    if (is_wanted(cli, domains->pdata[i], &failed))
      failed |= !import_one(domains->pdata[i], out);
  cli_print(out->str);
  if (out->len == 0 && !failed && !cli->view.quiet)
    cli_print_warning("nothing to import");
  return failed ? EXIT_ERROR : EXIT_IN_SYNC;
}
