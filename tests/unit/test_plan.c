/* Golden cases of diff and plan, without a hypervisor: tests/golden/plan/CASE holds
 *   *.yaml            the source
 *   host/domains/NAME.xml, NAME.live.xml   definitions and running machines
 *   host/snapshots/NAME/SNAPSHOT.xml       its snapshots
 *   host/pools/NAME.xml, host/volumes/POOL/NAME.xml, host/networks/NAME.xml
 *   hosts/NAME/…      the same of each host, where the source declares some that aren't fenced; what hosts are asked isn't known
 *   options           lines: prune, allow restart, allow data-loss, prune-limit N, deleted-lately unknown, now SECONDS, scratch BYTES (optional)
 *   expected.json     the plan
 * Run from the repository's root. REGENERATE=1 rewrites the expected plans for review. */
#include "check.h"

#include <libvirt/libvirt.h>
#include <stdlib.h>
#include <string.h>

#include "reconciler/plan/fleet_plan.h"
#include "reconciler/plan/json.h"
#include "reconciler/plan/migration.h"
#include "reconciler/plan/planner.h"
#include "reconciler/run/fleet_open.h"
#include "state/domain_facts.h"
#include "state/host_facts.h"
#include "state/snapshot_xml.h"

#define CASES "tests/golden/plan"

static char *read_text(const char *path) {
  char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static gint by_text(gconstpointer a, gconstpointer b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef void (*FileFunction)(const char *path, const char *name, gpointer data);

/* Files of a directory with an ending, sorted; `name` is without it. */
static void each_file(const char *directory, const char *ending, FileFunction function, gpointer data) {
  g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir))
    if (g_str_has_suffix(name, ending) && !g_str_has_suffix(name, ".live.xml"))
      g_ptr_array_add(names, g_strndup(name, strlen(name) - strlen(ending)));
  g_ptr_array_sort(names, by_text);
  for (guint i = 0; i < names->len; i++) {
    const char *name = names->pdata[i];
    g_autofree char *file = g_strconcat(name, ending, NULL);
    g_autofree char *path = g_build_filename(directory, file, NULL);
    function(path, name, data);
  }
}

static void add_volume(const char *path, const char *name, gpointer data) {
  ActualPool *pool = data;
  g_autofree char *text = read_text(path);
  ActualVolume *volume = g_new0(ActualVolume, 1);
  volume->name = g_strdup(name);
  volume->pool = g_strdup(pool->name);
  assert_true(volume_facts_read(volume, text, NULL));
  g_hash_table_replace(pool->volumes, volume->name, volume);
}

typedef struct {
  const char *host;
  Actual *actual;
} Host;

static void add_pool(const char *path, const char *name, gpointer data) {
  Host *host = data;
  g_autofree char *text = read_text(path), *volumes = g_build_filename(host->host, "volumes", name, NULL);
  g_autofree char *uuid = derive_uuid("pool", name);
  ActualPool *pool = actual_pool_new(name, uuid);
  assert_true(pool_facts_read(pool, text, NULL));
  pool->active = pool->persistent = TRUE;
  pool->spec.state = PoolState_active;
  set_given(&pool->spec, StoragePoolSpec, state);
  each_file(volumes, ".xml", add_volume, pool);
  GHashTableIter iter;
  ActualVolume *volume;
  g_hash_table_iter_init(&iter, pool->volumes);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&volume))
    g_hash_table_replace(host->actual->volumes_by_path, volume->path, volume);
  g_hash_table_replace(host->actual->pools, pool->name, pool);
}

static void add_network(const char *path, const char *name, gpointer data) {
  Host *host = data;
  g_autofree char *text = read_text(path), *uuid = derive_uuid("network", name);
  ActualNetwork *network = actual_network_new(name, uuid);
  assert_true(network_facts_read(network, text, text, NULL));
  network->active = network->is_persistent = TRUE;
  g_hash_table_replace(host->actual->networks, network->name, network);
}

static void add_snapshot(const char *path, const char *name, gpointer data) {
  (void)name;
  ActualDomain *domain = data;
  g_autofree char *text = read_text(path);
  ActualSnapshot *snapshot = snapshot_xml_read(text, NULL);
  assert_non_null(snapshot);
  g_ptr_array_add(domain->snapshots, snapshot);
}

/* A file beside the XML that only has to be there: "web.saved". */
static gboolean has_flag(const char *path, const char *flag) {
  g_autofree char *file = g_strconcat(path, flag, NULL);
  return g_file_test(file, G_FILE_TEST_EXISTS);
}

