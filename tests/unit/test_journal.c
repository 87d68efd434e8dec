/* The journal: what is written before and after each act, by one process at a time. */
#include "tests/unit/journals.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void remembers_runs_and_actions(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  gint64 first = begin(journal);
  assert_true(journal_action_begin(journal, first, &(JournalActionBegin){.action = "a1", .object = "vm/web", .kind = "domain-define", .description = "define it"}, NULL));
  assert_true(journal_action_end(journal, first, "a1", "done", NULL, NULL));
  assert_true(journal_action_begin(journal, first, &(JournalActionBegin){.action = "a2", .object = "vm/web", .kind = "domain-start", .description = "start it"}, NULL));
  assert_true(journal_action_end(journal, first, "a2", "failed", "no such file", NULL));
  assert_true(journal_run_end(journal, first, 1, "1 failed", NULL));
  gint64 second = begin(journal);
  assert_true(second > first);

  g_autoptr(Journal) reader = open_journal(*state, JOURNAL_READ);
  g_autoptr(GPtrArray) runs = journal_runs(reader, 0, NULL);
  assert_int_equal(runs->len, 2);
  const JournalRun *running = runs->pdata[0], *ended = runs->pdata[1];
  assert_true(running->running);
  assert_int_equal(running->ended, 0);
  assert_int_equal(running->exit_status, -1);
  assert_int_equal(running->pid, getpid());
  assert_false(ended->running);
  assert_int_equal(ended->exit_status, 1);
  assert_string_equal(ended->summary, "1 failed");
  assert_string_equal(ended->source, "/srv/vms");
  assert_null(ended->revision);
  assert_int_equal(ended->n_actions, 2);
  assert_int_equal(ended->n_failed, 1);
  assert_true(ended->ended >= ended->started);

  g_autoptr(GPtrArray) actions = journal_actions(reader, first, NULL);
  assert_int_equal(actions->len, 2);
  const JournalAction *start = actions->pdata[1];
  assert_string_equal(start->id, "a2");
  assert_string_equal(start->object, "vm/web");
  assert_string_equal(start->kind, "domain-start");
  assert_string_equal(start->result, "failed");
  assert_string_equal(start->message, "no such file");
  g_autoptr(GPtrArray) newest = journal_runs(reader, 1, NULL);
  assert_int_equal(newest->len, 1);
}

static void remembers_the_highest_epoch(void **state) {
  gint64 epoch = -1;
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  assert_true(journal_epoch(journal, &epoch, NULL));
  assert_int_equal(epoch, 0);
  for (gint64 each = 4; each > 1; each--)
    assert_true(journal_note_epoch(journal, each == 3 ? G_MAXINT64 : each, NULL));
  g_clear_pointer(&journal, journal_close);
  for (JournalMode mode = JOURNAL_READ; mode <= JOURNAL_WRITE; mode++) {
    g_autoptr(Journal) reader = open_journal(*state, mode);
    assert_true(journal_epoch(reader, &epoch, NULL));
    assert_true(epoch == G_MAXINT64);
  }
}

static void an_end_needs_a_beginning(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  g_autoptr(GError) error = NULL;
  assert_false(journal_action_end(journal, begin(journal), "a9", "done", NULL, &error));
  assert_non_null(error);
  g_clear_error(&error);
  assert_false(journal_action_begin(journal, 12345, &(JournalActionBegin){.action = "a1", .object = "vm/x", .kind = "k", .description = "d"}, &error));
  assert_non_null(error);
}

static void a_reader_writes_nothing(void **state) {
  G_GNUC_UNUSED g_autoptr(Journal) writer = open_journal(*state, JOURNAL_WRITE);
  g_autoptr(Journal) reader = open_journal(*state, JOURNAL_READ);
  gint64 run;
  g_autoptr(GError) error = NULL;
  assert_false(journal_run_begin(reader, &(JournalBegin){"s", NULL, "u", NULL}, &run, &error));
  assert_non_null(error);
}

static void nothing_there_yet(void **state) {
  g_autofree char *dir = g_build_filename(*state, "deeper", NULL);
  g_autoptr(GError) error = NULL;
  assert_null(journal_open(dir, JOURNAL_READ, NULL, &error));
  assert_true(g_error_matches(error, JOURNAL_ERROR, JOURNAL_ERROR_ABSENT));
  assert_false(g_file_test(dir, G_FILE_TEST_EXISTS));
}

