/* Plans as JSON and back, and plans that somebody has tampered with. */
#include "check.h"

#include <jansson.h>
#include <string.h>

#include "plans.h"
#include "reconciler/plan/json.h"

static void round_trip(const Plan *plan) {
  g_autoptr(GError) error = NULL;
  g_autofree char *text = plan_to_json(plan);
  g_autoptr(Plan) loaded = plan_from_json(text, "saved.json", &error);
  assert_null(error);
  assert_text(plan_to_json(loaded), text);
}

static void test_round_trip(void **state) {
  (void)state;
  g_autoptr(Plan) empty = plans_empty(), mixed = plans_mixed();
  round_trip(empty);
  round_trip(mixed);
  g_autofree char *text = plan_to_json(mixed);
  g_autoptr(Plan) loaded = plan_from_json(text, "saved.json", NULL);
  const PlanObject *fresh = plan_object(loaded, "vm/web-1");
  assert_true(spec_equal(&VmSpec_table, fresh->desired->spec, plan_object(mixed, "vm/web-1")->desired->spec));
  assert_string_equal(fresh->desired->at.file, "specs/web.yaml");
  assert_int_equal(fresh->desired->at.line, 70);
  const Action *memory = loaded->actions->pdata[2];
  assert_string_equal(string_map_get(memory->args, "bytes"), "4294967296");
}

/* The keys that scripts rely on. */
static void test_fixed_format(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_mixed();
  g_autofree char *text = plan_to_json(plan);
  json_auto_t *root = json_loads(text, 0, NULL);
  assert_int_equal(json_integer_value(json_object_get(root, "formatVersion")), 1);
  const json_t *source = json_object_get(root, "source");
  assert_string_equal(json_string_value(json_object_get(source, "url")), "https://git.example.org/vms.git");
  assert_string_equal(json_string_value(json_object_get(source, "revision")), "0a1b2c3d");
  const json_t *object = json_array_get(json_object_get(root, "objects"), 3);
  assert_string_equal(json_string_value(json_object_get(object, "kind")), "VirtualMachine");
  assert_string_equal(json_string_value(json_object_get(object, "change")), "update");
  const json_t *title = json_array_get(json_object_get(object, "fields"), 2);
  assert_true(json_is_null(json_object_get(title, "from")));
  assert_string_equal(json_string_value(json_object_get(title, "effect")), "live");
  const json_t *action = json_array_get(json_object_get(root, "actions"), 3);
  assert_string_equal(json_string_value(json_object_get(action, "kind")), "domain-shutdown");
  assert_string_equal(json_string_value(json_object_get(action, "impact")), "restart");
  assert_string_equal(json_string_value(json_array_get(json_object_get(action, "after"), 0)), "a3");
  const json_t *summary = json_object_get(root, "summary");
  const char *keys[] = {"create", "update", "delete", "adopt", "unchanged", "errors", "actions", "orphans", "pending"};
  const int counts[] = {1, 1, 1, 1, 1, 1, 9, 1, 1};
  for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
    assert_int_equal(json_integer_value(json_object_get(summary, keys[i])), counts[i]);
}

static void test_in_sync(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty(), mixed = plans_mixed();
  assert_true(plan_in_sync(plan));
  assert_false(plan_in_sync(mixed));
  PlanObject *adopted = plans_object(plan, KIND_VIRTUAL_MACHINE, "adopted", CHANGE_NONE);
  adopted->adopt = TRUE;
  plans_action(plan, adopted, ACTION_DOMAIN_RECORD, IMPACT_NONE, NULL, "take over");
  assert_false(plan_in_sync(plan)); /* somebody's machine becomes ours: a gate shall see that */
  g_ptr_array_set_size(plan->actions, 0);
  assert_true(plan_in_sync(plan));
  plans_object(plan, KIND_VIRTUAL_MACHINE, "broken", CHANGE_ERROR);
  assert_false(plan_in_sync(plan));
}

/* Of the version before: a start went on however the replacement of a disk ended. */
static void test_without_regardless(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty();
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_UPDATE);
  Action *convert = plans_action(plan, web, ACTION_DISK_CONVERT, IMPACT_RESTART, NULL, "convert");
  string_map_set(convert->args, "volume", "web.qcow2");
  Action *tune = plans_action(plan, web, ACTION_DOMAIN_REDEFINE, IMPACT_NONE, convert->id, "redefine");
  Action *start = plans_action(plan, web, ACTION_DOMAIN_START, IMPACT_NONE, convert->id, "start");
  g_ptr_array_add(start->after, g_strdup(tune->id));
  g_autofree char *text = plan_to_json(plan);
  assert_null(strstr(text, "regardless"));
  g_autoptr(GError) error = NULL;
  g_autoptr(Plan) loaded = plan_from_json(text, "saved.json", &error);
  assert_null(error);
  const Action *first = loaded->actions->pdata[0], *second = loaded->actions->pdata[1], *third = loaded->actions->pdata[2];
  assert_false(action_needs_success(third, first));
  assert_true(action_needs_success(third, second));
  assert_true(action_needs_success(second, first));
}

