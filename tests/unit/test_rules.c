/* What of a plan may be done now: policy, suspension, patience, impacts, windows. */
#include "check.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "plans.h"
#include "reconciler/plan/input.h"
#include "reconciler/rules/policy.h"
#include "reconciler/rules/rules.h"
#include "state/real_path.h"

#define NOON ((gint64)1763380800 * G_USEC_PER_SEC) /* 2025-11-17T12:00:00Z */

static gpointer spec_of(const FieldTable *table, const char *json) {
  GError *error = NULL;
  gpointer spec = spec_from_json(table, json, "test", &error);
  g_assert_no_error(error);
  return spec;
}

/* Policy */

static gboolean follow_links;

static void assert_policy(const char *policy, Kind kind, const char *json, const char *part) {
  PolicySpec *rules = spec_of(&PolicySpec_table, policy);
  g_autoptr(Object) object = object_new(kind, "x");
  plans_spec(object, json);
  g_autofree char *refusal = policy_refusal(rules, follow_links ? real_path : NULL, object);
  if (part ? !refusal || !strstr(refusal, part) : refusal != NULL)
    fail_msg("%s under %s: %s, not %s", json, policy, refusal ? refusal : "allowed", part ? part : "allowed");
  spec_free(&PolicySpec_table, rules);
}

static void policy_names_what_goes_beyond(void **state) {
  (void)state;
  const char *disk = "{\"disks\":[{\"target\":\"vda\",\"pool\":\"fast\",\"size\":\"1GiB\"}]}";
  assert_policy("{}", KIND_VIRTUAL_MACHINE, disk, NULL);
  assert_policy("{\"pools\":[\"fast\"]}", KIND_VIRTUAL_MACHINE, disk, NULL);
  assert_policy("{\"pools\":[\"slow\"]}", KIND_VIRTUAL_MACHINE, disk, "disks[vda].pool: \"fast\" goes beyond this host's policy (policy.pools: slow)");
  assert_policy("{\"pools\":[]}", KIND_VIRTUAL_MACHINE, disk, "(policy.pools: none)");
  assert_policy("{\"pools\":[\"fast\"]}", KIND_VIRTUAL_MACHINE, "{\"disks\":[{\"target\":\"vda\",\"size\":\"1GiB\"}]}", "\"default\" goes beyond");
  assert_policy("{\"pools\":[\"fast\"]}", KIND_VIRTUAL_MACHINE, "{\"disks\":[{\"target\":\"sda\",\"device\":\"cdrom\"}]}", NULL);
  assert_policy("{\"pools\":[\"fast\"]}", KIND_VOLUME, "{\"size\":\"1GiB\"}", "\"default\" goes beyond");
  assert_policy("{\"pools\":[\"fast\"]}", KIND_VIRTUAL_MACHINE, "{\"exports\":[{\"name\":\"e\",\"disk\":\"vda\",\"to\":\"slow\"}]}",
                "exports[e].to: \"slow\" goes beyond");
  assert_policy("{\"pools\":[\"fast\"]}", KIND_STORAGE_POOL, "{\"type\":\"dir\"}", "metadata.name: \"x\" goes beyond");
  assert_policy("{\"networks\":[\"lan\"]}", KIND_NETWORK, "{\"mode\":\"nat\"}", "metadata.name: \"x\" goes beyond");
  assert_policy("{\"networks\":[\"lan\"]}", KIND_VIRTUAL_MACHINE, "{\"interfaces\":[{\"name\":\"e\",\"network\":\"wan\"}]}",
                "interfaces[e].network: \"wan\"");
  assert_policy("{\"bridges\":[\"br0\"]}", KIND_VIRTUAL_MACHINE, "{\"interfaces\":[{\"name\":\"e\",\"bridge\":\"br0\"}]}", NULL);
  assert_policy("{\"bridges\":[\"br0\"]}", KIND_VIRTUAL_MACHINE, "{\"interfaces\":[{\"name\":\"e\",\"direct\":\"eno1\"}]}", "interfaces[e].direct: \"eno1\"");
  assert_policy("{\"hostDevices\":[\"1d6b:0002\"]}", KIND_VIRTUAL_MACHINE, "{\"hostDevices\":{\"usb\":[{\"id\":\"1d6b:0002\"}]}}", NULL);
  assert_policy("{\"hostDevices\":[]}", KIND_VIRTUAL_MACHINE, "{\"hostDevices\":{\"pci\":[{\"address\":\"0000:03:00.0\"}]}}",
                "hostDevices.pci[0000:03:00.0].address");
  assert_policy("{\"rawXml\":false}", KIND_VIRTUAL_MACHINE, "{\"devices\":{\"extra\":[\"<vsock/>\"]}}", "devices.extra: raw XML is forbidden");
  assert_policy("{\"maxCpus\":4}", KIND_VIRTUAL_MACHINE, "{\"cpu\":{\"count\":2,\"max\":8}}", "8 virtual CPUs are more");
  assert_policy("{\"maxMemory\":\"1GiB\"}", KIND_VIRTUAL_MACHINE, "{\"memory\":{\"size\":\"2GiB\"}}", "memory: 2GiB is more");
  assert_policy("{\"maxMemory\":\"2GiB\"}", KIND_VIRTUAL_MACHINE, "{\"memory\":{\"size\":\"2GiB\"}}", NULL);
  /* The memory of NUMA nodes is all that the machine can have. */
  assert_policy("{\"maxMemory\":\"2GiB\"}", KIND_VIRTUAL_MACHINE, "{\"memory\":{\"size\":\"1GiB\"},\"numa\":{\"cells\":[{\"id\":0,\"cpus\":\"0\",\"memory\":\"1GiB\"},"
                "{\"id\":1,\"memory\":\"2GiB\"}]}}", "memory: 3GiB is more");
}

