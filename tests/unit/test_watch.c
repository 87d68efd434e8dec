/* A directory that is watched: what is told, and when; with a real inotify. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/service/tree.h"
#include "reconciler/service/watch.h"

enum { SETTLE = 30, LONG = 20000, SHORT = 300 }; /* milliseconds */

typedef struct {
  char *top, *source;
  GMainLoop *loop;
  Watch *watch;
  guint changed;
  char *unfinished;
} Fixture;

static void on_changed(gpointer data) {
  Fixture *fixture = data;
  fixture->changed++;
  g_main_loop_quit(fixture->loop);
}

static void on_unfinished(gpointer data, const char *path) {
  Fixture *fixture = data;
  g_free(fixture->unfinished);
  fixture->unfinished = g_strdup(path);
  g_main_loop_quit(fixture->loop);
}

static gboolean quit(gpointer loop) {
  g_main_loop_quit(loop);
  return G_SOURCE_CONTINUE;
}

/* Runs the loop until something is told, or as long as that. */
static void run(Fixture *fixture, guint milliseconds) {
  guint timer = g_timeout_add(milliseconds, quit, fixture->loop);
  g_main_loop_run(fixture->loop);
  g_source_remove(timer);
}

static void assert_told(Fixture *fixture) {
  guint before = fixture->changed;
  run(fixture, LONG);
  assert_int_equal(fixture->changed, before + 1);
}

static void assert_quiet(Fixture *fixture) {
  guint before = fixture->changed;
  run(fixture, SHORT);
  assert_int_equal(fixture->changed, before);
}

static char *in_source(const Fixture *fixture, const char *name) { return g_build_filename(fixture->source, name, NULL); }

