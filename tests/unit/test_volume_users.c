/* Who uses a file, from an observation made by hand: what a real host can't easily be brought to show. */
#include "check.h"

#include <string.h>

#include "reconciler/status/disks.h"
#include "reconciler/status/graph.h"

static ActualVolume *volume(ActualPool *pool, const char *name, const char *backing) {
  ActualVolume *made = g_new0(ActualVolume, 1);
  made->name = g_strdup(name);
  made->pool = g_strdup(pool->name);
  made->path = g_strconcat("/pool/", name, NULL);
  made->format = g_strdup("qcow2");
  made->backing_path = backing ? g_strconcat("/pool/", backing, NULL) : NULL;
  made->capacity = 1 << 20;
  g_hash_table_replace(pool->volumes, made->name, made);
  return made;
}

static void disk(ActualDomain *domain, const char *target, const char *path) {
  ActualDisk *made = g_new0(ActualDisk, 1);
  made->target = g_strdup(target);
  made->path = g_strdup(path);
  made->format = g_strdup("qcow2");
  made->chain = g_ptr_array_new();
  g_ptr_array_add(domain->defined_disks, made);
}

static ActualDomain *machine(Actual *actual, const char *name) {
  ActualDomain *domain = actual_domain_new(name, NULL);
  domain->disks = g_ptr_array_new_with_free_func((GDestroyNotify)actual_disk_free);
  domain->defined_disks = g_ptr_array_ref(domain->disks);
  g_hash_table_replace(actual->domains, domain->name, domain);
  return domain;
}

static void snapshot(ActualDomain *domain, const char *name, const char *target, const char *layer) {
  ActualSnapshot *made = g_new0(ActualSnapshot, 1);
  ActualSnapshotDisk *of = g_new0(ActualSnapshotDisk, 1);
  made->name = g_strdup(name);
  made->disks = g_ptr_array_new(); /* its items are freed below */
  of->target = g_strdup(target);
  of->path = g_strdup(layer);
  g_ptr_array_add(made->disks, of);
  g_ptr_array_add(domain->snapshots, made);
}

static ActualPool *host(Actual **ret_actual) {
  *ret_actual = actual_new();
  ActualPool *pool = actual_pool_new("lab", NULL);
  pool->active = TRUE;
  g_hash_table_replace((*ret_actual)->pools, pool->name, pool);
  return pool;
}

static void release(Actual *actual) {
  GHashTableIter iter;
  ActualDomain *domain;
  g_hash_table_iter_init(&iter, actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    for (guint i = 0; i < domain->snapshots->len; i++) {
      ActualSnapshotDisk *of = ((ActualSnapshot *)domain->snapshots->pdata[i])->disks->pdata[0];
      g_free(of->target);
      g_free(of->path);
      g_free(of);
    }
  actual_free(actual);
}

static char *uses(const VolumeUsers *users, const char *path) {
  const GPtrArray *list = volume_users_of(users, path);
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < list->len; i++) {
    const VolumeUser *user = list->pdata[i];
    g_string_append_printf(text, "%s%s+%u:%s", i ? " " : "", volume_use_words[user->use], user->depth,
                           user->domain ? user->domain : user->path);
  }
  return g_string_free(text, FALSE);
}

/* web went back to what `before` holds: its old top is kept for `after` alone. */
static void test_branches(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  volume(pool, "base", NULL);
  volume(pool, "web", "base");
  volume(pool, "web.before", "web");
  volume(pool, "web.after", "web.before");
  volume(pool, "web.again", "web");
  ActualDomain *web = machine(actual, "web"), *other = machine(actual, "other");
  disk(web, "vda", "/pool/web.again");
  disk(other, "vda", "/pool/base");
  snapshot(web, "before", "vda", "/pool/web.again");
  snapshot(web, "after", "vda", "/pool/web.after");
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  assert_null(volume_users_doubt(users, NULL));
  assert_text(uses(users, "/pool/base"), "overlay+0:/pool/web definition+0:other definition+2:web snapshot+2:web snapshot+1:web");
  assert_text(uses(users, "/pool/web.before"), "overlay+0:/pool/web.after snapshot+0:web");
  assert_text(uses(users, "/pool/web.after"), "snapshot-layer+0:web");
  assert_text(uses(users, "/pool/nothing"), "");
  g_autoptr(GPtrArray) branches = disk_branches(web, users);
  assert_int_equal(branches->len, 2);
  assert_string_equal(branches->pdata[0], "/pool/web.after");
  g_autoptr(GPtrArray) who = layer_other_users("/pool/web", web, "vda", users);
  assert_int_equal(who->len, 1);
  assert_string_equal(who->pdata[0], "snapshot before");
  release(actual);
}

static void test_loop_ends(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  volume(pool, "a", "b");
  volume(pool, "b", "a");
  disk(machine(actual, "web"), "vda", "/pool/a");
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  assert_text(uses(users, "/pool/b"), "overlay+0:/pool/a definition+1:web");
  release(actual);
}

static void test_doubt(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  ActualDomain *web = machine(actual, "web");
  disk(web, "vda", "/elsewhere/web");
  g_autoptr(VolumeUsers) unknown = volume_users_new(actual);
  assert_non_null(strstr(volume_users_doubt(unknown, NULL), "/elsewhere/web (disk vda of machine web)"));
  volume(pool, "odd", NULL)->error = g_strdup("odd can't be read");
  g_autoptr(VolumeUsers) unreadable = volume_users_new(actual);
  assert_string_equal(volume_users_doubt(unreadable, NULL), "odd can't be read");
  release(actual);
}