static void policy_knows_servers_filters_secrets_and_urls(void **state) {
  (void)state;
  const char *nfs = "{\"type\":\"netfs\",\"source\":{\"host\":\"nas\",\"dir\":\"/export/vms/a\"}}";
  assert_policy("{}", KIND_STORAGE_POOL, nfs, NULL);
  assert_policy("{\"fileServers\":[\"NAS\"]}", KIND_STORAGE_POOL, nfs, NULL);
  assert_policy("{\"fileServers\":[\"nas:/export/vms\"]}", KIND_STORAGE_POOL, nfs, NULL);
  assert_policy("{\"fileServers\":[\"nas:/export/vm\"]}", KIND_STORAGE_POOL, nfs, "source: \"nas:/export/vms/a\" goes beyond this host's policy (policy.fileServers");
  assert_policy("{\"fileServers\":[\"na\", \"nas2\"]}", KIND_STORAGE_POOL, nfs, "goes beyond");
  assert_policy("{\"fileServers\":[]}", KIND_STORAGE_POOL, nfs, "(policy.fileServers: none)");
  assert_policy("{\"fileServers\":[\"nas:/export/vms\"]}", KIND_STORAGE_POOL,
                "{\"type\":\"netfs\",\"source\":{\"host\":\"nas\",\"dir\":\"/export/vms/../x\"}}", "nas:/export/x");
  const char *filtered = "{\"interfaces\":[{\"name\":\"e\",\"network\":\"lan\",\"filter\":\"allow-all\"}]}";
  assert_policy("{\"filters\":[\"clean-traffic\"]}", KIND_VIRTUAL_MACHINE, filtered, "interfaces[e].filter: \"allow-all\" goes beyond");
  assert_policy("{\"filters\":[\"allow-all\"]}", KIND_VIRTUAL_MACHINE, filtered, NULL);
  const char *user = "{\"interfaces\":[{\"name\":\"e\",\"user\":true}]}";
  assert_policy("{\"userNetworks\":false}", KIND_VIRTUAL_MACHINE, user, "interfaces[e]: user is forbidden");
  assert_policy("{\"userNetworks\":true}", KIND_VIRTUAL_MACHINE, user, NULL);
  const char *secret = "{\"graphics\":[{\"type\":\"vnc\",\"passwordSecret\":\"other\"}]}";
  assert_policy("{\"secrets\":[\"mine\"]}", KIND_VIRTUAL_MACHINE, secret, "graphics[vnc].passwordSecret: \"other\" goes beyond");
  const char *image = "{\"url\":\"https://a.org/x/b.qcow2\"}";
  assert_policy("{\"imageUrls\":[\"https://a.org\"]}", KIND_IMAGE, image, NULL);
  assert_policy("{\"imageUrls\":[\"https://a.org/x/\"]}", KIND_IMAGE, image, NULL);
  assert_policy("{\"imageUrls\":[\"https://a.or\", \"http://a.org\", \"https://a.org/y\"]}", KIND_IMAGE, image,
                "url: \"https://a.org/x/b.qcow2\" goes beyond");
  assert_policy("{\"imageUrls\":[\"https://a.org\"]}", KIND_IMAGE, "{\"url\":\"https://a.org.evil.net/b\"}", "goes beyond");
  assert_policy("{\"imageUrls\":[]}", KIND_IMAGE, "{\"url\":\"https://a.org/b?token=x\"}", "\"https://a.org/b?…\" goes beyond");
}

