/* What a look at the hosts makes of where a machine was put, and what counts against a copy that is seen. */
#include "plans.h"
#include "check.h"
#include "reconciler/plan/ran.h"
#include "reconciler/plan/whereabouts.h"

#include <libvirt/libvirt.h>

#define SOURCE "/srv/vms"
enum { HOSTS = 3 };

typedef struct {
  Fleet fleet;
  FleetHost hosts[HOSTS]; /* a, b, c at test://a … */
} World;

/* Each answers, and has nothing. */
static void begin(World *world) {
  static const char *const names[HOSTS] = {"a", "b", "c"}, *const uris[HOSTS] = {"test://a", "test://b", "test://c"};
  *world = (World){.fleet = {.hosts = g_ptr_array_new(), .source = SOURCE}};
  for (guint i = 0; i < HOSTS; i++) {
    world->hosts[i] = (FleetHost){.name = (char *)names[i], .uri = uris[i], .actual = actual_new()};
    g_ptr_array_add(world->fleet.hosts, &world->hosts[i]);
  }
}

static void end(World *world) {
  for (guint i = 0; i < HOSTS; i++)
    actual_free(world->hosts[i].actual);
  g_ptr_array_unref(world->fleet.hosts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, end)

static void silence(World *world, char host) { g_clear_pointer(&world->hosts[host - 'a'].actual, actual_free); }

/* The file doesn't declare it. */
static void lose(World *world, char host) { g_ptr_array_remove(world->fleet.hosts, &world->hosts[host - 'a']); }

static FactsSpec *put(World *world, char host, gint64 epoch) {
  const FleetHost *on = &world->hosts[host - 'a'];
  ActualDomain *domain = actual_domain_new("web", "1cbb2c6e-7a0d-4f0a-9f0e-000000000001");
  domain->owner = g_new0(Ownership, 1);
  domain->owner->source = g_strdup(SOURCE);
  FactsSpec *facts = &domain->owner->facts;
  facts->epoch = epoch;
  set_given(facts, FactsSpec, epoch);
  facts->home = g_strdup(on->name);
  set_given(facts, FactsSpec, home);
  g_hash_table_insert(on->actual->domains, domain->name, domain);
  return facts;
}

static void set_name(FactsSpec *facts, char **name, const char *text) {
  g_free(*name);
  *name = g_strdup(text);
  int member = name == &facts->movedFrom ? FactsSpec_movedFrom : name == &facts->movingTo ? FactsSpec_movingTo : FactsSpec_home;
  facts->given |= FIELD_BIT(member);
}

static JournalPlace place(const char *host, const char *uri, gint64 epoch) {
  return (JournalPlace){.host = (char *)host, .uri = (char *)uri, .epoch = epoch, .source = (char *)SOURCE};
}

#define AT_A(epoch) place("a", "test://a", epoch)

static void assert_now(const World *world, JournalPlace before, const char *host, gint64 epoch) {
  JournalPlace now;
  assert_true(fleet_place_is_over(&world->fleet, "web", before.host != NULL ? &before : NULL, &now));
  assert_int_equal(g_strcmp0(now.host, host), 0);
  assert_int_equal(now.epoch, epoch);
  assert_string_equal(now.source, SOURCE);
}

static void assert_stays(const World *world, JournalPlace before) {
  JournalPlace now;
  assert_false(fleet_place_is_over(&world->fleet, "web", before.host != NULL ? &before : NULL, &now));
}

static gboolean counts(const World *world, JournalPlace before, char host) {
  const FleetHost *on = &world->hosts[host - 'a'];
  return fleet_place_counts(&world->fleet, &before, on, g_hash_table_lookup(on->actual->domains, "web"));
}

static void a_newer_copy_is_where_it_is(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  put(&world, 'b', 2);
  silence(&world, 'c');
  assert_now(&world, AT_A(1), "b", 2);
  assert_now(&world, (JournalPlace){0}, "b", 2);
  silence(&world, 'a');
  assert_now(&world, AT_A(1), "b", 2);
  lose(&world, 'a');
  assert_now(&world, AT_A(1), "b", 2);
  assert_false(counts(&world, AT_A(1), 'b'));
}

static ActualDomain *on(const World *world, char host) { return g_hash_table_lookup(world->hosts[host - 'a'].actual->domains, "web"); }

static void that_it_ran_is_remembered(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  put(&world, 'a', 1);
  FactsSpec *facts = put(&world, 'b', 2);
  silence(&world, 'c');
  JournalPlace put_there = place("b", "test://b", 2), now;
  on(&world, 'b')->state = VIR_DOMAIN_RUNNING;
  assert_stays(&world, put_there); /* no move brought it */
  set_name(facts, &facts->movedFrom, "a");
  on(&world, 'b')->state = VIR_DOMAIN_PAUSED;
  assert_stays(&world, put_there);
  assert_false(ran_there(&world.fleet, &world.hosts[1], on(&world, 'b')));
  on(&world, 'b')->state = VIR_DOMAIN_RUNNING;
  assert_true(fleet_place_is_over(&world.fleet, "web", &put_there, &now));
  assert_true(now.ran && now.epoch == 2);
  assert_stays(&world, now);
  on(&world, 'b')->state = VIR_DOMAIN_SHUTOFF;
  assert_stays(&world, now);
  assert_false(ran_there(&world.fleet, &world.hosts[1], on(&world, 'b')));
  world.fleet.put = g_hash_table_new(g_str_hash, g_str_equal);
  g_hash_table_insert(world.fleet.put, (char *)"web", &now);
  assert_true(ran_there(&world.fleet, &world.hosts[1], on(&world, 'b')));
  assert_false(ran_there(&world.fleet, &world.hosts[0], on(&world, 'a')));
  assert_null(ran_and_gone(&world.fleet, on(&world, 'a')));
  g_hash_table_remove(world.hosts[1].actual->domains, "web");
  assert_ptr_equal(ran_and_gone(&world.fleet, on(&world, 'a')), &world.hosts[1]);
  silence(&world, 'b');
  assert_null(ran_and_gone(&world.fleet, on(&world, 'a')));
  g_hash_table_unref(world.fleet.put);
}

/* Seen nowhere it is elsewhere; seen there, that is noted once. */
static void what_a_broken_migration_sent(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  JournalPlace sent = AT_A(2);
  sent.sent = TRUE;
  assert_stays(&world, sent);
  put(&world, 'a', 2);
  assert_now(&world, sent, "a", 2);
  assert_stays(&world, AT_A(2));
}

static void an_older_copy_isnt_what_was_put(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  FactsSpec *facts = put(&world, 'b', 2);
  set_name(facts, &facts->movedFrom, "a");
  const ActualDomain *copy = g_hash_table_lookup(world.hosts[1].actual->domains, "web");
  JournalPlace moved = AT_A(3), anew = AT_A(1700);
  assert_now(&world, moved, "b", 2); /* all were asked: that one is gone */
  assert_false(fleet_place_is_missed(&world.fleet, &moved, copy));
  assert_stays(&world, anew); /* that one too, and what was written there since */
  assert_true(fleet_place_is_missed(&world.fleet, &anew, copy));
  silence(&world, 'c');
  assert_stays(&world, AT_A(1700));
  silence(&world, 'a');
  assert_stays(&world, AT_A(1700));
  assert_true(counts(&world, AT_A(1700), 'b'));
  lose(&world, 'a');
  assert_stays(&world, AT_A(1700));
  assert_true(counts(&world, AT_A(1700), 'b'));
}

static void the_same_epoch_is_the_same_copy_on_its_host_only(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  FactsSpec *facts = put(&world, 'b', 1);
  assert_stays(&world, place("b", "test://b", 1));
  assert_now(&world, place("old", "test://b", 1), "b", 1); /* another name */
  assert_false(counts(&world, place("old", "test://b", 1), 'b'));
  assert_true(counts(&world, place("old", "test://old", 1), 'b'));
  assert_stays(&world, place("old", "test://old", 1));
  set_name(facts, &facts->home, "old"); /* as it was called and reached when that was written */
  assert_false(counts(&world, place("old", "test://old", 1), 'b'));
  assert_now(&world, place("old", "test://old", 1), "b", 1);
  set_name(facts, &facts->home, "a"); /* which answers to that name still, or doesn't */
  assert_now(&world, AT_A(1), "b", 1);
  silence(&world, 'a');
  assert_true(counts(&world, AT_A(1), 'b'));
  assert_stays(&world, AT_A(1));
  world.hosts[0].name = (char *)"b"; /* their names were exchanged */
  world.hosts[1].name = (char *)"a";
  assert_true(counts(&world, AT_A(1), 'b'));
}

static void two_of_one_epoch_tell_nothing(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  put(&world, 'b', 3);
  put(&world, 'c', 3);
  assert_stays(&world, AT_A(1));
  assert_stays(&world, (JournalPlace){0});
  put(&world, 'a', 4);
  assert_now(&world, AT_A(1), "a", 4);
}

static void nowhere(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  assert_now(&world, AT_A(1), NULL, JOURNAL_NO_EPOCH);
  assert_stays(&world, (JournalPlace){0});
  silence(&world, 'c');
  assert_stays(&world, AT_A(1));
}

/* The copy on b says itself whether one may be on a, where a move was to bring it. */
static void on_its_way(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  FactsSpec *facts = put(&world, 'b', 1);
  set_name(facts, &facts->movingTo, "a");
  assert_stays(&world, AT_A(2));
  silence(&world, 'a');
  assert_false(counts(&world, AT_A(2), 'b'));
  assert_true(counts(&world, AT_A(3), 'b'));
  facts->arriving = TRUE;
  set_given(facts, FactsSpec, arriving);
  assert_true(counts(&world, AT_A(2), 'b'));
}

/* As an older version noted it. */
static void without_an_epoch(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  FactsSpec *facts = put(&world, 'b', 2);
  silence(&world, 'c');
  assert_now(&world, place("b", "test://b", JOURNAL_NO_EPOCH), "b", 2); /* that is seen */
  assert_stays(&world, AT_A(JOURNAL_NO_EPOCH));
  silence(&world, 'a');
  assert_true(counts(&world, AT_A(JOURNAL_NO_EPOCH), 'b'));
  set_name(facts, &facts->movedFrom, "a");
  assert_false(counts(&world, AT_A(JOURNAL_NO_EPOCH), 'b'));
}

static void another_sources(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  put(&world, 'b', 2);
  world.fleet.source = "/srv/others";
  assert_stays(&world, AT_A(1));
  assert_stays(&world, (JournalPlace){0});
  JournalPlace theirs = AT_A(1), now;
  theirs.source = (char *)"/srv/others";
  silence(&world, 'c');
  assert_false(fleet_place_is_over(&world.fleet, "web", &theirs, &now));
}

static gint64 given_on_a(const World *world, Plan *plan, PlanObject *object, ActionKind kind, const char *epoch) {
  Action *action = plans_action(plan, object, kind, IMPACT_NONE, NULL, "do");
  if (epoch != NULL)
    string_map_set(action->args, "epoch", epoch);
  return epoch_given(plan, &world->hosts[0], action);
}

static void what_actions_give(void **state G_GNUC_UNUSED) {
  g_auto(World) world;
  begin(&world);
  g_autoptr(Plan) plan = plans_empty();
  PlanObject *object = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_UPDATE);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_DOMAIN_DEFINE, NULL), 0);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_DOMAIN_MIGRATE, NULL), JOURNAL_NO_EPOCH);
  put(&world, 'a', 4);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_DOMAIN_MIGRATE, NULL), 5);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_MOVE_UNDO, NULL), 4);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_DOMAIN_START, NULL), JOURNAL_NO_EPOCH);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_MOVE_UNDO, "1700"), 1700);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_DOMAIN_ARRIVE, NULL), 1701);
  assert_int_equal(given_on_a(&world, plan, object, ACTION_DOMAIN_DEFINE, "1800"), 1800);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_newer_copy_is_where_it_is),
    cmocka_unit_test(that_it_ran_is_remembered),
    cmocka_unit_test(what_a_broken_migration_sent),
    cmocka_unit_test(an_older_copy_isnt_what_was_put),
    cmocka_unit_test(the_same_epoch_is_the_same_copy_on_its_host_only),
    cmocka_unit_test(two_of_one_epoch_tell_nothing),
    cmocka_unit_test(nowhere),
    cmocka_unit_test(on_its_way),
    cmocka_unit_test(without_an_epoch),
    cmocka_unit_test(another_sources),
    cmocka_unit_test(what_actions_give),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
