/* What a plan writes into pools, and whether that fits. */
#include "plans.h"
#include "check.h"
#include "reconciler/plan/space.h"
#include "schema/value.h"

static ActualPool *pool_of(Actual *actual, const char *name, PoolType type, guint64 available) {
  ActualPool *pool = actual_pool_new(name, "");
  pool->active = TRUE;
  pool->available = available;
  pool->spec.type = type;
  set_given(&pool->spec, StoragePoolSpec, type);
  g_hash_table_insert(actual->pools, pool->name, pool);
  return pool;
}

static Action *writing(Plan *plan, const PlanObject *object, ActionKind kind, const char *pool, const char *bytes, const char *writes) {
  Action *action = plans_action(plan, object, kind, IMPACT_NONE, NULL, "write");
  string_map_set(action->args, "pool", pool);
  string_map_set(action->args, "bytes", bytes);
  if (writes)
    string_map_set(action->args, "writes", writes);
  return action;
}

static void all_that_is_written_counts_together(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty();
  g_autoptr(Actual) actual = actual_new();
  pool_of(actual, "lab", PoolType_dir, 1000);
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_CREATE);
  writing(plan, web, ACTION_IMAGE_IMPORT, "lab", "600", NULL);
  writing(plan, web, ACTION_VOLUME_COPY, "lab", "100000", "400");
  writing(plan, web, ACTION_VOLUME_CREATE, "lab", "100000", NULL);
  writing(plan, web, ACTION_IMAGE_IMPORT, "other", "100000", NULL);
  g_autofree char *pool = NULL, *fits = space_check(actual, plan, &pool);
  assert_null(fits);
  assert_null(pool);
  /* What is deleted makes no room. */
  string_map_set(plans_action(plan, web, ACTION_VOLUME_DELETE, IMPACT_DATA_LOSS, NULL, "delete")->args, "path", "/lab/old");
  writing(plan, web, ACTION_VOLUME_COPY, "lab", "1", NULL);
  g_autofree char *error = space_check(actual, plan, &pool);
  assert_string_equal(error, "pool lab has 1000 B available, and this plan may write 1001 B into it: make room, use another pool, or insist with "
                             "--allow overcommit");
  assert_string_equal(pool, "lab");
}

static void a_volume_group_gives_all_at_once(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty();
  g_autoptr(Actual) actual = actual_new();
  const ActualPool *pool = pool_of(actual, "vg", PoolType_logical, 1000);
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_CREATE);
  assert_int_equal(space_taken(writing(plan, web, ACTION_VOLUME_CREATE, "vg", "600", NULL), pool), 600);
  assert_int_equal(space_taken(writing(plan, web, ACTION_VOLUME_COPY, "vg", "600", "10"), pool), 600);
  g_autofree char *short_pool = NULL, *error = space_check(actual, plan, &short_pool);
  assert_non_null(error);
}

static ActualVolume *volume(const char *path, guint64 capacity, guint64 allocation, const char *backing) {
  ActualVolume *made = g_new0(ActualVolume, 1);
  made->path = g_strdup(path);
  made->name = g_path_get_basename(path);
  made->pool = g_strdup("lab");
  made->capacity = capacity;
  made->allocation = allocation;
  made->backing_path = g_strdup(backing);
  return made;
}

#define HEX "ee9d2d0dee72e03e1230ca8024acad79d29c7d29b2479f6d9a3d000a16944af7"

static void a_copy_takes_what_its_layers_hold(void **state) {
  (void)state;
  g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  assert_int_equal(space_of_copy(chain), 0);
  g_ptr_array_add(chain, volume("/lab/top.qcow2", 1000, 100, "/lab/middle.qcow2"));
  assert_int_equal(space_of_copy(chain), 1000); /* the rest isn't seen */
  g_ptr_array_add(chain, volume("/lab/middle.qcow2", 1000, 50, "/lab/sha256-" HEX ".qcow2"));
  g_ptr_array_add(chain, volume("/lab/sha256-" HEX ".qcow2", 300, 20, NULL));
  assert_int_equal(space_of_copy(chain), 450); /* a base may be compressed */
  ((ActualVolume *)chain->pdata[0])->allocation = 5000;
  assert_int_equal(space_of_copy(chain), 1000);
}