static void policy_follows_links(void **state) {
  (void)state;
  g_autofree char *made = g_dir_make_tmp("policy-XXXXXX", NULL), *top = real_path(made);
  g_autofree char *allowed = g_build_filename(top, "allowed", NULL), *out = g_build_filename(allowed, "out", NULL);
  g_autofree char *alias = g_build_filename(top, "alias", NULL);
  assert_int_equal(g_mkdir(allowed, 0700), 0);
  assert_int_equal(symlink("/etc", out), 0);
  assert_int_equal(symlink(allowed, alias), 0);
  g_autofree char *policy = g_strdup_printf("{\"paths\":[\"%s\"]}", allowed), *by_alias = g_strdup_printf("{\"paths\":[\"%s\"]}", alias);
  g_autofree char *bad = g_strdup_printf("{\"disks\":[{\"target\":\"vda\",\"path\":\"%s/shadow\"}]}", out);
  g_autofree char *new = g_strdup_printf("{\"disks\":[{\"target\":\"vda\",\"path\":\"%s/not/yet.raw\"}]}", allowed);
  g_autofree char *aliased = g_strdup_printf("{\"disks\":[{\"target\":\"vda\",\"path\":\"%s/not/yet.raw\"}]}", alias);
  assert_policy(policy, KIND_VIRTUAL_MACHINE, bad, NULL); /* on another host only its words are known */
  follow_links = TRUE;
  assert_policy(policy, KIND_VIRTUAL_MACHINE, bad, "disks[vda].path: \"/etc/shadow\" goes beyond");
  assert_policy(policy, KIND_VIRTUAL_MACHINE, new, NULL);
  assert_policy(by_alias, KIND_VIRTUAL_MACHINE, aliased, NULL);
  follow_links = FALSE;
  g_unlink(out);
  g_unlink(alias);
  g_rmdir(allowed);
  g_rmdir(top);
}

