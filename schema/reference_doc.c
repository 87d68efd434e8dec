/* The whole field reference as documents: docs/fields.md and reconcile-spec(5). */
#include "schema/describe.h"
#include "schema/document.h"
#include "schema/reference.h"
#include "schema/value.h"
#include <string.h>

/* Called for a struct and then for each struct within it, outer ones first. */
typedef void (*TableWriter)(GString *out, const char *path, const Field *field, const FieldTable *table);

static void each_table(GString *out, const char *path, const Field *field, const FieldTable *table, TableWriter write) {
  write(out, path, field, table);
  for (guint i = 0; i < table->n_fields; i++) {
    const Field *inner = &table->fields[i];
    if (!inner->sub) continue;
    g_autofree char *name = g_strdup_printf("%s%s%s", path, *path ? "." : "", inner->key);
    each_table(out, name, inner, inner->sub, write);
  }
}

/* Before a kind's structs; `same` is a kind before it that has the same ones, or NULL. */
typedef void (*KindWriter)(GString *out, const KindInfo *kind, const KindInfo *same);

/* Machines first: they are what people look for. */
static void each_kind(GString *out, KindWriter write_kind, TableWriter write) {
  for (int i = KIND_N - 1; i >= 0; i--) {
    const KindInfo *kind = &kinds[i], *same = NULL;
    for (int j = KIND_N - 1; j > i && !same; j--)
      if (kinds[j].spec == kind->spec) same = &kinds[j];
    g_autofree char *path = g_strdup_printf("%s.spec", kind->name);
    write_kind(out, kind, same);
    if (!same) each_table(out, path, NULL, kind->spec, write);
  }
}

/* What a value may be, besides its type. */
static char *limits(const Field *field) {
  g_autofree char *words = describe_words(field);
  g_autofree char *bounds = describe_bounds(field);
  g_autofree char *rounding = describe_rounding(field);
  const char *parts[] = {words, bounds, rounding};
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
    if (parts[i]) g_string_append_printf(text, "%s%s", text->len > 0 ? "; " : "", parts[i]);
  return g_string_free(text, FALSE);
}

static void append_escaped(GString *out, const char *text, const char *special, const char *escape) {
  for (; text && *text; text++) {
    if (strchr(special, *text)) g_string_append(out, escape);
    g_string_append_c(out, *text);
  }
}

/* Markdown */

static void append_cell(GString *out, const char *text, gboolean code) {
  g_string_append(out, code && text && *text ? " `" : " ");
  append_escaped(out, text, "|", "\\");
  g_string_append(out, code && text && *text ? "` |" : " |");
}

static void append_heading_anchor(GString *out, const char *path) {
  for (; *path; path++)
    if (g_ascii_isalnum(*path)) g_string_append_c(out, g_ascii_tolower(*path));
}

/* The rows of the configuration change nothing of a machine by themselves. */
static gboolean has_effects(const FieldTable *table) {
  for (guint i = 0; i < table->n_fields; i++)
    if (table->fields[i].effect != EFFECT_UNSET) return TRUE;
  return FALSE;
}

static void markdown_row(GString *out, const char *path, const Field *field, gboolean effects) {
  g_autofree char *type = describe_type(field);
  g_autofree char *values = limits(field);
  g_autoptr(GString) change = g_string_new(describe_effect_short(field->effect));
  if (field->why) g_string_append_printf(change, ": %s", field->why);
  if (field->sub) {
    g_string_append_printf(out, "| [`%s`](#", field->key);
    g_autofree char *inner = g_strdup_printf("%s%s%s", path, *path ? "." : "", field->key);
    append_heading_anchor(out, inner);
    g_string_append(out, ")");
  } else {
    g_string_append_printf(out, "| `%s`", field->key);
  }
  g_string_append(out, field->required ? " (required) |" : " |");
  append_cell(out, type, FALSE);
  append_cell(out, values, FALSE);
  if (effects) append_cell(out, change->str, FALSE);
  append_cell(out, field->help, FALSE);
  append_cell(out, field->example, TRUE);
  g_string_append_c(out, '\n');
}