static void the_directory_is_private(void **state) {
  g_autofree char *dir = g_build_filename(*state, "made", NULL);
  g_clear_pointer(&(Journal *){open_journal(dir, JOURNAL_WRITE)}, journal_close);
  struct stat status;
  assert_int_equal(stat(dir, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0700);
  static const char *const files[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
  for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autofree char *path = g_build_filename(dir, files[i], NULL);
    g_unlink(path);
  }
  g_rmdir(dir);
}

static void there_is_one_writer(void **state) {
  g_autoptr(Journal) first = open_journal(*state, JOURNAL_WRITE);
  g_autoptr(GError) error = NULL;
  assert_null(journal_open(*state, JOURNAL_WRITE, NULL, &error));
  assert_true(g_error_matches(error, JOURNAL_ERROR, JOURNAL_ERROR_LOCKED));
  g_autofree char *holder = g_strdup_printf("process %d since 2", (int)getpid());
  assert_non_null(strstr(error->message, holder));
  G_GNUC_UNUSED g_autoptr(Journal) dry_run = open_journal(*state, JOURNAL_DIGESTS);
  g_clear_pointer(&first, journal_close);
  first = open_journal(*state, JOURNAL_WRITE);
}

/* As after SIGKILL: no journal_run_end, no journal_close. */
static void a_killed_run_is_interrupted(void **state) {
  pid_t child = fork();
  if (child == 0) {
    Journal *journal = journal_open(*state, JOURNAL_WRITE, NULL, NULL);
    gint64 run;
    _exit(journal && journal_run_begin(journal, &(JournalBegin){"s", NULL, "u", NULL}, &run, NULL) &&
              journal_action_begin(journal, run, &(JournalActionBegin){.action = "a1", .object = "vm/x", .kind = "domain-define", .description = "define"}, NULL)
            ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  g_autoptr(Journal) reader = open_journal(*state, JOURNAL_READ);
  g_autoptr(GPtrArray) runs = journal_runs(reader, 0, NULL);
  assert_int_equal(runs->len, 1);
  const JournalRun *run = runs->pdata[0];
  assert_int_equal(run->ended, 0);
  assert_false(run->running);
  assert_int_equal(run->n_actions, 1);
  g_autoptr(Journal) next = open_journal(*state, JOURNAL_WRITE);
  begin(next);
}

static GPtrArray *some_events(guint count) {
  GPtrArray *events = g_ptr_array_new_with_free_func((GDestroyNotify)journal_event_free);
  for (guint i = 0; i < count; i++) {
    JournalEvent *event = g_new(JournalEvent, 1);
    *event = (JournalEvent){1000 + i, g_strdup("qemu:///system"), i % 2 ? NULL : g_strdup("vm/web"), g_strdup("lifecycle"),
                            g_strdup_printf("event %u", i)};
    g_ptr_array_add(events, event);
  }
  return events;
}

static void remembers_events(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE), reader = open_journal(*state, JOURNAL_READ);
  g_autoptr(GPtrArray) few = some_events(3), many = some_events(10050);
  assert_true(journal_events_add(journal, few, NULL));
  g_autoptr(GPtrArray) of_web = journal_events(reader, "vm/web", 0, NULL);
  assert_int_equal(of_web->len, 3);
  const JournalEvent *last = of_web->pdata[0];
  assert_string_equal(last->detail, "event 2");
  assert_int_equal(last->time, 1002);
  assert_string_equal(last->uri, "qemu:///system");
  g_autoptr(GPtrArray) of_host = journal_events(reader, "vm/else", 0, NULL);
  assert_int_equal(of_host->len, 1);
  journal_gather(journal); /* within what is gathered too */
  assert_true(journal_events_add(journal, many, NULL));
  assert_true(journal_keep(journal, NULL));
  g_autoptr(GPtrArray) kept = journal_events(reader, NULL, 0, NULL);
  assert_int_equal(kept->len, 10000);
  g_autoptr(GPtrArray) newest = journal_events(reader, NULL, 1, NULL);
  assert_string_equal(((JournalEvent *)newest->pdata[0])->detail, "event 10049");
  g_autoptr(GError) error = NULL;
  assert_false(journal_events_add(reader, few, &error));
  assert_non_null(error);
}

static void old_runs_are_dropped(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  gint64 first = begin(journal);
  assert_true(journal_action_begin(journal, first, &(JournalActionBegin){.action = "a1", .object = "vm/x", .kind = "k", .description = "d"}, NULL));
  for (guint i = 0; i < 1000; i++)
    begin(journal);
  g_autoptr(GPtrArray) runs = journal_runs(journal, 0, NULL);
  assert_int_equal(runs->len, 1000);
  g_autoptr(GPtrArray) actions = journal_actions(journal, first, NULL);
  assert_int_equal(actions->len, 0);
}

static void act_with(Journal *journal, gint64 run, const char *object, const char *kind, const char *target, const char *uri, gint64 epoch, const char *result) {
  static guint number;
  g_autofree char *id = g_strdup_printf("p%u", ++number);
  assert_true(journal_action_begin(journal, run, &(JournalActionBegin){.action = id, .object = object, .kind = kind, .description = "d", .target = target, .uri = uri, .epoch = epoch}, NULL));
  assert_true(result == NULL || journal_action_end(journal, run, id, result, NULL, NULL));
}

static void act(Journal *journal, gint64 run, const char *object, const char *kind, const char *target, const char *uri, const char *result) {
  act_with(journal, run, object, kind, target, uri, 0, result);
}

static void assert_epoch(Journal *journal, const char *machine, const char *host, gint64 epoch) {
  g_autoptr(GHashTable) places = journal_whereabouts(journal, "/srv/vms", NULL, NULL);
  const JournalPlace *place = g_hash_table_lookup(places, machine);
  assert_non_null(place);
  assert_string_equal(place->host, host);
  assert_int_equal(place->epoch, epoch);
}

static void assert_place(Journal *journal, const char *machine, const char *host, const char *uri) {
  g_autoptr(GHashTable) places = journal_whereabouts(journal, "/srv/vms", NULL, NULL);
  assert_non_null(places);
  const JournalPlace *place = g_hash_table_lookup(places, machine);
  if (host == NULL) {
    assert_null(place);
    return;
  }
  assert_non_null(place);
  assert_string_equal(place->host, host);
  assert_int_equal(g_strcmp0(place->uri, uri), 0);
  assert_string_equal(place->source, "/srv/vms");
}

static void note(Journal *journal, const char *machine, const char *host, const char *uri) {
  assert_true(journal_note_place(journal, machine, &(JournalPlace){.host = (char *)host, .uri = (char *)uri, .source = (char *)"/srv/vms"}, NULL));
}

static gboolean ran(Journal *journal) {
  g_autoptr(GHashTable) places = journal_whereabouts(journal, "/srv/vms", NULL, NULL);
  const JournalPlace *place = g_hash_table_lookup(places, "web");
  assert_non_null(place);
  return place->ran;
}

/* Also when runs are dropped; a copy that is put there anew wasn't seen yet. */
static void that_it_was_seen_to_run(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  act_with(journal, begin(journal), "a/vm/web", "domain-migrate", "b", "test://b", 1, "failed");
  assert_false(ran(journal));
  assert_true(journal_note_place(journal, "web", &(JournalPlace){.host = (char *)"b", .uri = (char *)"test://b", .epoch = 1, .source = (char *)"/srv/vms", .ran = TRUE}, NULL));
  assert_true(ran(journal));
  for (guint run = 0; run < 1001; run++)
    begin(journal);
  assert_true(ran(journal));
  act_with(journal, begin(journal), "a/vm/web", "domain-migrate", "b", "test://b", 1, NULL);
  assert_false(ran(journal));
}

/* What a look showed counts until something is done again, also when the runs before it are dropped. */
static void where_machines_were_seen(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  gint64 run = begin(journal);
  static const char *const machines[] = {"left", "gone", "again"};
  for (guint i = 0; i < G_N_ELEMENTS(machines); i++) {
    g_autofree char *object = g_strconcat("a/vm/", machines[i], NULL);
    act(journal, run, object, "domain-define", NULL, "test://a", i == 1 ? "failed" : "done");
    note(journal, machines[i], i == 1 ? NULL : "b", i == 1 ? NULL : "test://b");
  }
  assert_place(journal, "again", "b", "test://b");
  run = begin(journal);
  act(journal, run, "a/vm/again", "domain-define", NULL, "test://a", "done");
  for (guint round = 0; round < 3; round++) {
    assert_place(journal, "left", "b", "test://b");
    assert_place(journal, "gone", NULL, NULL);
    assert_place(journal, "again", "a", "test://a");
    for (guint i = 0; i < 999; i++) /* the first run is dropped, and then the second */
      begin(journal);
  }
  note(journal, "again", NULL, NULL);
  assert_place(journal, "again", NULL, NULL);
  act(journal, begin(journal), "a/vm/again", "domain-define", NULL, "test://a", "done");
  assert_place(journal, "again", "a", "test://a");
}

static void where_machines_were_put(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  gint64 run = begin(journal);
  act(journal, run, "vm/alone", "domain-define", NULL, NULL, "done");
  act(journal, run, "a/vm/made", "domain-define", NULL, "test://a", "failed");
  act(journal, run, "a/vm/refused", "domain-define", NULL, "test://a", "refused");
  act(journal, run, "a/vm/moved", "domain-migrate", "b", "test://b", "done");
  act(journal, run, "a/vm/lost", "domain-define", NULL, "test://a", "done");
  act(journal, run, "a/vm/lost", "domain-arrive", "b", "test://b", NULL);
  act(journal, run, "a/vm/deleted", "domain-define", NULL, "test://a", "done");
  act(journal, run, "a/vm/deleted", "domain-undefine", NULL, "test://a", "done");
  act(journal, run, "b/vm/kept", "domain-define", NULL, "test://b", "done");
  act(journal, run, "a/vm/kept", "domain-undefine", NULL, "test://a", "done");
  act(journal, run, "a/vm/later", "domain-define", NULL, "test://a", "done");
  for (guint round = 0; round < 2; round++) { /* as long as the run is remembered, and when it isn't any more */
    assert_place(journal, "alone", NULL, NULL);
    assert_place(journal, "made", "a", "test://a");
    assert_place(journal, "refused", NULL, NULL);
    assert_place(journal, "moved", "b", "test://b");
    assert_place(journal, "lost", "b", "test://b");
    assert_place(journal, "deleted", NULL, NULL);
    assert_place(journal, "kept", "b", "test://b");
    assert_place(journal, "later", "a", "test://a");
    for (guint i = 0; i < 1000; i++)
      begin(journal);
  }
  gint64 last = begin(journal);
  act(journal, last, "a/vm/later", "domain-migrate", "b", "test://b", "done");
  act(journal, last, "b/vm/moved", "domain-undefine", NULL, "test://b", "done");
  assert_place(journal, "later", "b", "test://b");
  assert_place(journal, "moved", NULL, NULL);
  assert_place(journal, "made", "a", "test://a");
}

/* Each with that of the copy there; what is moved may be the older one of two. */
static void with_their_epochs(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  gint64 run = begin(journal);
  act_with(journal, run, "a/vm/made", "domain-define", NULL, "test://a", 1700, "done");
  act_with(journal, run, "a/vm/given-up", "domain-arrive", "b", "test://b", 1, "failed");
  act_with(journal, run, "a/vm/given-up", "move-undo", NULL, "test://a", 1700, NULL);
  act_with(journal, run, "a/vm/undone", "domain-arrive", "b", "test://b", 1, NULL);
  act_with(journal, run, "a/vm/undone", "move-undo", NULL, "test://a", 0, "failed");
  act_with(journal, run, "a/vm/taken-back", "domain-arrive", "b", "test://b", 1, NULL);
  act_with(journal, run, "a/vm/taken-back", "move-undo", NULL, "test://a", 0, "done");
  act_with(journal, run, "a/vm/older", "domain-define", NULL, "test://a", 1700, "done");
  act_with(journal, run, "b/vm/older", "domain-migrate", "c", "test://c", 2, "done");
  act_with(journal, run, "b/vm/older", "move-undo", NULL, "test://b", 1, "done");
  act_with(journal, run, "a/vm/refused", "domain-migrate", "b", "test://b", 2, "refused");
  act_with(journal, run, "a/vm/unknown", "domain-migrate", "b", "test://b", JOURNAL_NO_EPOCH, "done");
  act_with(journal, run, "a/vm/nowhere", "domain-define", NULL, "test://a", 0, "done");
  act_with(journal, run, "a/vm/nowhere", "domain-migrate", "b", "test://b", JOURNAL_NO_EPOCH, NULL);
  assert_true(journal_note_place(journal, "seen", &(JournalPlace){.host = (char *)"c", .epoch = 3, .source = (char *)"/srv/vms"}, NULL));
  for (guint round = 0; round < 2; round++) {
    assert_epoch(journal, "made", "a", 1700);
    assert_epoch(journal, "given-up", "a", 1700);
    assert_epoch(journal, "undone", "b", 1);
    assert_epoch(journal, "taken-back", "a", 0);
    assert_epoch(journal, "older", "a", 1700);
    assert_epoch(journal, "refused", "b", 2);
    assert_epoch(journal, "unknown", "b", JOURNAL_NO_EPOCH);
    assert_place(journal, "nowhere", NULL, NULL);
    assert_epoch(journal, "seen", "c", 3);
    for (guint i = 0; i < 1000; i++)
      begin(journal);
  }
}

static void digests_follow_the_file(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_DIGESTS);
  FileIdentity identity = {1, 2, 3, G_GINT64_CONSTANT(1700000000123456789)};
  assert_null(journal_digest_find(journal, "/a", &identity));
  journal_digest_store(journal, "/a", &identity, "abc");
  g_autofree char *found = journal_digest_find(journal, "/a", &identity);
  assert_string_equal(found, "abc");
  assert_null(journal_digest_find(journal, "/b", &identity));
  FileIdentity changed = identity;
  changed.mtime_ns++;
  assert_null(journal_digest_find(journal, "/a", &changed));
  journal_digest_store(journal, "/a", &changed, "def");
  assert_null(journal_digest_find(journal, "/a", &identity));

  FileIdentity fresh = identity;
  fresh.mtime_ns = g_get_real_time() * 1000;
  journal_digest_store(journal, "/fresh", &fresh, "abc");
  assert_null(journal_digest_find(journal, "/fresh", &fresh));
}

static void identity_is_of_regular_files(void **state) {
  g_autofree char *path = g_build_filename(*state, "image", NULL);
  assert_true(g_file_set_contents(path, "12345", 5, NULL));
  int fd = open(path, O_RDONLY), directory = open(*state, O_RDONLY);
  FileIdentity identity;
  g_autoptr(GError) error = NULL;
  assert_true(file_identity_of(fd, &identity, NULL));
  assert_int_equal(identity.size, 5);
  assert_false(file_identity_of(directory, &identity, &error));
  close(fd);
  close(directory);
}

static void what_is_gathered_is_kept_at_once(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE), reader = open_journal(*state, JOURNAL_READ);
  gint64 run = begin(journal);
  journal_gather(journal);
  assert_true(journal_action_begin(journal, run, &(JournalActionBegin){.action = "a1", .object = "vm/x", .kind = "k", .description = "d"}, NULL));
  assert_true(journal_action_end(journal, run, "a1", "done", NULL, NULL));
  assert_true(journal_action_begin(journal, run, &(JournalActionBegin){.action = "a2", .object = "vm/x", .kind = "k", .description = "d"}, NULL));
  g_autoptr(GPtrArray) before = journal_actions(reader, run, NULL);
  assert_int_equal(before->len, 0);
  assert_true(journal_keep(journal, NULL));
  g_autoptr(GPtrArray) after = journal_actions(reader, run, NULL);
  assert_int_equal(after->len, 2);
  g_autoptr(GError) error = NULL;
  assert_false(journal_keep(journal, &error));
  assert_string_equal(error->message, "cannot write the journal: cannot commit - no transaction is active");
}