static void policy_knows_paths(void **state) {
  (void)state;
  const char *policy = "{\"paths\":[\"/srv/isos\"]}";
  assert_policy(policy, KIND_VIRTUAL_MACHINE, "{\"disks\":[{\"target\":\"sda\",\"path\":\"/srv/isos/a/b.iso\"}]}", NULL);
  assert_policy(policy, KIND_VIRTUAL_MACHINE, "{\"disks\":[{\"target\":\"sda\",\"path\":\"/srv/isos2/b.iso\"}]}", "disks[sda].path: \"/srv/isos2/b.iso\"");
  assert_policy(policy, KIND_VIRTUAL_MACHINE, "{\"disks\":[{\"target\":\"sda\",\"path\":\"/srv/isos/../x\"}]}", "disks[sda].path: \"/srv/x\"");
  assert_policy(policy, KIND_VIRTUAL_MACHINE, "{\"boot\":{\"kernel\":\"/boot/vmlinuz\"}}", "boot.kernel");
  assert_policy(policy, KIND_VIRTUAL_MACHINE, "{\"filesystems\":[{\"tag\":\"t\",\"source\":\"/etc\"}]}", "filesystems[t].source");
  assert_policy(policy, KIND_VIRTUAL_MACHINE, "{\"serials\":[{\"port\":0,\"type\":\"file\",\"path\":\"/var/log/x\"}]}", "serials[0].path");
  assert_policy(policy, KIND_IMAGE, "{\"source\":\"/srv/isos/a.qcow2\"}", NULL);
  assert_policy(policy, KIND_STORAGE_POOL, "{\"type\":\"dir\",\"target\":\"/etc\"}", "target: \"/etc\"");
  assert_policy(policy, KIND_STORAGE_POOL, "{\"type\":\"fs\",\"source\":{\"device\":\"/dev/sda1\"}}", "source.device: \"/dev/sda1\"");
  assert_policy(policy, KIND_STORAGE_POOL, "{\"type\":\"logical\",\"source\":{\"name\":\"vg0\"}}", "source.name: \"/dev/vg0\"");
  assert_policy("{\"paths\":[\"/dev/vg0\"]}", KIND_STORAGE_POOL, "{\"type\":\"logical\",\"source\":{\"name\":\"vg0\"}}", NULL);
  assert_policy("{\"paths\":[\"/\"]}", KIND_IMAGE, "{\"source\":\"/a.qcow2\"}", NULL);
}

static void hosts_have_to_be_named(void **state) {
  (void)state;
  g_autoptr(Desired) desired = desired_new();
  Object *host = object_new(KIND_HOST, "kvm-1");
  plans_spec(host, "{\"uri\":\"qemu+ext:///system?command=/tmp/x\"}");
  host->at = (Place){"hosts.yaml", 1, 1};
  g_ptr_array_add(desired->objects, host);
  assert_text(policy_hosts_refusal(NULL, desired), "hosts.yaml:1:1: host kvm-1: the connection \"qemu+ext:///system?command=/tmp/x\" isn't one that "
                                                   "the configuration allows (policy.hosts): nothing is done");
  PolicySpec *policy = spec_of(&PolicySpec_table, "{\"hosts\":[\"qemu+ext:///system?command=/tmp/x\"]}");
  assert_null(policy_hosts_refusal(policy, desired));
  plans_spec(host, "{\"uri\":\"qemu+ext:///system?command=/tmp/x\",\"peerUri\":\"qemu+ext:///other\"}");
  assert_text(policy_hosts_refusal(policy, desired), "hosts.yaml:1:1: host kvm-1: the connection \"qemu+ext:///other\" isn't one that the "
                                                     "configuration allows (policy.hosts): nothing is done");
  /* Where machines are sent to, with all that is in their memory. */
  plans_spec(host, "{\"uri\":\"qemu+ext:///system?command=/tmp/x\",\"migrationUri\":\"tcp://elsewhere\"}");
  assert_text(policy_hosts_refusal(policy, desired), "hosts.yaml:1:1: host kvm-1: the connection \"tcp://elsewhere\" isn't one that the "
                                                     "configuration allows (policy.hosts): nothing is done");
  spec_free(&PolicySpec_table, policy);
}

