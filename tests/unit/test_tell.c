/* Commands that are told: each gets its time, and none that misbehaves keeps the next from being told. */
#include "check.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/service/tell.h"

enum { LONG = 60000 }; /* milliseconds */

typedef struct {
  GMainLoop *loop;
  Teller *teller;
  Config config;
  GPtrArray *failures; /* of char * */
  char *file;          /* the last command writes here that it was told */
} Fixture;

static void on_failed(gpointer data, const char *message) { g_ptr_array_add(((Fixture *)data)->failures, g_strdup(message)); }

static int setup(void **state) {
  Fixture *fixture = g_new0(Fixture, 1);
  fixture->loop = g_main_loop_new(NULL, FALSE);
  fixture->teller = teller_new(on_failed, fixture);
  fixture->failures = g_ptr_array_new_with_free_func(g_free);
  fixture->file = g_strdup_printf("%s/tell-%d", g_get_tmp_dir(), (int)getpid());
  set_given(&fixture->config.spec, ServiceSpec, notify);
  *state = fixture;
  return 0;
}

static int teardown(void **state) {
  Fixture *fixture = *state;
  g_unlink(fixture->file);
  teller_free(fixture->teller);
  while (g_main_context_iteration(NULL, FALSE)) /* what was under way ends without it */
    ;
  g_ptr_array_unref(fixture->failures);
  g_main_loop_unref(fixture->loop);
  g_free(fixture->file);
  g_free(fixture);
  return 0;
}

static void tell(Fixture *fixture, const char *script, guint timeout, gsize size) {
  const char *const command[] = {"/bin/sh", "-c", script, fixture->file, NULL};
  NotifySpec *notify = &fixture->config.spec.notify;
  notify->command = (char **)command;
  notify->timeout = timeout;
  g_autofree char *filler = g_strnfill(size, 'x');
  teller_tell(fixture->teller, &fixture->config, NotifyEvent_applied, json_pack("{s:s}", "filler", filler));
}

static gboolean look(gpointer data) {
  Fixture *fixture = data;
  if (g_file_test(fixture->file, G_FILE_TEST_EXISTS))
    g_main_loop_quit(fixture->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean give_up(gpointer loop) {
  g_main_loop_quit(loop);
  return G_SOURCE_CONTINUE;
}

/* Until a good command, which comes last, has been told all of a long document. */
static void run(Fixture *fixture) {
  tell(fixture, "[ $(wc -c) -gt 300000 ] && : > $0", LONG, 300000);
  guint looking = g_timeout_add(10, look, fixture), end = g_timeout_add(LONG, give_up, fixture->loop);
  g_main_loop_run(fixture->loop);
  g_source_remove(looking);
  g_source_remove(end);
  assert_true(g_file_test(fixture->file, G_FILE_TEST_EXISTS));
}

static const char *only_failure(const Fixture *fixture) {
  assert_int_equal(fixture->failures->len, 1);
  return fixture->failures->pdata[0];
}

static void fails(void **state) {
  Fixture *fixture = *state;
  tell(fixture, "cat > /dev/null; exit 3", LONG, 10);
  run(fixture);
  assert_string_equal(only_failure(fixture), "it ended with status 3");
}

static void hangs(void **state) {
  Fixture *fixture = *state;
  tell(fixture, "sleep 1000", 100, 300000);
  run(fixture);
  assert_string_equal(only_failure(fixture), "it took too long, and was ended");
}

static void reads_nothing(void **state) {
  Fixture *fixture = *state;
  tell(fixture, "exit 0", LONG, 300000);
  run(fixture);
  assert_int_equal(fixture->failures->len, 0);
}

/* Somebody that it leaves behind has its standard input, and doesn't read. */
static void leaves_somebody_behind(void **state) {
  Fixture *fixture = *state;
  tell(fixture, "sleep 30 <&0 & exit 0", LONG, 300000);
  run(fixture);
  assert_int_equal(fixture->failures->len, 0);
}

static void cannot_be_run(void **state) {
  Fixture *fixture = *state;
  const char *const command[] = {"/nonexistent", NULL};
  fixture->config.spec.notify.command = (char **)command;
  teller_tell(fixture->teller, &fixture->config, NotifyEvent_applied, json_object());
  run(fixture);
  assert_non_null(strstr(only_failure(fixture), "/nonexistent"));
}

/* The oldest are dropped, and the end of it all waits for nobody. */
static void too_many_and_an_end(void **state) {
  Fixture *fixture = *state;
  for (guint i = 0; i < 1000; i++)
    tell(fixture, "sleep 1000", LONG, 10);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN); /* as the service does */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(fails, setup, teardown),
      cmocka_unit_test_setup_teardown(hangs, setup, teardown),
      cmocka_unit_test_setup_teardown(reads_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(leaves_somebody_behind, setup, teardown),
      cmocka_unit_test_setup_teardown(cannot_be_run, setup, teardown),
      cmocka_unit_test_setup_teardown(too_many_and_an_end, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
