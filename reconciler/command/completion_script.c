#include "reconciler/command/completion_script.h"

#include <string.h>

static const Offer offers[] = {
    {"FILE", NULL, OFFER_FILES, FALSE},
    {"DIR", NULL, OFFER_DIRECTORIES, FALSE},
    {"URI", "qemu:///system qemu:///session", OFFER_NOTHING, FALSE},
    {"FORMAT", "text json markdown", OFFER_NOTHING, FALSE},
    {"WHEN", "auto always never", OFFER_NOTHING, FALSE},
    {"CLASS[,CLASS]", "none live next-start restart data-loss overcommit", OFFER_NOTHING, TRUE},
};
static const Offer nothing = {0};

const Offer *completion_offer(const char *value) {
  for (guint i = 0; i < G_N_ELEMENTS(offers); i++)
    if (g_str_equal(offers[i].value, value))
      return &offers[i];
  return &nothing;
}

/* Commands whose arguments are of this sort, by their synopsis: "status|import"; NULL: none. */
static char *commands_with(const char *argument) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  guint n;
  const Command *commands = cli_command_rows(&n);
  for (guint i = 1; i < n; i++)
    if (commands[i].help && strstr(commands[i].synopsis, argument))
      g_ptr_array_add(names, (gpointer)commands[i].name);
  g_ptr_array_add(names, NULL);
  return names->len > 1 ? g_strjoinv("|", (char **)names->pdata) : NULL;
}

static char *all_commands(const char *separator) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  guint n;
  const Command *commands = cli_command_rows(&n);
  for (guint i = 1; i < n; i++)
    if (commands[i].help)
      g_ptr_array_add(names, (gpointer)commands[i].name);
  g_ptr_array_add(names, NULL);
  return g_strjoinv(separator, (char **)names->pdata);
}

static void append_bash_values(GString *out) {
  guint n;
  const Option *options = cli_option_rows(&n);
  for (guint i = 0; i < n; i++) {
    if (!options[i].value)
      continue;
    const Offer *offer = completion_offer(options[i].value);
    g_string_append(out, "    ");
    if (options[i].letter)
      g_string_append_printf(out, "-%c|", options[i].letter);
    g_string_append_printf(out, "--%s) ", options[i].name);
    if (offer->list)
      g_string_append_printf(out, "local before=; [[ $cur != *,* ]] || before=${cur%%,*},; "
                                  "_reconcile_words \"$before\" '%s'; ", offer->words);
    else if (offer->words)
      g_string_append_printf(out, "_reconcile_words '' '%s'; ", offer->words);
    else if (offer->files != OFFER_NOTHING)
      g_string_append_printf(out, "_reconcile_files -%c; ", offer->files == OFFER_FILES ? 'f' : 'd');
    g_string_append(out, "return ;;\n");
  }
}

static void append_bash_options(GString *out) {
  guint n_commands, n_options;
  const Command *commands = cli_command_rows(&n_commands);
  const Option *options = cli_option_rows(&n_options);
  for (guint i = 0; i < n_commands; i++) {
    if (!commands[i].help)
      continue;
    g_string_append_printf(out, "      %s) words='", commands[i].name ? commands[i].name : "''");
    for (guint j = 0; j < n_options; j++)
      if (cli_option_is_for(&options[j], &commands[i]))
        g_string_append_printf(out, " --%s", options[j].name);
    g_string_append(out, "' ;;\n");
  }
}

static const char bash_helpers[] =
    "# bash completion of reconcile, written by \"reconcile completion bash\".\n\n"
    "_reconcile_words() { # PREFIX WORDS: those that go on from what is typed\n"
    "  mapfile -t COMPREPLY < <(compgen -P \"$1\" -W \"$2\" -- \"${cur#\"$1\"}\")\n"
    "}\n\n"
    "_reconcile_files() {\n"
    "  compopt -o filenames 2>/dev/null\n"
    "  mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
    "}\n\n"
    "_reconcile() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' words='' i\n"
    "  COMPREPLY=()\n"
    "  # --output=json comes as three words\n"
    "  if [[ $cur == = ]]; then cur=''\n"
    "  elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "  fi\n";