static void totals_count_what_is_there_first(void **state) {
  (void)state;
  PolicySpec *policy = spec_of(&PolicySpec_table, "{\"totalCpus\":10}");
  g_autoptr(Plan) plan = plan_new();
  g_autoptr(Actual) actual = actual_new();
  ActualDomain *domain = actual_domain_new("z-old", NULL);
  domain->persistent.cpu.count = 6;
  set_given(&domain->persistent, VmSpec, cpu);
  set_given(&domain->persistent.cpu, CpuSpec, count);
  g_hash_table_insert(actual->domains, domain->name, domain);
  static const struct { const char *name, *spec; ChangeKind change; } machines[] = {
      {"a", "{\"cpu\":{\"count\":3}}", CHANGE_CREATE}, {"b", "{\"cpu\":{\"count\":3}}", CHANGE_CREATE},
      {"c", "{\"cpu\":{\"count\":1}}", CHANGE_CREATE}, {"z-old", "{\"cpu\":{\"count\":6}}", CHANGE_NONE}};
  for (guint i = 0; i < G_N_ELEMENTS(machines); i++) {
    PlanObject *object = plans_object(plan, KIND_VIRTUAL_MACHINE, machines[i].name, machines[i].change);
    plans_spec(object->desired, machines[i].spec);
  }
  policy_apply(policy, NULL, plan, actual);
  static const gboolean refused[] = {FALSE, TRUE, FALSE, FALSE};
  for (guint i = 0; i < plan->objects->len; i++)
    assert_int_equal(((PlanObject *)plan->objects->pdata[i])->change == CHANGE_ERROR, refused[i]);
  assert_non_null(strstr(((PlanObject *)plan->objects->pdata[1])->error, "policy.totalCpus: 10"));
  spec_free(&PolicySpec_table, policy);
}

/* What waits */

static char *ids(const Plan *plan) {
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < plan->actions->len; i++)
    g_string_append_printf(text, "%s%s", i ? " " : "", ((Action *)plan->actions->pdata[i])->id);
  return g_string_free(text, FALSE);
}

/* An update that redefines (a1), then restarts (a2, a3); a machine (a4) that waits for a volume of the first (a1). */
static Plan *plan_with_restart(void) {
  Plan *plan = plan_new();
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_UPDATE);
  FieldChange *max = plans_field(web, "cpu.max", "4", "8", EFFECT_NEXT_START);
  max->live = TRUE;
  plans_action(plan, web, ACTION_DOMAIN_REDEFINE, IMPACT_NONE, NULL, "change the definition");
  plans_action(plan, web, ACTION_DOMAIN_SHUTDOWN, IMPACT_RESTART, "a1", "shut down")->permitted = TRUE;
  plans_action(plan, web, ACTION_DOMAIN_START, IMPACT_NONE, "a2", "start again");
  PlanObject *other = plans_object(plan, KIND_VIRTUAL_MACHINE, "other", CHANGE_UPDATE);
  plans_action(plan, other, ACTION_SET_TITLE, IMPACT_LIVE, "a1", "set the title");
  return plan;
}

static const PlanObject *web_of(const Plan *plan) { return plan_object(plan, "vm/web"); }

static void window_free(gpointer window) { spec_free(&WindowSpec_table, window); }

static GPtrArray *night(const char *impacts) {
  GPtrArray *windows = g_ptr_array_new_with_free_func(window_free);
  g_autofree char *json = g_strdup_printf("{\"name\":\"night\",\"from\":\"22:00\",\"to\":\"23:00\",\"timezone\":\"UTC\",\"impacts\":%s}", impacts);
  g_ptr_array_add(windows, spec_of(&WindowSpec_table, json));
  return windows;
}

static void restarts_wait_and_the_rest_goes_on(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  g_autoptr(Actual) actual = actual_new();
  g_autoptr(GPtrArray) windows = night("[\"restart\"]");
  Rules rules = {.windows = windows, .now = NOON};
  assert_true(rules_apply(&rules, plan, actual) == NOON + (gint64)10 * 3600 * G_USEC_PER_SEC);
  assert_text(ids(plan), "a1 a4");
  const PlanObject *web = web_of(plan);
  assert_int_equal(web->hold, HOLD_WINDOW);
  assert_string_equal(web->notes->pdata[0], "shut down: waits for window night until 2025-11-17 22:00 UTC");
  assert_true(((FieldChange *)web->fields->pdata[0])->pending);
  assert_int_equal(plan_object(plan, "vm/other")->hold, HOLD_NONE);
}

