/* What may be done at once: in all, on each host, and how many machines move to or from it. */
#include "plans.h"
#include "check.h"
#include "reconciler/run/slots.h"

static void add_host(Plan *plan, const char *name, guint jobs, guint migrations) {
  PlanHost *host = g_new0(PlanHost, 1);
  *host = (PlanHost){.name = g_strdup(name), .connection = g_strdup("test:///default"), .jobs = jobs, .migrations = migrations};
  g_ptr_array_add(plan->hosts, host);
}

static Plan *plan_of(guint jobs, guint migrations) {
  Plan *plan = plan_new();
  add_host(plan, "a", jobs, migrations);
  add_host(plan, "b", 0, 0);
  add_host(plan, "c", 0, 0);
  return plan;
}

static PlanObject *machine(Plan *plan, const char *host, guint number) {
  g_autofree char *name = g_strdup_printf("vm-%u", number);
  PlanObject *object = plans_object(plan, KIND_VIRTUAL_MACHINE, name, CHANGE_UPDATE);
  object->host = g_strdup(host);
  return object;
}

static Action *step(Plan *plan, const PlanObject *object, ActionKind kind, const char *to) {
  Action *action = plans_action(plan, object, kind, IMPACT_NONE, NULL, "do");
  if (to != NULL)
    string_map_set(action->args, "to", to);
  return action;
}

/* How many of a thousand can begin, one after the other. */
static guint begin_many(Slots *slots, Plan *plan, const char *host, ActionKind kind, const char *to) {
  guint begun = 0;
  for (guint i = 0; i < 1000; i++) {
    const PlanObject *object = machine(plan, host, i);
    begun += slots_take(slots, object, step(plan, object, kind, to)) ? 1 : 0;
  }
  return begun;
}

static void test_jobs(void **state) {
  (void)state;
  g_autoptr(Plan) one = plans_empty(), limited = plan_of(3, 0), many = plan_of(0, 0);
  g_autoptr(Slots) usual = slots_new(one, 0), asked = slots_new(one, 9), hosts = slots_new(limited, 0), together = slots_new(many, 6);
  assert_int_equal(begin_many(usual, one, NULL, ACTION_DOMAIN_START, NULL), 4);
  assert_true(slots_full(usual));
  assert_int_equal(begin_many(asked, one, NULL, ACTION_DOMAIN_START, NULL), 9);
  assert_int_equal(slots_most(hosts), 11);
  assert_int_equal(begin_many(hosts, limited, "a", ACTION_DOMAIN_START, NULL), 3);
  assert_false(slots_full(hosts));
  assert_int_equal(begin_many(hosts, limited, "b", ACTION_DOMAIN_START, NULL), 4);
  assert_int_equal(begin_many(hosts, limited, "c", ACTION_DOMAIN_START, NULL), 4);
  assert_true(slots_full(hosts));
  assert_int_equal(slots_most(together), 6);
  assert_int_equal(begin_many(together, many, "a", ACTION_DOMAIN_START, NULL), 6);
}

/* Both hosts' limits count, and what a machine brings works on both. */
static void test_migrations(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_of(0, 1);
  g_autoptr(Slots) slots = slots_new(plan, 0);
  assert_int_equal(begin_many(slots, plan, "b", ACTION_DOMAIN_MIGRATE, "a"), 1);
  assert_int_equal(begin_many(slots, plan, "a", ACTION_MOVE_CHECK, "c"), 0);
  assert_int_equal(begin_many(slots, plan, "b", ACTION_DOMAIN_MIGRATE, "c"), 1);
  assert_int_equal(begin_many(slots, plan, "c", ACTION_MOVE_VOLUME, "b"), 0); /* two of b */
  assert_int_equal(begin_many(slots, plan, "b", ACTION_DOMAIN_START, NULL), 2);
  assert_int_equal(begin_many(slots, plan, "c", ACTION_DOMAIN_REVERT, "a"), 3); /* to a snapshot of that name */
}

/* It keeps its place between its steps, and gives it back when none can go on. */
static void test_place_is_kept(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plan_of(1, 1);
  g_autoptr(Slots) slots = slots_new(plan, 0);
  const PlanObject *first = machine(plan, "a", 1), *second = machine(plan, "a", 2);
  const Action *check = step(plan, first, ACTION_MOVE_CHECK, "b"), *off = step(plan, first, ACTION_DOMAIN_SHUTDOWN, NULL),
               *copy = step(plan, first, ACTION_MOVE_VOLUME, "b"), *other = step(plan, second, ACTION_MOVE_CHECK, "b");
  assert_true(slots_take(slots, first, check));
  assert_false(slots_take(slots, second, other));
  slots_give(slots, first, check);
  assert_false(slots_take(slots, second, other));
  assert_true(slots_take(slots, first, off));
  slots_give(slots, first, off);
  assert_false(slots_take(slots, second, other));
  slots_rest(slots, first); /* it waits for somebody */
  assert_true(slots_take(slots, second, other));
  assert_false(slots_take(slots, first, copy));
  slots_give(slots, second, other);
  slots_rest(slots, second);
  slots_rest(slots, second);
  assert_true(slots_take(slots, first, copy));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_jobs),
      cmocka_unit_test(test_migrations),
      cmocka_unit_test(test_place_is_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