static void markdown_table(GString *out, const char *path, const Field *field, const FieldTable *table) {
  gboolean effects = has_effects(table);
  g_string_append_printf(out, "\n### %s\n\n%s.\n", *path ? path : "The file", table->help);
  g_autofree char *effect = field ? describe_effect(field) : NULL;
  if (effect) g_string_append_printf(out, "As a whole: %s.\n", effect);
  g_string_append_printf(out, "\n| field | type | values |%s meaning | example |\n|---|---|---|%s---|---|\n",
                         effects ? " change |" : "", effects ? "---|" : "");
  for (guint i = 0; i < table->n_fields; i++) markdown_row(out, path, &table->fields[i], effects);
}

static void markdown_kind(GString *out, const KindInfo *kind, const KindInfo *same) {
  g_string_append_printf(out, "\n## %s\n\n%s.\n", kind->name, kind->help);
  if (same) g_string_append_printf(out, "\nThe fields of %s.\n", same->name);
}

static void markdown_values(GString *out) {
  g_string_append(out, "\n## How values are written\n\n| type | written as |\n|---|---|\n");
  for (ValueType type = 0; type < VALUE_N; type++) {
    const ValueInfo *info = value_info(type);
    if (type == VALUE_GROUP || type == VALUE_LIST || type == VALUE_STRINGS) continue;
    g_string_append(out, "|");
    append_cell(out, info->name, FALSE);
    append_cell(out, info->expects, FALSE);
    g_string_append_c(out, '\n');
  }
}

char *reference_markdown(void) {
  GString *out = g_string_new(
    "# Field reference\n\n"
    "Written from the rows in `schema/fields/*.def`; after a change of a row:\n"
    "`REGENERATE=1 ctest --test-dir build/asan -R unit/test_reference`.\n"
    "The same on the screen: `reconcile explain vm.disks.size`.\n\n"
    "*Change* says when a new value reaches a machine that runs: *live* (at once), *live, replugged* (the device is\n"
    "unplugged and plugged again), *next start* (pending until then), *none* (nothing of the machine changes) or\n"
    "*never* (refused). A field that isn't given is not managed.\n");
  markdown_values(out);
  g_string_append(out, "\n## Every object\n\n`apiVersion: " API_VERSION "`, `kind`, `metadata` and `spec`.\n");
  each_table(out, "metadata", NULL, &MetadataSpec_table, markdown_table);
  each_kind(out, markdown_kind, markdown_table);
  return g_string_free(out, FALSE);
}

char *configuration_markdown(void) {
  GString *out = g_string_new(
    "# Configuration reference\n\n"
    "The file of `reconcile serve`: `/etc/reconcile/reconcile.yaml`, or as `--config` says. One mapping; `reconcile validate\n"
    "--config FILE` checks it. Written from the rows in `schema/fields/service.def`; after a change of a row:\n"
    "`REGENERATE=1 ctest --test-dir build/asan -R unit/test_reference`. How values are written:\n"
    "[fields.md](fields.md#how-values-are-written).\n");
  each_table(out, "", NULL, &ServiceSpec_table, markdown_table);
  return g_string_free(out, FALSE);
}

/* groff */

static void append_groff(GString *out, const char *text) {
  if (*text == '.' || *text == '\'') g_string_append(out, "\\&");
  for (; *text; text = g_utf8_next_char(text)) {
    gunichar c = g_utf8_get_char(text);
    if (c == '\\') g_string_append(out, "\\e");
    else if (c == '-') g_string_append(out, "\\-");
    else if (c > 0x7e) g_string_append_printf(out, "\\[u%04X]", c);
    else g_string_append_c(out, (char)c);
  }
}

static void groff_row(GString *out, const Field *field) {
  g_autofree char *type = describe_type(field);
  g_autofree char *values = limits(field);
  g_autofree char *effect = describe_effect(field);
  g_string_append(out, ".TP\n.B ");
  append_groff(out, field->key);
  g_string_append_printf(out, "\n%s%s", type, *values ? ": " : "");
  if (*values) append_groff(out, values);
  g_string_append(out, field->required ? "; required. " : ". ");
  append_groff(out, field->help);
  g_string_append(out, ".\n");
  if (effect) {
    effect[0] = g_ascii_toupper(effect[0]);
    append_groff(out, effect);
    g_string_append(out, ".\n");
  }
  if (!field->example) return;
  g_string_append(out, "Example:\n.B ");
  append_groff(out, field->example);
  g_string_append_c(out, '\n');
}