static void in_the_window_all_is_done(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  g_autoptr(Actual) actual = actual_new();
  g_autoptr(GPtrArray) windows = night("[\"restart\"]");
  Rules rules = {.windows = windows, .now = NOON + (gint64)10 * 3600 * G_USEC_PER_SEC};
  assert_true(rules_apply(&rules, plan, actual) == 0);
  assert_text(ids(plan), "a1 a2 a3 a4");
}

static void nothing_is_stopped_that_could_not_be_started(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  g_autoptr(Actual) actual = actual_new();
  g_autoptr(GPtrArray) windows = night("[\"none\"]");
  Rules rules = {.windows = windows, .now = NOON};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "");
}

static void a_deletion_waits_as_a_whole(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_new();
  PlanObject *gone = plans_object(plan, KIND_VIRTUAL_MACHINE, "gone", CHANGE_DELETE);
  plans_action(plan, gone, ACTION_DOMAIN_UNDEFINE, IMPACT_NONE, NULL, "undefine");
  plans_action(plan, gone, ACTION_VOLUME_DELETE, IMPACT_DATA_LOSS, "a1", "delete the disk");
  g_autoptr(Actual) actual = actual_new();
  g_autoptr(GPtrArray) windows = night("[\"data-loss\"]");
  Rules rules = {.windows = windows, .now = NOON, .allow = ALLOW(IMPACT_DATA_LOSS)};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "");
}

/* Its first part would be done anew in every pass. What comes before it is done. */
static void a_move_waits_as_a_whole(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_new();
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_UPDATE);
  plans_action(plan, web, ACTION_MOVE_UNDO, IMPACT_NONE, NULL, "take back the move before");
  plans_action(plan, web, ACTION_MOVE_CHECK, IMPACT_NONE, "a1", "check the host");
  plans_action(plan, web, ACTION_MOVE_BASE, IMPACT_NONE, "a2", "copy the base");
  plans_action(plan, web, ACTION_DOMAIN_MIGRATE, IMPACT_LIVE, "a3", "migrate");
  plans_action(plan, web, ACTION_MOVE_FINISH, IMPACT_NONE, "a4", "finish");
  PlanObject *stopped = plans_object(plan, KIND_VIRTUAL_MACHINE, "stopped", CHANGE_UPDATE);
  plans_action(plan, stopped, ACTION_MOVE_CHECK, IMPACT_NONE, NULL, "check the host");
  plans_action(plan, stopped, ACTION_DOMAIN_ARRIVE, IMPACT_NONE, "a6", "define it there");
  g_autoptr(Actual) actual = actual_new();
  g_autoptr(GPtrArray) windows = night("[\"live\"]");
  Rules rules = {.windows = windows, .now = NOON};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "a1 a6 a7");
  assert_int_equal(web->hold, HOLD_WINDOW);
}

static void an_impact_beyond_holds_its_object_only(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  ((Action *)plan->actions->pdata[1])->permitted = FALSE;
  g_autoptr(Actual) actual = actual_new();
  Rules rules = {.now = NOON};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "");
  assert_int_equal(web_of(plan)->hold, HOLD_FORBIDDEN);
  assert_non_null(strstr(web_of(plan)->notes->pdata[0], "which the configuration doesn't allow (allow: [restart])"));
  assert_int_equal(plan_object(plan, "vm/other")->hold, HOLD_OTHER); /* it waits for web's definition */
  assert_int_equal(plan_object(plan, "vm/other")->change, CHANGE_UPDATE);
}