void completion_bash(GString *out) {
  g_autofree char *alternatives = all_commands("|"), *words = all_commands(" ");
  g_autofree char *named = commands_with("[NAME"), *fields = commands_with("[FIELD"), *sources = commands_with("[SOURCE");
  g_string_append(out, bash_helpers);
  g_string_append(out, "  case $prev in\n");
  append_bash_values(out);
  g_string_append(out, "  esac\n");
  g_string_append_printf(out, "  for ((i = 1; i < COMP_CWORD; i++)); do\n    case ${COMP_WORDS[i]} in\n"
                              "      %s) command=${COMP_WORDS[i]}; break ;;\n    esac\n  done\n", alternatives);
  g_string_append(out, "  if [[ $cur == -* ]]; then\n    case $command in\n");
  append_bash_options(out);
  g_string_append(out, "    esac\n    _reconcile_words '' \"$words\"\n    return\n  fi\n  case $command in\n");
  g_string_append_printf(out, "    %s) _reconcile_words '' \"$(reconcile completion names 2>/dev/null)\" ;;\n", named);
  g_string_append_printf(out, "    %s) _reconcile_words '' \"$(reconcile completion fields 2>/dev/null)\" ;;\n", fields);
  g_string_append_printf(out, "    %s) _reconcile_files -f ;;\n", sources);
  g_string_append_printf(out, "    '') _reconcile_files -f\n"
                              "      mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;\n", words);
  g_string_append(out, "  esac\n}\n\ncomplete -F _reconcile reconcile\n");
}

/* Within '…' of the shell and […] of _arguments. */
static char *zsh_text(const char *text) {
  g_autoptr(GString) out = g_string_new(text);
  g_string_replace(out, "'", "'\\''", 0);
  g_string_replace(out, "[", "\\[", 0);
  g_string_replace(out, "]", "\\]", 0);
  g_string_replace(out, ":", "\\:", 0);
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void append_zsh_value(GString *out, const Option *option) {
  const Offer *offer = completion_offer(option->value);
  g_autofree char *value = zsh_text(option->value);
  g_autofree char *words = offer->words ? zsh_text(offer->words) : NULL;
  g_string_append_printf(out, ":%s:", value);
  if (offer->list)
    g_string_append_printf(out, "_sequence compadd - %s", words);
  else if (words)
    g_string_append_printf(out, "(%s)", words);
  else if (offer->files != OFFER_NOTHING)
    g_string_append(out, offer->files == OFFER_FILES ? "_files" : "_directories");
}

static void append_zsh_option(GString *out, const Option *option) {
  g_autofree char *help = zsh_text(option->help);
  g_string_append(out, "    ");
  if (option->letter)
    g_string_append_printf(out, "'(-%c --%s)'{-%c,--%s%s}'[%s]", option->letter, option->name, option->letter, option->name,
                           option->value ? "=" : "", help);
  else
    g_string_append_printf(out, "'--%s%s[%s]", option->name, option->value ? "=" : "", help);
  if (option->value)
    append_zsh_value(out, option);
  g_string_append(out, "' \\\n");
}

void completion_zsh(GString *out) {
  guint n_commands, n_options;
  const Command *commands = cli_command_rows(&n_commands);
  const Option *options = cli_option_rows(&n_options);
  g_autofree char *named = commands_with("[NAME"), *fields = commands_with("[FIELD"), *sources = commands_with("[SOURCE");
  g_string_append(out, "#compdef reconcile\n# zsh completion of reconcile, written by \"reconcile completion zsh\".\n\n"
                       "_reconcile_first() {\n  local -a commands=(\n");
  for (guint i = 1; i < n_commands; i++) {
    g_autofree char *help = commands[i].help ? zsh_text(commands[i].help) : NULL;
    if (help)
      g_string_append_printf(out, "    '%s:%s'\n", commands[i].name, help);
  }
  g_string_append(out, "  )\n  _describe command commands\n  _files\n}\n\n_reconcile_rest() {\n  case $words[2] in\n");
  g_string_append_printf(out, "    %s) compadd - ${(f)\"$(reconcile completion names 2>/dev/null)\"} ;;\n", named);
  g_string_append_printf(out, "    %s) compadd - ${(f)\"$(reconcile completion fields 2>/dev/null)\"} ;;\n", fields);
  g_string_append_printf(out, "    %s) _files ;;\n  esac\n}\n\n_reconcile() {\n  _arguments -s \\\n", sources);
  for (guint i = 0; i < n_options; i++)
    append_zsh_option(out, &options[i]);
  g_string_append(out, "    '1: :_reconcile_first' \\\n    '*: :_reconcile_rest'\n}\n\n_reconcile \"$@\"\n");
}