static void several_pools_by_one_action(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty();
  g_autoptr(Actual) actual = actual_new();
  ActualPool *lab = pool_of(actual, "lab", PoolType_dir, 1000), *fast = pool_of(actual, "fast", PoolType_dir, 100);
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_UPDATE);
  Action *action = plans_action(plan, web, ACTION_SNAPSHOT_REMOVE, IMPACT_NONE, NULL, "merge");
  space_add(action, "lab", 900);
  space_add(action, "fast", 60);
  space_add(action, "fast", 60);
  space_add(action, NULL, 1);
  assert_int_equal(space_taken(action, lab), 900);
  assert_int_equal(space_taken(action, fast), 120);
  g_autofree char *pool = NULL, *error = space_check(actual, plan, &pool);
  assert_string_equal(pool, "fast");
  assert_non_null(error);
}

static void a_merge_takes_what_its_layers_hold(void **state) {
  (void)state;
  g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)actual_volume_free);
  g_ptr_array_add(chain, volume("/lab/top.qcow2", 1000, 100, "/lab/middle.qcow2"));
  g_ptr_array_add(chain, volume("/lab/middle.qcow2", 1000, 50, "/lab/low.qcow2"));
  g_ptr_array_add(chain, volume("/lab/low.qcow2", 1000, 30, NULL));
  assert_int_equal(space_of_merge(chain, 0, 1, 2), 150);
  assert_int_equal(space_of_merge(chain, 0, 0, 2), 100); /* the one between went before */
  ((ActualVolume *)chain->pdata[2])->allocation = 990;
  assert_int_equal(space_of_merge(chain, 0, 1, 2), 10); /* it can't become larger than it may be */
}

static void promises_beyond_what_there_is_are_noted(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty();
  g_autoptr(Actual) actual = actual_new();
  ActualPool *pool = pool_of(actual, "lab", PoolType_dir, 1 << 20);
  ActualVolume *old = volume("/lab/old.qcow2", 1 << 20, 0, NULL);
  g_hash_table_insert(pool->volumes, old->name, old);
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_CREATE);
  space_note_promises(actual, plan);
  assert_int_equal(web->notes->len, 0); /* nothing is made */
  writing(plan, web, ACTION_VOLUME_CREATE, "lab", "1048576", NULL);
  space_note_promises(actual, plan);
  assert_int_equal(web->notes->len, 1);
  assert_string_equal(web->notes->pdata[0], "pool lab will be over-committed: its volumes may grow by 2.0 MiB, and it has 1.0 MiB available");
}

/* In files, nothing is written by growing; in a volume group the extents are taken. */
static void what_grows_is_promised(void **state) {
  (void)state;
  g_autoptr(Plan) plan = plans_empty();
  g_autoptr(Actual) actual = actual_new();
  const ActualPool *lab = pool_of(actual, "lab", PoolType_dir, 1 << 20), *group = pool_of(actual, "vg", PoolType_logical, 1 << 20);
  PlanObject *web = plans_object(plan, KIND_VIRTUAL_MACHINE, "web", CHANGE_UPDATE);
  Action *running = writing(plan, web, ACTION_RESIZE_DISK, "lab", "4194304", NULL), *off = writing(plan, web, ACTION_VOLUME_GROW, "vg", "4194304", NULL);
  string_map_set(running->args, "from", "3145729");
  string_map_set(off->args, "from", "3145728");
  assert_int_equal(space_taken(running, lab), 0);
  assert_int_equal(space_taken(off, group), 1 << 20);
  space_note_promises(actual, plan);
  assert_int_equal(web->notes->len, 0);
  string_map_set(running->args, "from", "2097152");
  space_note_promises(actual, plan);
  assert_int_equal(web->notes->len, 1);
  assert_string_equal(web->notes->pdata[0], "pool lab will be over-committed: its volumes may grow by 2.0 MiB, and it has 1.0 MiB available");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_that_is_written_counts_together), cmocka_unit_test(a_volume_group_gives_all_at_once),
      cmocka_unit_test(a_copy_takes_what_its_layers_hold), cmocka_unit_test(several_pools_by_one_action),
      cmocka_unit_test(a_merge_takes_what_its_layers_hold),
      cmocka_unit_test(promises_beyond_what_there_is_are_noted), cmocka_unit_test(what_grows_is_promised),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
