/* Nodes are numbered: names and paths of others stand in labels only. */
#include "reconciler/status/graph.h"

#include <string.h>

#include "reconciler/report/escape.h"
#include "schema/value.h"
#include "state/base_volume.h"

typedef struct {
  GString *out;
  const VolumeUsers *users;
  GHashTable *layers; /* path → number of its node */
  GHashTable *seen;   /* paths whose backing store is drawn */
  guint next;
} Graph;

/* A quoted string of the DOT language: escape_text first, so that nothing in it controls a terminal; then a
 * backslash, which starts an escape sequence of a label, and an ampersand, which starts an entity. */
static void append_label(GString *out, const char *text) {
  g_autofree char *visible = escape_text(text);
  for (const char *at = visible; *at; at++) {
    if (*at == '"' || *at == '\\')
      g_string_append_c(out, '\\');
    g_string_append(out, *at == '&' ? "&amp;" : (const char[]){*at, '\0'});
  }
}

/* The second line may be NULL. */
static guint add_node(Graph *graph, const char *attributes, const char *first, const char *second) {
  guint number = graph->next++;
  g_string_append_printf(graph->out, "  n%u [%s, label=\"", number, attributes);
  append_label(graph->out, first);
  if (second) {
    g_string_append(graph->out, "\\n");
    append_label(graph->out, second);
  }
  g_string_append(graph->out, "\"];\n");
  return number;
}

static void add_edge(Graph *graph, guint from, guint to, const char *attributes) {
  g_string_append_printf(graph->out, "  n%u -> n%u%s%s%s;\n", from, to, *attributes ? " [" : "", attributes, *attributes ? "]" : "");
}

static guint layer_node(Graph *graph, const char *path) {
  gpointer number;
  if (g_hash_table_lookup_extended(graph->layers, path, NULL, &number))
    return GPOINTER_TO_UINT(number);
  const ActualVolume *layer = volume_users_layer(graph->users, path);
  g_autofree char *base = base_volume_digest(path), *size = bytes_format_short(layer ? layer->capacity : 0);
  g_autofree char *about = !layer ? g_strdup("not known to libvirt")
                                  : g_strdup_printf("%s, %s%s%s", layer->format ? layer->format : "unknown format",
                                                    layer->capacity ? size : "unknown size", layer->pool ? ", pool " : ", in no pool",
                                                    layer->pool ? layer->pool : "");
  guint node = add_node(graph, base ? "shape=cylinder, style=filled, fillcolor=lightgrey" : layer && !layer->error ? "shape=cylinder" : "shape=cylinder, style=dashed",
                        path, about);
  g_hash_table_insert(graph->layers, (gpointer)path, GUINT_TO_POINTER(node));
  return node;
}

/* A file and what lies beneath it, each once. */
static guint draw_chain(Graph *graph, const char *path) {
  guint top = layer_node(graph, path);
  for (guint above = top; g_hash_table_add(graph->seen, (gpointer)path);) {
    const ActualVolume *layer = volume_users_layer(graph->users, path);
    if (!layer || !layer->backing_path)
      break;
    path = layer->backing_path;
    guint beneath = layer_node(graph, path);
    add_edge(graph, above, beneath, "");
    above = beneath;
  }
  return top;
}

static void draw_disk(Graph *graph, guint machine, const ActualDomain *domain, const ActualDisk *disk) {
  const ActualDisk *defined = actual_disk(domain->defined_disks, disk->target);
  guint node = add_node(graph, "shape=box", disk->target, disk->job ? disk->job_ready ? "block job: ready" : "block job: under way" : NULL);
  add_edge(graph, machine, node, "");
  if (disk->path)
    add_edge(graph, node, draw_chain(graph, disk->path), "");
  if (disk->job_path)
    add_edge(graph, node, draw_chain(graph, disk->job_path), "style=dotted, label=\"job\"");
  if (defined && defined->path && g_strcmp0(defined->path, disk->path) != 0)
    add_edge(graph, node, draw_chain(graph, defined->path), "style=dashed, label=\"next start\"");
}

static void draw_snapshot(Graph *graph, guint machine, const ActualSnapshot *snapshot) {
  guint node = add_node(graph, "shape=note", snapshot->name, snapshot->current ? "current" : NULL);
  add_edge(graph, machine, node, "style=dotted");
  for (guint i = 0; i < snapshot->disks->len; i++) {
    const ActualSnapshotDisk *disk = snapshot->disks->pdata[i];
    const char *held = volume_users_held(graph->users, disk);
    if (disk->path)
      draw_chain(graph, disk->path);
    if (held)
      add_edge(graph, node, draw_chain(graph, held), "style=dotted, label=\"holds\"");
  }
}

static void draw_domain(Graph *graph, const ActualDomain *domain) {
  const char *state = domain->error ? "can't be read" : power_state_word(domain->state, domain->has_managed_save);
  guint machine = add_node(graph, "shape=box3d", domain->name, state);
  for (guint i = 0; domain->disks && i < domain->disks->len; i++)
    draw_disk(graph, machine, domain, domain->disks->pdata[i]);
  for (guint i = 0; i < domain->snapshots->len; i++)
    draw_snapshot(graph, machine, domain->snapshots->pdata[i]);
}

static const char *const impact_colors[IMPACT_N] = {
    [IMPACT_NONE] = "black", [IMPACT_LIVE] = "blue", [IMPACT_NEXT_START] = "blue", [IMPACT_RESTART] = "orange", [IMPACT_DATA_LOSS] = "red",
};

static void draw_plan(Graph *graph, const Plan *plan) {
  g_autoptr(GHashTable) nodes = g_hash_table_new(g_str_hash, g_str_equal);
  g_string_append(graph->out, "  subgraph cluster_plan {\n  label=\"plan\";\n");
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    g_autofree char *title = g_strdup_printf("%s  %s", action->id, action->object);
    g_autofree char *attributes = g_strdup_printf("shape=box, style=rounded, color=%s", impact_colors[action->impact]);
    g_hash_table_insert(nodes, action->id, GUINT_TO_POINTER(add_node(graph, attributes, title, action->description)));
  }
  for (guint i = 0; i < plan->actions->len; i++) {
    const Action *action = plan->actions->pdata[i];
    for (guint j = 0; j < action->after->len; j++)
      if (g_hash_table_contains(nodes, action->after->pdata[j]))
        add_edge(graph, GPOINTER_TO_UINT(g_hash_table_lookup(nodes, action->after->pdata[j])),
                 GPOINTER_TO_UINT(g_hash_table_lookup(nodes, action->id)), "");
  }
  g_string_append(graph->out, "  }\n");
}

void graph_append(GString *out, const GPtrArray *domains, const VolumeUsers *users, const Plan *plan) {
  Graph graph = {out, users, g_hash_table_new(g_str_hash, g_str_equal), g_hash_table_new(g_str_hash, g_str_equal), 0};
  g_string_append(out, "digraph reconcile {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n");
  for (guint i = 0; i < domains->len; i++)
    draw_domain(&graph, domains->pdata[i]);
  if (plan)
    draw_plan(&graph, plan);
  g_string_append(out, "}\n");
  g_hash_table_unref(graph.layers);
  g_hash_table_unref(graph.seen);
}
