/* What is concluded from what libvirt answers, without a libvirt. */
#include "tests/unit/check.h"

#include <string.h>

#include "state/disk_chain.h"
#include "state/domain_facts.h"
#include "state/fingerprint.h"
#include "state/host_facts.h"
#include "state/job_text.h"
#include "state/work.h"

static ActualVolume *add_volume(Actual *actual, const char *pool_name, const char *path, const char *backing, guint64 capacity) {
  ActualPool *pool = g_hash_table_lookup(actual->pools, pool_name);
  if (!pool) {
    pool = actual_pool_new(pool_name, "");
    g_hash_table_replace(actual->pools, pool->name, pool);
  }
  ActualVolume *volume = g_new0(ActualVolume, 1);
  volume->name = g_path_get_basename(path);
  volume->path = g_strdup(path);
  volume->pool = g_strdup(pool_name);
  volume->format = g_strdup("qcow2");
  volume->capacity = capacity;
  volume->backing_path = g_strdup(backing);
  volume->backing_format = backing ? g_strdup("qcow2") : NULL;
  g_hash_table_replace(pool->volumes, volume->name, volume);
  g_hash_table_replace(actual->volumes_by_path, volume->path, volume);
  return volume;
}

static void chains_follow_backing_paths(void **state G_GNUC_UNUSED) {
  g_autoptr(Actual) actual = actual_new();
  ActualVolume *top = add_volume(actual, "p", "/p/top", "/p/mid", 3);
  ActualVolume *mid = add_volume(actual, "p", "/p/mid", "/elsewhere/base", 2);
  g_autoptr(GPtrArray) chain = actual_chain(actual, "/p/top");
  assert_int_equal(chain->len, 2);
  assert_ptr_equal(chain->pdata[0], top);
  assert_ptr_equal(chain->pdata[1], mid);
  g_autoptr(GPtrArray) none = actual_chain(actual, "/nowhere");
  assert_int_equal(none->len, 0);
  g_autoptr(GPtrArray) empty = actual_chain(actual, NULL);
  assert_int_equal(empty->len, 0);
}

static void loops_of_backing_paths_end(void **state G_GNUC_UNUSED) {
  g_autoptr(Actual) actual = actual_new();
  add_volume(actual, "p", "/p/a", "/p/b", 1);
  add_volume(actual, "p", "/p/b", "/p/c", 1);
  add_volume(actual, "p", "/p/c", "/p/b", 1);
  g_autoptr(GPtrArray) chain = actual_chain(actual, "/p/a");
  assert_int_equal(chain->len, 3);
}

static void power_states_have_words(void **state G_GNUC_UNUSED) {
  assert_string_equal(power_state_word(1, FALSE), "running");
  assert_string_equal(power_state_word(2, FALSE), "running");
  assert_string_equal(power_state_word(3, FALSE), "paused");
  assert_string_equal(power_state_word(4, FALSE), "shutting-down");
  assert_string_equal(power_state_word(5, FALSE), "stopped");
  assert_string_equal(power_state_word(5, TRUE), "hibernated");
  assert_string_equal(power_state_word(6, FALSE), "crashed");
  assert_string_equal(power_state_word(7, FALSE), "suspended");
  assert_string_equal(power_state_word(99, FALSE), "unknown");
  PowerState power;
  assert_false(power_state_of(6, FALSE, &power));
}

static char *print_of(const char *persistent, const char *live) {
  g_autoptr(xmlDoc) defined = xml_parse(persistent, "test", NULL);
  g_autoptr(xmlDoc) running = live ? xml_parse(live, "test", NULL) : NULL;
  assert_non_null(defined);
  return fingerprint_xml(xmlDocGetRootElement(defined), running ? xmlDocGetRootElement(running) : NULL);
}

static gboolean same(const char *a, const char *b, gboolean live) {
  g_autofree char *one = live ? print_of("<domain/>", a) : print_of(a, NULL);
  g_autofree char *other = live ? print_of("<domain/>", b) : print_of(b, NULL);
  assert_int_equal(strlen(one), 64);
  return g_str_equal(one, other);
}