/* One place of a good plan replaced by something else. */
static const struct {
  const char *from, *to, *message;
} tampered[] = {
    {"\"formatVersion\": 1", "\"formatVersion\": 2", "formatVersion is 2"},
    {"\"formatVersion\": 1", "\"formatVersion\": \"1\"", "isn't a plan"},
    {"\"formatVersion\": 1,", "", "isn't a plan"},
    {"\"kind\": \"set-memory\"", "\"kind\": \"format-disk\"", "unknown kind \"format-disk\""},
    {"\"kind\": \"set-memory\"", "\"kind\": 7", "kind must be a string"},
    {"\"kind\": \"set-memory\"", "\"kind\": \"pool-start\"", "isn't an action of vm/db-1"},
    {"\"kind\": \"set-memory\"", "\"kind\": \"domain-undefine\"", "isn't to be deleted"},
    {"\"id\": \"a3\"", "\"id\": \"a2\"", "stands in the plan twice"},
    {"\"id\": \"a3\"", "\"id\": \"\"", "is empty"},
    {"\"a2\"\n", "\"a4\"\n", "it waits for \"a4\""}, /* a3 after a4 after a3: a cycle */
    {"\"a2\"\n", "\"a3\"\n", "it waits for \"a3\""},
    {"\"a2\"\n", "\"a99\"\n", "it waits for \"a99\""},
    {"\"a2\"\n", "2\n", "must be a string"},
    {"\"id\": \"a3\"", "\"id\": \"a3\", \"regardless\": [\"a1\"]", "doesn't come after that"},
    {"\"impact\": \"restart\"", "\"impact\": \"none\"", "is at least restart"},
    {"\"impact\": \"restart\"", "\"impact\": \"harmless\"", "unknown impact"},
    {"\"object\": \"vm/gone\"", "\"object\": \"vm/other\"", "isn't in the plan"},
    {"\"object\": \"vm/gone\"", "\"object\": \"vm/orphan\"", "has no actions"},
    {"\"change\": \"delete\"", "\"change\": \"destroy\"", "unknown change"},
    {"\"name\": \"orphan\"", "\"name\": \"gone\"", "stands in the plan twice"},
    {"\"name\": \"orphan\"", "\"name\": \"../etc\"", "objects[5]"},
    {"\"name\": \"orphan\"", "\"name\": null", "name is missing"},
    {"\"kind\": \"Image\"", "\"kind\": \"Profile\"", "a Profile isn't planned"},
    {"\"kind\": \"Image\"", "\"kind\": \"Pod\"", "unknown kind"},
    {"\"effect\": \"next-start\"", "\"effect\": \"sometime\"", "unknown effect"},
    {"\"pending\": true", "\"pending\": \"yes\"", "must be true or false"},
    {"\"fingerprint\": \"absent\",", "", "has no fingerprint"},
    {"\"permitted\": true", "\"permitted\": 1", "must be true or false"},
    {"\"bytes\": \"4294967296\"", "\"bytes\": 4294967296", "args.bytes must be a string"},
    {"\"count\": 2", "\"count\": 2000000", "cpu.count"},
    {"\"connection\"", "\"formatVersion\"", "duplicate"},
    {"\"summary\"", "summary", "saved.json:"},
};

static void test_tampered(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_mixed();
  g_autofree char *text = plan_to_json(plan);
  for (guint i = 0; i < G_N_ELEMENTS(tampered); i++) {
    const char *at = strstr(text, tampered[i].from);
    if (!at)
      fail_msg("not in the plan: %s", tampered[i].from);
    g_autofree char *head = g_strndup(text, (gsize)(at - text));
    g_autofree char *other = g_strconcat(head, tampered[i].to, at + strlen(tampered[i].from), NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(Plan) loaded = plan_from_json(other, "saved.json", &error);
    if (loaded || !g_str_has_prefix(error->message, "saved.json") || !strstr(error->message, tampered[i].message))
      fail_msg("%s → %s: %s", tampered[i].from, tampered[i].to, error ? error->message : "accepted");
  }
}

/* Every piece of a plan ends in an error, none in a crash. */
static void test_cut_short(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_mixed();
  g_autofree char *text = plan_to_json(plan);
  for (gsize length = 0; length + 2 < strlen(text); length += 7) {
    g_autofree char *head = g_strndup(text, length);
    g_autoptr(GError) error = NULL;
    assert_null(plan_from_json(head, "saved.json", &error));
    assert_non_null(error);
  }
}

static void test_nesting(void **state) {
  (void)state;
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < 100000; i++)
    g_string_append_c(text, '[');
  g_autoptr(GError) error = NULL;
  assert_null(plan_from_json(text->str, "saved.json", &error));
  assert_non_null(error);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fixed_format), cmocka_unit_test(test_in_sync), cmocka_unit_test(test_without_regardless),
      cmocka_unit_test(test_tampered),   cmocka_unit_test(test_cut_short),    cmocka_unit_test(test_nesting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