/* What can't be read may use anything; what another machine's snapshots hold, nobody but that machine knows. */
static void test_doubt_of_pools_and_snapshots(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  volume(pool, "web", NULL);
  ActualDomain *web = machine(actual, "web");
  disk(web, "vda", "/pool/web");
  snapshot(web, "lost", "vda", "/elsewhere/layer");
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  assert_non_null(strstr(volume_users_doubt(users, NULL), "what snapshot lost of machine web holds"));
  assert_non_null(volume_users_doubt(users, "other"));
  assert_null(volume_users_doubt(users, "web"));
  pool->active = FALSE;
  g_autoptr(VolumeUsers) stopped = volume_users_new(actual);
  assert_string_equal(volume_users_doubt(stopped, "web"),
                      "pool lab isn't started, and a volume in it may be based on anything: start it ('virsh pool-start lab'), or, where nobody needs "
                      "it, undefine it ('virsh pool-undefine lab'; its files stay)");
  release(actual);
}

/* The layer's file goes before libvirt is told of it: then the disk of then is what counts, where that is known. */
static void test_layer_gone(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  volume(pool, "base", NULL);
  volume(pool, "web", "base");
  ActualDomain *web = machine(actual, "web");
  disk(web, "vda", "/pool/web");
  snapshot(web, "merged", "vda", "/pool/web.merged");
  ActualSnapshotDisk *of = ((ActualSnapshot *)web->snapshots->pdata[0])->disks->pdata[0];
  of->base = g_strdup("/pool/web");
  g_autoptr(VolumeUsers) not_covered = volume_users_new(actual);
  assert_non_null(volume_users_doubt(not_covered, "other"));
  g_autoptr(GPtrArray) unknown = volume_users_unknown(not_covered);
  assert_int_equal(unknown->len, 1);
  assert_string_equal(unknown->pdata[0], "/pool/web.merged");
  pool->target = g_strdup("/pool");
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  assert_null(volume_users_doubt(users, "other"));
  assert_text(uses(users, "/pool/base"), "overlay+0:/pool/web definition+1:web snapshot+1:web");
  assert_null(volume_users_held(users, of)); /* it isn't what it was */
  pool->error = g_strdup("it can't");
  g_autoptr(VolumeUsers) unread = volume_users_new(actual);
  g_autoptr(GPtrArray) again = volume_users_unknown(unread);
  assert_int_equal(again->len, 1);
  g_clear_pointer(&pool->error, g_free);
  g_free(of->base);
  of->base = g_strdup("/pool/else");
  g_autoptr(VolumeUsers) lost = volume_users_new(actual);
  assert_non_null(volume_users_doubt(lost, "other"));
  g_clear_pointer(&of->base, g_free);
  release(actual);
}

/* The same name in another directory is another file only where times say so. */
static void test_aliases(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  ActualVolume *one = volume(pool, "web", NULL);
  disk(machine(actual, "web"), "vda", "/link/web");
  actual_index_volumes(actual);
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  g_autoptr(GPtrArray) aliases = volume_users_aliases(users, one->path);
  assert_int_equal(aliases->len, 1);
  assert_string_equal(aliases->pdata[0], "/link/web");
  ActualPool *link = actual_pool_new("link", NULL);
  g_hash_table_replace(actual->pools, link->name, link);
  ActualVolume *two = volume(link, "web", NULL);
  g_free(two->path);
  two->path = g_strdup("/link/web");
  actual_index_volumes(actual);
  one->mtime_ns = one->ctime_ns = two->mtime_ns = two->ctime_ns = 7;
  g_autoptr(GPtrArray) same = volume_users_aliases(users, one->path);
  assert_int_equal(same->len, 1);
  two->ctime_ns = 8;
  g_autoptr(GPtrArray) different = volume_users_aliases(users, one->path);
  assert_int_equal(different->len, 0);
  release(actual);
}

static void test_hostile_names(void **state) {
  (void)state;
  Actual *actual;
  ActualPool *pool = host(&actual);
  const char *name = "x\"]; evil -> n0; \\\033[2J\n&lt;";
  volume(pool, name, NULL);
  g_autofree char *path = g_strconcat("/pool/", name, NULL);
  ActualDomain *web = machine(actual, name);
  disk(web, "vda", path);
  g_autoptr(VolumeUsers) users = volume_users_new(actual);
  g_autoptr(GPtrArray) domains = g_ptr_array_new();
  g_ptr_array_add(domains, web);
  g_autoptr(GString) dot = g_string_new(NULL), text = g_string_new(NULL);
  graph_append(dot, domains, users, NULL);
  assert_non_null(strstr(dot->str, "label=\"x\\\"]; evil -> n0; \\\\\\\\x1b[2J\\\\n&amp;lt;\\nunknown\"];"));
  assert_null(strchr(dot->str, '\033'));
  status_append_disks(text, domains, users, &(ReportView){.unicode = TRUE});
  assert_null(strchr(text->str, '\033'));
  assert_non_null(strstr(text->str, "\\x1b[2J"));
  release(actual);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_branches),
      cmocka_unit_test(test_loop_ends),
      cmocka_unit_test(test_doubt), cmocka_unit_test(test_doubt_of_pools_and_snapshots), cmocka_unit_test(test_aliases),
      cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_layer_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