static void fingerprints_leave_out_what_moves_by_itself(void **state G_GNUC_UNUSED) {
  static const char *const pairs[][2] = {
    {"<domain><currentMemory unit='KiB'>1</currentMemory></domain>", "<domain><currentMemory unit='KiB'>2</currentMemory></domain>"},
    {"<domain><devices><disk><target dev='sda' tray='open'/></disk></devices></domain>",
     "<domain><devices><disk><target dev='sda'/></disk></devices></domain>"},
    {"<domain><clock offset='variable' adjustment='12'/></domain>", "<domain><clock offset='variable' adjustment='13'/></domain>"},
    {"<domain><devices><channel><target name='a' state='connected'/></channel></devices></domain>",
     "<domain><devices><channel><target name='a' state='disconnected'/></channel></devices></domain>"},
    {"<network connections='1'><name>a</name></network>", "<network>\n  <name>a</name>\n</network>"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(pairs); i++)
    assert_true(same(pairs[i][0], pairs[i][1], TRUE));
}

static void fingerprints_hold_everything_else(void **state G_GNUC_UNUSED) {
  static const char *const pairs[][2] = {
    {"<domain><currentMemory>1</currentMemory></domain>", "<domain><currentMemory>2</currentMemory></domain>"},
    {"<domain><a/><b/></domain>", "<domain><b/><a/></domain>"},
    {"<domain><a><b/></a></domain>", "<domain><a/><b/></domain>"},
    {"<domain a='1' b='2'/>", "<domain a='12' b=''/>"},
    {"<domain a='b'/>", "<domain><a>b</a></domain>"},
    {"<domain><a x='1'/></domain>", "<domain><a x='2'/></domain>"},
    {"<domain><metadata><x xmlns='urn:1'/></metadata></domain>", "<domain><metadata><x xmlns='urn:2'/></metadata></domain>"},
    {"<domain><clock offset='utc'/></domain>", "<domain><clock offset='localtime'/></domain>"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(pairs); i++)
    assert_false(same(pairs[i][0], pairs[i][1], FALSE));
  g_autofree char *stopped = print_of("<domain/>", NULL), *running = print_of("<domain/>", "<domain id='1'/>");
  assert_string_not_equal(stopped, running);
}

static ActualDomain *read_domain(const char *persistent, const char *live) {
  g_autoptr(ActualDomain) domain = actual_domain_new("web", "");
  g_autoptr(GError) error = NULL;
  assert_true(domain_facts_read(domain, persistent, live, &error));
  domain->state = live ? 1 : 5;
  return g_steal_pointer(&domain);
}

#define DISK(source, rest) \
  "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='" source "'/>" rest \
  "<target dev='vda' bus='virtio'/></disk>"
#define LAYER(source, rest) "<backingStore type='file'><format type='qcow2'/><source file='" source "'/>" rest "</backingStore>"
#define DOMAIN(attributes, devices) \
  "<domain type='qemu'" attributes "><name>web</name><memory unit='KiB'>1024</memory><devices>" devices "</devices></domain>"

static const DiskSpec *first_disk(const VmSpec *spec) {
  assert_non_null(spec->disks);
  assert_int_equal(spec->disks->len, 1);
  return spec->disks->pdata[0];
}

static char *finish(ActualDomain *domain, const Actual *actual) {
  domain_facts_resolve(domain, actual);
  domain_facts_finish(domain, TRUE);
  return domain->fingerprint;
}

static void a_stopped_domain_has_the_chain_of_its_volumes(void **state G_GNUC_UNUSED) {
  g_autoptr(Actual) actual = actual_new();
  add_volume(actual, "p", "/p/web.qcow2", "/p/base", 20 << 20);
  ActualVolume *base = add_volume(actual, "p", "/p/base", NULL, 10 << 20);
  g_autoptr(ActualDomain) domain = read_domain(DOMAIN("", DISK("/p/web.qcow2", "")), NULL);
  finish(domain, actual);
  const ActualDisk *disk = actual_disk(domain->disks, "vda");
  assert_int_equal(disk->chain->len, 2);
  assert_true(given(first_disk(&domain->persistent), DiskSpec, size));
  assert_int_equal(first_disk(&domain->persistent)->size, 20 << 20);
  assert_true(given(&domain->persistent, VmSpec, powerState));
  assert_int_equal(domain->persistent.powerState, PowerState_stopped);
  assert_true(given(&domain->persistent, VmSpec, autostart));
  assert_null(domain->error);

  /* Another base size is another world; what the guest writes isn't. */
  g_autoptr(ActualDomain) later = read_domain(DOMAIN("", DISK("/p/web.qcow2", "")), NULL);
  base->allocation = 12345;
  assert_string_equal(finish(later, actual), domain->fingerprint);
  g_autoptr(ActualDomain) changed = read_domain(DOMAIN("", DISK("/p/web.qcow2", "")), NULL);
  base->capacity++;
  assert_string_not_equal(finish(changed, actual), domain->fingerprint);
  g_autoptr(ActualDomain) saved = read_domain(DOMAIN("", DISK("/p/web.qcow2", "")), NULL);
  saved->has_managed_save = TRUE;
  base->capacity--;
  assert_string_not_equal(finish(saved, actual), domain->fingerprint);
  assert_int_equal(saved->persistent.powerState, PowerState_hibernated);
}

/* It is gone, half there and back while an Image brings it: nothing is refused over that. */
static void the_file_of_a_content_is_no_part_of_the_fingerprint(void **state G_GNUC_UNUSED) {
#define BASE "/p/sha256-dd55069b8b1003ac34a3fd08321f2e4925b951090eaaffa6e97fd3e654ecb20c.qcow2"
  g_autoptr(Actual) without = actual_new(), with = actual_new();
  add_volume(without, "p", "/p/web.qcow2", BASE, 20 << 20);
  add_volume(with, "p", "/p/web.qcow2", BASE, 20 << 20);
  add_volume(with, "p", BASE, NULL, 10 << 20);
  g_autoptr(ActualDomain) gone = read_domain(DOMAIN("", DISK("/p/web.qcow2", "")), NULL);
  g_autoptr(ActualDomain) there = read_domain(DOMAIN("", DISK("/p/web.qcow2", "")), NULL);
  assert_string_equal(finish(gone, without), finish(there, with));
  assert_int_equal(actual_disk(there->disks, "vda")->chain->len, 2);
}

static void a_running_domain_has_the_chain_of_its_xml(void **state G_GNUC_UNUSED) {
  g_autoptr(Actual) actual = actual_new();
  /* The pool doesn't know the snapshot, and of the middle layer an older backing store. */
  add_volume(actual, "p", "/p/mid", "/p/old", 8 << 20);
  ActualVolume *base = add_volume(actual, "p", "/p/base", NULL, 4 << 20);
  g_autoptr(ActualDomain) domain =
    read_domain(DOMAIN("", DISK("/p/snap", "")),
                DOMAIN(" id='3'", DISK("/p/snap", LAYER("/p/mid", LAYER("/p/base", "<backingStore/>")))));
  assert_true(domain->active);
  finish(domain, actual);
  const ActualDisk *disk = actual_disk(domain->disks, "vda");
  assert_int_equal(disk->chain->len, 3);
  const ActualVolume *top = disk->chain->pdata[0], *mid = disk->chain->pdata[1];
  assert_string_equal(top->backing_path, "/p/mid");
  assert_string_equal(mid->backing_path, "/p/base");
  assert_int_equal(mid->capacity, 8 << 20);
  assert_ptr_equal(disk->chain->pdata[2], base);
  assert_false(given(first_disk(domain->live), DiskSpec, size));
  const ActualDisk *defined = actual_disk(domain->defined_disks, "vda");
  assert_int_equal(defined->chain->len, 3);
}

static void a_disk_by_volume_gets_its_path(void **state G_GNUC_UNUSED) {
  g_autoptr(Actual) actual = actual_new();
  add_volume(actual, "p", "/p/data", NULL, 5 << 20);
  g_autoptr(ActualDomain) domain = read_domain(
    DOMAIN("", "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='data'/>"
               "<target dev='vda' bus='virtio'/></disk>"), NULL);
  finish(domain, actual);
  assert_string_equal(first_disk(&domain->persistent)->path, "/p/data");
  assert_int_equal(first_disk(&domain->persistent)->size, 5 << 20);
}

static void empty_drives_and_odd_disks_have_no_chain(void **state G_GNUC_UNUSED) {
  g_autoptr(Actual) actual = actual_new();
  g_autoptr(ActualDomain) domain = read_domain(
    DOMAIN("", "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>"
               "<disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdb'/></disk>"
               "<disk type='volume' device='disk'><source pool='none' volume='none'/><target dev='vdc'/></disk>"
               "<disk type='file'><source file='/x'/></disk>"), NULL);
  finish(domain, actual);
  assert_int_equal(domain->disks->len, 3);
  for (guint i = 0; i < 3; i++) {
    const ActualDisk *disk = domain->disks->pdata[i];
    assert_int_equal(disk->chain->len, 0);
    assert_null(disk->path);
  }
}

static void broken_xml_is_an_error(void **state G_GNUC_UNUSED) {
  static const char *const texts[] = {"", "<domain", "<!DOCTYPE domain [<!ENTITY a 'b'>]><domain>&a;</domain>"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(ActualDomain) domain = actual_domain_new("web", "");
    g_autoptr(GError) error = NULL;
    assert_false(domain_facts_read(domain, texts[i], NULL, &error));
    assert_non_null(error);
  }
}

static void an_unreadable_record_is_an_error(void **state G_GNUC_UNUSED) {
  g_autoptr(ActualDomain) domain = actual_domain_new("web", "");
  g_autoptr(GError) error = NULL;
  assert_false(domain_facts_read(
    domain, "<domain><name>web</name><metadata><r:vm xmlns:r='" METADATA_NAMESPACE "'>{not JSON</r:vm></metadata></domain>",
    NULL, &error));
  assert_non_null(error);
}

static void only_what_runs_has_an_id(void **state G_GNUC_UNUSED) {
  assert_true(domain_text_is_live("<domain type='kvm' id='3' xmlns:q='x'>\n</domain>"));
  assert_false(domain_text_is_live("<domain type='kvm'>\n<a id='3'/></domain>"));
  assert_false(domain_text_is_live(""));
}

static void volumes_are_read(void **state G_GNUC_UNUSED) {
  g_autoptr(ActualVolume) volume = g_new0(ActualVolume, 1);
  assert_true(volume_facts_read(volume,
    "<volume type='file'><name>a</name><key>/p/a</key><capacity unit='bytes'>10737418240</capacity>"
    "<allocation unit='bytes'>200704</allocation><physical unit='bytes'>196928</physical>"
    "<target><path>/p/a</path><format type='qcow2'/></target>"
    "<backingStore><path>/p/b</path><format type='raw'/></backingStore></volume>", NULL));
  assert_string_equal(volume->path, "/p/a");
  assert_string_equal(volume->format, "qcow2");
  assert_int_equal(volume->capacity, G_GUINT64_CONSTANT(10737418240));
  assert_int_equal(volume->allocation, 200704);
  assert_int_equal(volume->physical, 196928);
  assert_string_equal(volume->backing_path, "/p/b");
  assert_string_equal(volume->backing_format, "raw");
}

static void capabilities_tell_arch_and_kvm(void **state G_GNUC_UNUSED) {
  static const char text[] =
    "<capabilities><host><cpu><arch>x86_64</arch></cpu></host>"
    "<guest><os_type>hvm</os_type><arch name='%s'><domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>";
  for (guint i = 0; i < 2; i++) {
    g_autoptr(Actual) actual = actual_new();
    g_autofree char *xml = g_strdup_printf(text, i ? "x86_64" : "i686");
    assert_true(capabilities_read(actual, xml, NULL));
    assert_string_equal(actual->arch, "x86_64");
    assert_int_equal(actual->has_kvm, i);
  }
}

typedef struct {
  Work *work;
  gint done;
} Count;

static void count_leaf(gpointer data, gpointer item G_GNUC_UNUSED) { g_atomic_int_inc(&((Count *)data)->done); }

static void count_branch(gpointer data, gpointer item G_GNUC_UNUSED) {
  Count *count = data;
  for (guint i = 0; i < 100; i++)
    (i % 2 ? work_push : work_push_local)(count->work, count_leaf, count, NULL);
  g_atomic_int_inc(&count->done);
}

static void tasks_may_add_tasks(void **state G_GNUC_UNUSED) {
  g_autoptr(Work) work = work_new();
  Count count = {work, 0};
  for (guint round = 1; round <= 3; round++) {
    for (guint i = 0; i < 10; i++)
      work_push(work, count_branch, &count, NULL);
    work_run(work, round);
    assert_int_equal(count.done, round * 1010);
  }
  work_run(work, 4);
}

static void jobs_are_told(void **state G_GNUC_UNUSED) {
  const ActualJob all = {.total = 400 << 20, .remaining = 100 << 20, .memory_rate = 32 << 20, .disk_rate = 8 << 20, .dirty_rate = 4 << 20,
                         .iteration = 3, .throttle = 20};
  g_autofree char *told = job_rates(&all);
  assert_string_equal(told, "40.0 MiB/s, 100 MiB remaining, iteration 3, 4.0 MiB/s dirtied, guest slowed by 20%");
  assert_int_equal(job_percent(&all), 75);
  const ActualJob little = {.disk_rate = 1 << 20};
  g_autofree char *less = job_rates(&little), *nothing = job_rates(&(ActualJob){.total = 0});
  assert_string_equal(less, "1.0 MiB/s");
  assert_string_equal(nothing, "");
  const ActualJob more = {.total = 100, .remaining = 140}; /* the guest changes more than was there */
  assert_int_equal(job_percent(&more), 0);
  assert_int_equal(job_percent(&little), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(chains_follow_backing_paths),
    cmocka_unit_test(loops_of_backing_paths_end),
    cmocka_unit_test(power_states_have_words),
    cmocka_unit_test(fingerprints_leave_out_what_moves_by_itself),
    cmocka_unit_test(fingerprints_hold_everything_else),
    cmocka_unit_test(a_stopped_domain_has_the_chain_of_its_volumes),
    cmocka_unit_test(the_file_of_a_content_is_no_part_of_the_fingerprint),
    cmocka_unit_test(a_running_domain_has_the_chain_of_its_xml),
    cmocka_unit_test(a_disk_by_volume_gets_its_path),
    cmocka_unit_test(empty_drives_and_odd_disks_have_no_chain),
    cmocka_unit_test(broken_xml_is_an_error),
    cmocka_unit_test(an_unreadable_record_is_an_error),
    cmocka_unit_test(only_what_runs_has_an_id),
    cmocka_unit_test(volumes_are_read),
    cmocka_unit_test(capabilities_tell_arch_and_kvm),
    cmocka_unit_test(tasks_may_add_tasks),
    cmocka_unit_test(jobs_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