static gpointer write_actions(gpointer data) {
  Journal *journal = data;
  gint64 run = begin(journal);
  for (guint i = 0; i < 50; i++) {
    g_autofree char *id = g_strdup_printf("a%u", i);
    assert_true(journal_action_begin(journal, run, &(JournalActionBegin){.action = id, .object = "vm/x", .kind = "k", .description = "d"}, NULL));
    assert_true(journal_action_end(journal, run, id, "done", NULL, NULL));
  }
  return GINT_TO_POINTER((gint)run);
}

static void threads_share_it(void **state) {
  g_autoptr(Journal) journal = open_journal(*state, JOURNAL_WRITE);
  GThread *threads[4];
  gint64 runs[4];
  for (guint i = 0; i < 4; i++)
    threads[i] = g_thread_new("writer", write_actions, journal);
  for (guint i = 0; i < 4; i++)
    runs[i] = GPOINTER_TO_INT(g_thread_join(threads[i]));
  for (guint i = 0; i < 4; i++) {
    g_autoptr(GPtrArray) actions = journal_actions(journal, runs[i], NULL);
    assert_int_equal(actions->len, 50);
    for (guint j = i + 1; j < 4; j++)
      assert_int_not_equal(runs[i], runs[j]);
  }
}

static void where_it_is_by_default(void **state G_GNUC_UNUSED) {
  g_setenv("XDG_STATE_HOME", "/x/state", TRUE);
  g_autofree char *dir = journal_default_dir();
  assert_string_equal(dir, "/x/state/reconcile");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(where_it_is_by_default),
    EACH(remembers_runs_and_actions),
    EACH(remembers_the_highest_epoch),
    EACH(that_it_was_seen_to_run),
    EACH(where_machines_were_seen),
    EACH(an_end_needs_a_beginning),
    EACH(a_reader_writes_nothing),
    EACH(nothing_there_yet),
    EACH(the_directory_is_private),
    EACH(there_is_one_writer),
    EACH(a_killed_run_is_interrupted),
    EACH(remembers_events),
    EACH(old_runs_are_dropped),
    EACH(where_machines_were_put),
    EACH(with_their_epochs),
    EACH(digests_follow_the_file),
    EACH(identity_is_of_regular_files),
    EACH(what_is_gathered_is_kept_at_once),
    EACH(threads_share_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