static void write_file(const Fixture *fixture, const char *name) {
  g_autofree char *path = in_source(fixture, name);
  assert_true(g_file_set_contents_full(path, name, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

static void start(Fixture *fixture, const char *path, guint most) {
  watch_free(fixture->watch);
  WatchLimits limits = {.settle = SETTLE, .patience = 200, .most = most};
  WatchFunctions functions = {on_changed, on_unfinished, fixture};
  fixture->watch = watch_new(path, &limits, &functions);
}

static int set_up(void **state) {
  Fixture *fixture = g_new0(Fixture, 1);
  fixture->top = g_dir_make_tmp("watch-XXXXXX", NULL);
  fixture->source = g_build_filename(fixture->top, "specs", NULL);
  fixture->loop = g_main_loop_new(NULL, FALSE);
  g_mkdir_with_parents(fixture->source, 0755);
  write_file(fixture, "a.yaml");
  start(fixture, fixture->source, 0);
  *state = fixture;
  return 0;
}

static int tear_down(void **state) {
  Fixture *fixture = *state;
  g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->top);
  watch_free(fixture->watch);
  g_main_loop_unref(fixture->loop);
  int status = system(command);
  g_free(fixture->top);
  g_free(fixture->source);
  g_free(fixture->unfinished);
  g_free(fixture);
  return status;
}

static void files_come_change_and_go(void **state) {
  Fixture *fixture = *state;
  g_autofree char *a = in_source(fixture, "a.yaml"), *b = in_source(fixture, "b.yaml");
  assert_null(watch_trouble(fixture->watch));
  assert_quiet(fixture);
  write_file(fixture, "a.yaml");
  assert_told(fixture);
  write_file(fixture, "new.yaml");
  assert_told(fixture);
  assert_int_equal(rename(a, b), 0);
  assert_told(fixture);
  assert_int_equal(unlink(b), 0);
  assert_told(fixture);
  assert_quiet(fixture);
}

static void many_at_once_are_one(void **state) {
  Fixture *fixture = *state;
  for (guint i = 0; i < 100; i++) {
    g_autofree char *name = g_strdup_printf("%u.yaml", i);
    write_file(fixture, name);
  }
  assert_told(fixture);
  assert_quiet(fixture);
}

static void directories_within_are_watched(void **state) {
  Fixture *fixture = *state;
  g_autofree char *inner = in_source(fixture, "hosts");
  assert_int_equal(mkdir(inner, 0755), 0);
  assert_told(fixture);
  write_file(fixture, "hosts/b.yaml");
  assert_told(fixture);
  write_file(fixture, "hosts/b.yaml");
  assert_told(fixture);
}

static void what_declares_nothing_does_not_matter(void **state) {
  Fixture *fixture = *state;
  write_file(fixture, "README"); /* its coming may be a link's */
  assert_told(fixture);
  write_file(fixture, "README");
  assert_quiet(fixture);
}

static void a_swapped_link_is_a_change(void **state) {
  Fixture *fixture = *state;
  g_autofree char *link = g_build_filename(fixture->top, "current", NULL), *next = g_build_filename(fixture->top, "next", NULL);
  g_autofree char *other = g_build_filename(fixture->top, "other", NULL);
  assert_int_equal(mkdir(other, 0755), 0);
  assert_int_equal(symlink("specs", link), 0);
  start(fixture, link, 0);
  write_file(fixture, "a.yaml"); /* behind the link */
  assert_told(fixture);
  assert_int_equal(symlink("other", next), 0);
  assert_int_equal(rename(next, link), 0);
  assert_told(fixture);
  write_file(fixture, "a.yaml"); /* nobody points there any more */
  assert_quiet(fixture);
  g_autofree char *file = g_build_filename(other, "b.yaml", NULL);
  assert_true(g_file_set_contents(file, "x", -1, NULL));
  assert_told(fixture);
}

static void a_replaced_directory_is_a_change(void **state) {
  Fixture *fixture = *state;
  g_autofree char *old = g_build_filename(fixture->top, "old", NULL);
  assert_int_equal(rename(fixture->source, old), 0);
  assert_told(fixture);
  assert_int_equal(mkdir(fixture->source, 0755), 0);
  assert_told(fixture);
  write_file(fixture, "b.yaml");
  assert_told(fixture);
}

static void a_single_file_is_watched(void **state) {
  Fixture *fixture = *state;
  g_autofree char *path = in_source(fixture, "a.yaml");
  start(fixture, path, 0);
  write_file(fixture, "b.yaml");
  assert_quiet(fixture);
  write_file(fixture, "a.yaml");
  assert_told(fixture);
  assert_true(g_file_set_contents(path, "replaced", -1, NULL));
  assert_told(fixture);
}

static void a_file_that_is_being_written_is_waited_for(void **state) {
  Fixture *fixture = *state;
  g_autofree char *path = in_source(fixture, "a.yaml");
  int file = open(path, O_WRONLY | O_TRUNC);
  assert_int_equal(write(file, "half", 4), 4);
  run(fixture, LONG);
  assert_int_equal(fixture->changed, 0);
  assert_string_equal(fixture->unfinished, path);
  assert_true(watch_is_unfinished(fixture->watch));
  assert_int_equal(write(file, "rest", 4), 4);
  close(file);
  assert_told(fixture);
  assert_false(watch_is_unfinished(fixture->watch));
}

static void an_unfinished_file_may_vanish(void **state) {
  Fixture *fixture = *state;
  g_autofree char *path = in_source(fixture, "a.yaml");
  int file = open(path, O_WRONLY | O_TRUNC);
  assert_int_equal(write(file, "half", 4), 4);
  assert_int_equal(unlink(path), 0);
  assert_told(fixture);
  close(file);
}

static void a_limit_is_told(void **state) {
  Fixture *fixture = *state;
  g_autofree char *inner = in_source(fixture, "deep");
  assert_int_equal(mkdir(inner, 0755), 0);
  start(fixture, fixture->source, 2);
  assert_non_null(strstr(watch_trouble(fixture->watch), "the limit fs.inotify.max_user_watches is reached"));
  start(fixture, fixture->source, 0);
  assert_null(watch_trouble(fixture->watch));
}

/* More events than the queue of 16,384 holds, while nobody reads them. */
static void an_overflow_is_a_change(void **state) {
  Fixture *fixture = *state;
  g_autofree char *a = in_source(fixture, "x.yaml"), *b = in_source(fixture, "y.yaml");
  write_file(fixture, "x.yaml");
  for (guint i = 0; i < 10000; i++)
    assert_int_equal(i % 2 ? rename(b, a) : rename(a, b), 0);
  assert_told(fixture);
  assert_quiet(fixture);
  write_file(fixture, "a.yaml");
  assert_told(fixture);
}

static void stamps_tell_changes(void **state) {
  Fixture *fixture = *state;
  gint64 newest = 0, later = 0;
  g_autofree char *first = tree_stamp(fixture->source, &newest), *second = tree_stamp(fixture->source, &later);
  assert_string_equal(first, second);
  assert_true(newest > 0 && newest <= g_get_real_time());
  write_file(fixture, "b.yaml");
  g_autofree char *third = tree_stamp(fixture->source, &later);
  assert_string_not_equal(first, third);
  write_file(fixture, "README");
  g_autofree char *fourth = tree_stamp(fixture->source, &later);
  assert_string_equal(third, fourth);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(files_come_change_and_go), TEST(many_at_once_are_one), TEST(directories_within_are_watched),
      TEST(what_declares_nothing_does_not_matter), TEST(a_swapped_link_is_a_change), TEST(a_replaced_directory_is_a_change),
      TEST(a_single_file_is_watched), TEST(a_file_that_is_being_written_is_waited_for), TEST(an_unfinished_file_may_vanish),
      TEST(a_limit_is_told), TEST(an_overflow_is_a_change), TEST(stamps_tell_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