static char *impatient(gpointer data, const char *id) { return g_str_equal(id, data) ? g_strdup("waits: it failed") : NULL; }

static void one_waits_and_others_do_not(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  g_autoptr(Actual) actual = actual_new();
  Rules rules = {.now = NOON, .patience = impatient, .patience_data = (gpointer) "vm/other"};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "a1 a2 a3");
  assert_string_equal(plan_object(plan, "vm/other")->notes->pdata[0], "waits: it failed");
}

static void annotations_and_the_configuration_suspend(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  g_autoptr(Actual) actual = actual_new();
  MetadataSpec *metadata = &web_of(plan)->declared->metadata;
  metadata->annotations = string_map_new();
  string_map_set(metadata->annotations, SUSPEND_ANNOTATION, "true");
  set_given(metadata, MetadataSpec, annotations);
  Rules rules = {.now = NOON};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "");
  assert_int_equal(web_of(plan)->hold, HOLD_SUSPENDED);
  g_autoptr(Plan) again = plan_with_restart();
  rules.suspend = TRUE;
  rules_apply(&rules, again, actual);
  assert_text(ids(again), "");
  assert_int_equal(plan_object(again, "vm/other")->hold, HOLD_SUSPENDED);
}

static void a_refused_object_takes_its_followers_along(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  g_autoptr(Actual) actual = actual_new();
  plans_spec(web_of(plan)->declared, "{\"cpu\":{\"count\":8}}");
  PolicySpec *policy = spec_of(&PolicySpec_table, "{\"maxCpus\":4}");
  Rules rules = {.now = NOON, .policy = policy};
  rules_apply(&rules, plan, actual);
  assert_text(ids(plan), "");
  assert_int_equal(web_of(plan)->change, CHANGE_ERROR);
  assert_string_equal(plan_object(plan, "vm/other")->error, "it needs vm/web, which is refused");
  spec_free(&PolicySpec_table, policy);
}

static void too_little_space_concerns_who_takes_it(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_with_restart();
  PlanObject *image = plans_object(plan, KIND_IMAGE, "big", CHANGE_CREATE);
  Action *import = plans_action(plan, image, ACTION_IMAGE_IMPORT, IMPACT_NONE, NULL, "import");
  string_map_set(import->args, "pool", "lab");
  string_map_set(import->args, "bytes", "4096");
  plan->short_pool = g_strdup("lab");
  plan->refused = g_strdup("pool lab has too little");
  g_autoptr(Actual) actual = actual_new();
  ActualPool *lab = actual_pool_new("lab", "");
  g_hash_table_insert(actual->pools, lab->name, lab);
  Rules rules = {.now = NOON};
  rules_apply(&rules, plan, actual);
  assert_null(plan->refused);
  assert_string_equal(plan_object(plan, "image/big")->error, "pool lab has too little");
  assert_text(ids(plan), "a1 a2 a3 a4");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(policy_names_what_goes_beyond), cmocka_unit_test(policy_knows_servers_filters_secrets_and_urls),
      cmocka_unit_test(policy_follows_links), cmocka_unit_test(policy_knows_paths),
      cmocka_unit_test(hosts_have_to_be_named), cmocka_unit_test(totals_count_what_is_there_first), cmocka_unit_test(restarts_wait_and_the_rest_goes_on),
      cmocka_unit_test(in_the_window_all_is_done), cmocka_unit_test(a_move_waits_as_a_whole), cmocka_unit_test(nothing_is_stopped_that_could_not_be_started),
      cmocka_unit_test(a_deletion_waits_as_a_whole), cmocka_unit_test(an_impact_beyond_holds_its_object_only),
      cmocka_unit_test(one_waits_and_others_do_not), cmocka_unit_test(annotations_and_the_configuration_suspend),
      cmocka_unit_test(a_refused_object_takes_its_followers_along), cmocka_unit_test(too_little_space_concerns_who_takes_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