static void add_domain(const char *path, const char *name, gpointer data) {
  Host *host = data;
  g_autofree char *defined = read_text(path);
  g_autofree char *live_path = g_strndup(path, strlen(path) - strlen(".xml"));
  g_autofree char *live_file = g_strconcat(live_path, ".live.xml", NULL), *live = read_text(live_file);
  g_autofree char *state_file = g_strconcat(live_path, ".state", NULL), *told = read_text(state_file); /* virDomainState and why, numbers */
  g_autofree char *uuid = derive_uuid("vm", name);
  ActualDomain *domain = actual_domain_new(name, uuid);
  domain->is_persistent = TRUE;
  domain->has_managed_save = has_flag(live_path, ".saved");
  domain->state = live ? VIR_DOMAIN_RUNNING : VIR_DOMAIN_SHUTOFF;
  if (told)
    assert_true(sscanf(told, "%d %d", &domain->state, &domain->reason) >= 1);
  g_autoptr(GError) error = NULL;
  if (!domain_facts_read(domain, defined, live, &error))
    domain->error = g_strdup(error->message);
  g_autofree char *snapshots = g_build_filename(host->host, "snapshots", name, NULL);
  each_file(snapshots, ".xml", add_snapshot, domain);
  domain_facts_resolve(domain, host->actual);
  domain_facts_finish(domain, TRUE);
  g_hash_table_replace(host->actual->domains, domain->name, domain);
}

static Actual *load_host(const char *directory) {
  Actual *actual = actual_new();
  actual->uri = g_strdup("golden:///");
  actual->arch = g_strdup("x86_64");
  actual->has_kvm = has_flag(directory, "/kvm");
  Host host = {directory, actual};
  g_autofree char *pools = g_build_filename(directory, "pools", NULL), *domains = g_build_filename(directory, "domains", NULL);
  g_autofree char *networks = g_build_filename(directory, "networks", NULL);
  each_file(pools, ".xml", add_pool, &host);
  each_file(networks, ".xml", add_network, &host);
  each_file(domains, ".xml", add_domain, &host);
  actual_set_helpers_aside(actual);
  return actual;
}

typedef struct {
  Desired *desired;
  Diagnostics *diagnostics;
} Source;

static void add_source(const char *path, const char *name, gpointer data) {
  Source *source = data;
  g_autofree char *text = read_text(path), *shown = g_strconcat(name, ".yaml", NULL);
  desired_decode(source->desired, shown, text, strlen(text), source->diagnostics);
}

/* Image files aren't read here: an image has the digest that it declares. */
static void declare_images(const Desired *desired, Actual *actual) {
  actual->images = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)image_facts_free);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    if (object->kind != KIND_IMAGE)
      continue;
    const ImageSpec *spec = object->spec;
    ImageFacts *facts = g_new0(ImageFacts, 1);
    facts->path = g_strdup(spec->source);
    facts->sha256 = g_strdup(spec->sha256);
    facts->format = g_strdup("qcow2");
    facts->bytes = 1 << 20;
    facts->virtual_size = 1 << 26;
    g_hash_table_replace(actual->images, g_strdup(object->metadata.name), facts);
  }
}

static void read_options(const char *path, PlanInput *input) {
  g_autofree char *text = read_text(path);
  g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    input->prune |= g_str_equal(lines[i], "prune");
    if (g_str_equal(lines[i], "deleted-lately unknown"))
      input->deleted_lately = G_MAXUINT;
    input->allow |= g_str_equal(lines[i], "allow restart") ? ALLOW(IMPACT_RESTART) : 0;
    input->allow |= g_str_equal(lines[i], "allow data-loss") ? ALLOW(IMPACT_DATA_LOSS) : 0;
    if (g_str_has_prefix(lines[i], "now "))
      input->now = g_ascii_strtoll(lines[i] + strlen("now "), NULL, 10);
    if (g_str_has_prefix(lines[i], "scratch "))
      input->scratch = g_ascii_strtoull(lines[i] + strlen("scratch "), NULL, 10);
    if (g_str_has_prefix(lines[i], "prune-limit "))
      input->prune_percent = (guint)atoi(lines[i] + strlen("prune-limit "));
  }
}

static Plan *plan_one(const char *directory, const Desired *desired) {
  g_autofree char *path = g_build_filename(directory, "host", NULL), *options = g_build_filename(directory, "options", NULL);
  g_autoptr(Actual) actual = load_host(path);
  declare_images(desired, actual);
  PlanInput input = {.desired = desired, .actual = actual, .source = "/golden", .prune_percent = 30};
  read_options(options, &input);
  return planner_plan(&input);
}