static void groff_table(GString *out, const char *path, const Field *field, const FieldTable *table) {
  (void)field;
  g_string_append(out, ".SS ");
  append_groff(out, *path ? path : "The file");
  g_string_append_c(out, '\n');
  append_groff(out, table->help);
  g_string_append(out, ".\n");
  for (guint i = 0; i < table->n_fields; i++) groff_row(out, &table->fields[i]);
}

static void groff_kind(GString *out, const KindInfo *kind, const KindInfo *same) {
  g_string_append_printf(out, ".SH KIND %s\n", kind->name);
  append_groff(out, kind->help);
  g_string_append(out, ".\n");
  if (same) g_string_append_printf(out, "Its fields are those of\n.BR %s .\n", same->name);
}

/* The example is a whole file: of each group what the rows give as examples would contradict itself. */
static const char example_configuration[] =
  "source:\n  git:\n    url: ssh://git@git.example.org/vms.git\n    ref: main\n    sshKey: /etc/reconcile/id_ed25519\n"
  "    knownHosts: /etc/reconcile/known_hosts\n  pollInterval: 1m\nconnection: qemu:///system\nallow: [restart]\n"
  "windows:\n  - {name: night, from: '22:00', to: '04:00', impacts: [restart]}\nprune: {enabled: true, limit: 10}\n"
  "policy: {pools: [default], networks: [default], paths: [/var/lib/vms], rawXml: false, maxCpus: 16, maxMemory: 64GiB}\n"
  "metrics: {listen: '127.0.0.1:9177'}\n";

char *configuration_man(void) {
  GString *out = g_string_new(
    ".\\\" Written from schema/fields/service.def by unit/test_reference with REGENERATE=1.\n"
    ".TH RECONCILE.YAML 5 \"\" \"reconcile " RECONCILE_VERSION "\" \"File formats\"\n"
    ".SH NAME\nreconcile.yaml \\- configuration of the reconcile service\n"
    ".SH DESCRIPTION\n"
    "One YAML mapping.\n.B reconcile serve\nreads\n.I /etc/reconcile/reconcile.yaml\nor what\n.B \\-\\-config\nnames, and"
    " reads it again on SIGHUP; a file with an error is refused and the former one stays in force.\n"
    ".B reconcile validate \\-\\-config\nchecks it. A single run takes it only with\n.BR \\-\\-config .\n"
    "Values are written as in\n.BR reconcile\\-spec (5).\n"
    ".SH EXAMPLE\n.nf\n");
  g_auto(GStrv) lines = g_strsplit(example_configuration, "\n", -1);
  for (char **line = lines; *line && **line; line++) {
    append_groff(out, *line);
    g_string_append_c(out, '\n');
  }
  g_string_append(out, ".fi\n.SH FIELDS\n");
  each_table(out, "", NULL, &ServiceSpec_table, groff_table);
  g_string_append(out, ".SH SEE ALSO\n.BR reconcile (1),\n.BR reconcile\\-spec (5)\n");
  return g_string_free(out, FALSE);
}

char *reference_man(void) {
  GString *out = g_string_new(
    ".\\\" Written from schema/fields/*.def by unit/test_reference with REGENERATE=1.\n"
    ".TH RECONCILE\\-SPEC 5 \"\" \"reconcile " RECONCILE_VERSION "\" \"File formats\"\n"
    ".SH NAME\nreconcile\\-spec \\- objects of libvirt as YAML\n"
    ".SH DESCRIPTION\n"
    "A source of\n.BR reconcile (1)\nholds YAML files of one or more documents, each an object with\n"
    ".BR apiVersion \" (\" " API_VERSION " \"),\"\n.BR kind ,\n.B metadata\nand\n.BR spec .\n"
    "A field that isn't given is not managed: what libvirt or a person put there stays.\n"
    ".SH METADATA\n");
  each_table(out, "metadata", NULL, &MetadataSpec_table, groff_table);
  each_kind(out, groff_kind, groff_table);
  g_string_append(out, ".SH SEE ALSO\n.BR reconcile (1)\n");
  return g_string_free(out, FALSE);
}