static Plan *plan_fleet(const char *directory, const Desired *desired) {
  g_autofree char *options = g_build_filename(directory, "options", NULL);
  g_autoptr(Fleet) fleet = fleet_new_declared(desired, NULL, TRUE);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    g_autofree char *path = g_build_filename(directory, "hosts", host->name, NULL);
    if (fleet_host_is_fenced(host))
      host->error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE, "it is fenced");
    else
      host->actual = load_host(path);
  }
  fleet->epoch = fleet_highest_epoch(fleet);
  PlanInput asked = {0};
  read_options(options, &asked);
  g_autoptr(GPtrArray) placed = placement_of(desired, fleet, asked.now);
  Plan *whole = fleet_plan_new(fleet, "/golden", NULL);
  fleet_plan_troubles(whole, fleet, placed);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual == NULL)
      continue;
    g_autoptr(Desired) part = fleet_part(desired, placed, host);
    declare_images(part, host->actual);
    PlanInput input = {.desired = part, .everywhere = desired, .placed = placed, .actual = host->actual, .host = host->name, .source = "/golden",
                       .prune_percent = 30};
    read_options(options, &input);
    fleet_plan_add(whole, planner_plan(&input));
  }
  fleet_plan_link(whole, NULL);
  moves_check_space(whole, fleet);
  return whole;
}

static char *plan_of(const char *directory) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(Desired) desired = desired_new();
  Source source = {desired, diagnostics};
  each_file(directory, ".yaml", add_source, &source);
  desired_finish(desired, diagnostics);
  if (diagnostics->errors > 0) {
    g_autofree char *first = diagnostic_format(diagnostics->items->pdata[0]);
    fail_msg("%s: %s", directory, first);
  }
  g_autoptr(Plan) plan = desired_has_hosts(desired) ? plan_fleet(directory, desired) : plan_one(directory, desired);
  char *text = plan_to_json(plan);
  /* Saved and loaded, it is the same plan. */
  g_autoptr(GError) error = NULL;
  g_autoptr(Plan) loaded = plan_from_json(text, "golden", &error);
  if (!loaded)
    fail_msg("%s: %s", directory, error->message);
  g_autofree char *again = plan_to_json(loaded);
  assert_string_equal(again, text);
  return text;
}

static void test_cases(void **state) {
  (void)state;
  g_autoptr(GDir) dir = g_dir_open(CASES, 0, NULL);
  assert_non_null(dir);
  guint count = 0;
  for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
    g_autofree char *directory = g_build_filename(CASES, name, NULL);
    g_autofree char *path = g_build_filename(directory, "expected.json", NULL);
    g_autofree char *plan = plan_of(directory), *expected = NULL;
    if (g_getenv("REGENERATE"))
      assert_true(g_file_set_contents(path, plan, -1, NULL));
    expected = read_text(path);
    if (g_strcmp0(plan, expected) != 0)
      print_message("%s: the plan differs; REGENERATE=1 writes it for review\n%s\n", name, plan);
    assert_string_equal(plan, expected);
    count++;
  }
  assert_true(count >= 10);
}

enum { MANY = 200, ODD = 7 /* each of these can't be made */ };

static Desired *many_machines(void) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  Desired *desired = desired_new();
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < MANY; i++)
    g_string_append_printf(text, "---\napiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata: {name: m%03u}\nspec: {memory: {%s: 64MiB}}\n", i,
                           i % ODD == 0 ? "guaranteed" : "size");
  desired_decode(desired, "many.yaml", text->str, text->len, diagnostics);
  desired_finish(desired, diagnostics);
  assert_int_equal(diagnostics->errors, 0);
  return desired;
}

/* So many that several threads compare them: the plan is in order, and each time the same. */
static void test_many_machines(void **state) {
  (void)state;
  g_autoptr(Desired) desired = many_machines();
  g_autoptr(Actual) actual = load_host("tests/golden/plan/none/host");
  const PlanInput input = {.desired = desired, .actual = actual, .source = "/golden", .prune_percent = 30};
  g_autoptr(Plan) plan = planner_plan(&input);
  assert_int_equal(plan->objects->len, MANY);
  guint defined = 0;
  for (guint i = 0; i < MANY; i++) {
    const PlanObject *object = plan->objects->pdata[i];
    g_autofree char *name = g_strdup_printf("m%03u", i), *id = g_strdup_printf("vm/m%03u", i);
    assert_string_equal(object->name, name);
    assert_int_equal(object->change, i % ODD == 0 ? CHANGE_ERROR : CHANGE_CREATE);
    if (i % ODD != 0)
      assert_string_equal(((const Action *)plan->actions->pdata[defined++])->object, id);
  }
  assert_int_equal(plan->actions->len, defined);
  g_autofree char *first = plan_to_json(plan);
  g_autoptr(Plan) again = planner_plan(&input);
  g_autofree char *second = plan_to_json(again);
  assert_string_equal(first, second);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_many_machines)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
