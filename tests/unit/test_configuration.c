/* The configuration file: what it may say, what is wrong with it and where; windows; patience. */
#include "check.h"

#include <string.h>

#include "reconciler/rules/windows.h"
#include "reconciler/service/backoff.h"
#include "schema/configuration.h"

#define SECOND ((gint64)G_USEC_PER_SEC)
#define HOUR (3600 * SECOND)

/* What is said of the text: "1:2 message" lines; empty when it is right. */
static char *verdict(const char *text, ServiceSpec *spec) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  gboolean good = configuration_decode("/etc/reconcile.yaml", text, strlen(text), spec, diagnostics);
  assert_int_equal(good, diagnostics->errors == 0);
  GString *said = g_string_new(NULL);
  for (guint i = 0; i < diagnostics->items->len; i++) {
    const Diagnostic *diagnostic = diagnostics->items->pdata[i];
    g_string_append_printf(said, "%u:%u %s\n", diagnostic->at.line, diagnostic->at.column, diagnostic->message);
  }
  return g_string_free(said, FALSE);
}

static void assert_says(const char *text, const char *part) {
  ServiceSpec spec = {0};
  g_autofree char *said = verdict(text, &spec);
  if (*part ? !strstr(said, part) : *said != '\0')
    fail_msg("'%s' isn't said of:\n%s\nbut:\n%s", part, text, said);
  spec_clear(&ServiceSpec_table, &spec);
}

static void takes_defaults(void **state) {
  (void)state;
  ServiceSpec spec = {0};
  assert_text(verdict("source: {directory: vms}\nprune: {enabled: true}\n", &spec), "");
  assert_string_equal(spec.source.directory, "/etc/vms");
  assert_int_equal(spec.interval, 30000);
  assert_int_equal(spec.source.settle, 500);
  assert_true(spec.prune.enabled);
  assert_int_equal(spec.prune.limit, 30);
  assert_false(given(&spec, ServiceSpec, policy));
  spec_clear(&ServiceSpec_table, &spec);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  assert_says("source: {directory: /x}\n", "");
  assert_says("", "expected one document, but there are 0");
  assert_says("intervall: 1m\nsource: {directory: /x}\n", "1:1 unknown key \"intervall\" in the configuration: did you mean \"interval\"?");
  assert_says("interval: 1m\n", "\"source\" is missing");
  assert_says("source: {}\n", "1:9 source: expected one of directory and git");
  assert_says("source: {directory: /x, git: {url: 'https://x/y.git'}}\n", "expected one of directory and git");
  assert_says("source: {git: {url: 'https://x/y.git', path: ../up}}\n", "path: expected a directory within the repository");
  assert_says("source: {git: {url: 'http://x/y.git'}}\n", "http is neither secret");
  assert_says("source: {git: {url: 'https://x/y.git', signatures: {require: all}}}\n", "without keys nothing could be verified");
  assert_says("source: {directory: /x}\nmetrics: {listen: '0.0.0.0:80'}\n", "2:19 listen: expected unix:PATH or an address of the loopback");
  assert_says("source: {directory: /x}\nmetrics: {listen: '127.0.0.1:0'}\n", "2:19 listen:");
  assert_says("source: {directory: /x}\nmetrics: {listen: 'unix:relative'}\n", "2:19 listen:");
  g_autofree char *deep = g_strnfill(100, 'a'), *long_path = g_strdup_printf("source: {directory: /x}\nsocket: /run/abc/%s\n", deep);
  assert_says(long_path, "2:9 socket: at most 107 bytes");
  assert_says("source: {directory: /x}\nnotify: {command: [mail]}\n", "a program by its absolute path");
  assert_says("source: {directory: /x}\nallow: [reboot]\n", "allow: ");
  assert_says("source: {directory: /x}\nwindows: [{name: a, from: '25:00', to: '04:00', impacts: [restart]}]\n", "times such as '22:00'");
  assert_says("source: {directory: /x}\nwindows: [{name: a, from: '04:00', to: '04:00', impacts: [restart]}]\n", "at the same time");
  assert_says("source: {directory: /x}\nwindows: [{name: a, from: '04:00', to: '05:00', impacts: [restart], timezone: Mars/Base}]\n",
              "no time zone \"Mars/Base\"");
}

static void reads_addresses(void **state) {
  (void)state;
  char *path, *host;
  guint16 port;
  assert_true(listen_address_parse("unix:/run/x.sock", &path, &host, &port));
  assert_string_equal(path, "/run/x.sock");
  g_free(path);
  assert_true(listen_address_parse("[::1]:9177", &path, &host, &port));
  assert_string_equal(host, "::1");
  assert_int_equal(port, 9177);
  g_free(host);
  assert_false(listen_address_parse("127.0.0.1:", &path, &host, &port));
  assert_false(listen_address_parse("192.168.0.1:80", &path, &host, &port));
}

/* Windows */

static gint64 at(const char *time) {
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) parsed = g_date_time_new_from_iso8601(time, utc);
  assert_non_null(parsed);
  return g_date_time_to_unix(parsed) * SECOND;
}

static GPtrArray *windows_of(const char *text, ServiceSpec *spec) {
  g_autofree char *whole = g_strdup_printf("source: {directory: /x}\nwindows: %s\n", text);
  assert_text(verdict(whole, spec), "");
  return spec->windows;
}

static void assert_waits(const GPtrArray *windows, Impact impact, const char *now, const char *until) {
  const WindowSpec *window = NULL;
  gint64 opens = 0;
  gboolean waits = windows_hold(windows, impact, at(now), &window, &opens);
  assert_int_equal(waits, until != NULL);
  if (waits)
    assert_text(window_time_text(window, opens), until);
}

static void windows_open_and_close(void **state) {
  (void)state;
  ServiceSpec spec = {0};
  GPtrArray *windows = windows_of("[{name: day, days: [monday, friday], from: '09:00', to: '17:00', timezone: UTC, impacts: [restart]},"
                                  " {name: night, days: [saturday], from: '22:00', to: '04:00', timezone: UTC, impacts: [restart, data-loss]}]",
                                  &spec);
  assert_waits(windows, IMPACT_LIVE, "2026-11-17T12:00:00Z", NULL); /* no window names it */
  assert_waits(windows, IMPACT_RESTART, "2026-11-16T09:00:00Z", NULL); /* a Monday */
  assert_waits(windows, IMPACT_RESTART, "2026-11-16T16:59:59Z", NULL);
  assert_waits(windows, IMPACT_RESTART, "2026-11-16T17:00:00Z", "2026-11-20 09:00 UTC");
  assert_waits(windows, IMPACT_RESTART, "2026-11-16T08:59:59Z", "2026-11-16 09:00 UTC");
  assert_waits(windows, IMPACT_DATA_LOSS, "2026-11-16T12:00:00Z", "2026-11-21 22:00 UTC");
  assert_waits(windows, IMPACT_DATA_LOSS, "2026-11-21T23:00:00Z", NULL);
  assert_waits(windows, IMPACT_DATA_LOSS, "2026-11-22T03:59:59Z", NULL); /* Sunday morning still counts */
  assert_waits(windows, IMPACT_DATA_LOSS, "2026-11-22T04:00:00Z", "2026-11-28 22:00 UTC");
  assert_waits(windows, IMPACT_DATA_LOSS, "2026-11-21T03:00:00Z", "2026-11-21 22:00 UTC"); /* Friday's night isn't one */
  assert_waits(NULL, IMPACT_DATA_LOSS, "2026-11-21T03:00:00Z", NULL);
  spec_clear(&ServiceSpec_table, &spec);
}

static void windows_follow_the_zone(void **state) {
  (void)state;
  ServiceSpec spec = {0};
  GPtrArray *windows = windows_of("[{name: w, from: '02:30', to: '03:30', timezone: Europe/Berlin, impacts: [restart]}]", &spec);
  assert_waits(windows, IMPACT_RESTART, "2026-11-16T01:45:00Z", NULL);
  assert_waits(windows, IMPACT_RESTART, "2026-07-01T01:45:00Z", "2026-07-02 02:30 CEST");
  /* The clock goes from 3 back to 2: the hour is there twice, and the window open in both. */
  assert_waits(windows, IMPACT_RESTART, "2026-10-25T01:45:00Z", NULL);
  assert_waits(windows, IMPACT_RESTART, "2026-10-25T02:30:00Z", "2026-10-26 02:30 CET");
  spec_clear(&ServiceSpec_table, &spec);
}

static void a_window_without_days_never_opens(void **state) {
  (void)state;
  ServiceSpec spec = {0};
  GPtrArray *windows = windows_of("[{name: w, days: [], from: '02:30', to: '03:30', impacts: [restart]}]", &spec);
  assert_waits(windows, IMPACT_RESTART, "2026-11-16T01:45:00Z", "never");
  spec_clear(&ServiceSpec_table, &spec);
}

/* Patience */

static const BackoffTimes times = {.first = 5 * SECOND, .most = 60 * SECOND, .calm = 600 * SECOND, .free_acts = 3};

static gint64 waits(const Backoff *backoff, const char *id, gint64 now) {
  gint64 until = backoff_until(backoff, id, now, NULL);
  return until ? until - now : 0;
}

static void assert_between(gint64 value, gint64 least, gint64 most) {
  if (value < least || value > most)
    fail_msg("%" G_GINT64_FORMAT " isn't from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, value, least, most);
}

static void waits_longer_after_each_failure(void **state) {
  (void)state;
  g_autoptr(Backoff) backoff = backoff_new(&times, 1);
  gint64 now = HOUR, expected = 5 * SECOND;
  for (guint i = 0; i < 100; i++, expected = MIN(expected * 2, 60 * SECOND)) {
    backoff_failed(backoff, "vm/a", now, "no such disk");
    assert_between(waits(backoff, "vm/a", now), expected * 8 / 10, expected * 12 / 10);
    assert_int_equal(waits(backoff, "vm/b", now), 0);
    now += 2 * expected;
  }
  const char *why = NULL;
  backoff_failed(backoff, "vm/a", now, "worse");
  assert_true(backoff_until(backoff, "vm/a", now, &why) == backoff_next(backoff, now));
  assert_string_equal(why, "worse");
  assert_int_equal(backoff_waiting(backoff, now), 1);
  backoff_in_sync(backoff, "vm/a", now);
  assert_int_equal(backoff_waiting(backoff, now), 0);
}

static void hosts_ask_at_different_moments(void **state) {
  (void)state;
  g_autoptr(GHashTable) moments = g_hash_table_new(g_direct_hash, g_direct_equal);
  for (guint i = 0; i < 100; i++) {
    guint64 wait = wait_spread(60000);
    assert_between(wait, 54000, 66000);
    g_hash_table_add(moments, GSIZE_TO_POINTER(wait));
  }
  assert_true(g_hash_table_size(moments) > 50);
}

static void acts_on_one_object_again_and_again_less_often(void **state) {
  (void)state;
  g_autoptr(Backoff) backoff = backoff_new(&times, 1);
  gint64 now = HOUR;
  for (guint i = 0; i < 3; i++, now += SECOND) {
    backoff_acted(backoff, "vm/a", now);
    assert_int_equal(waits(backoff, "vm/a", now), 0);
    backoff_in_sync(backoff, "vm/a", now);
  }
  backoff_acted(backoff, "vm/a", now);
  assert_between(waits(backoff, "vm/a", now), 4 * SECOND, 6 * SECOND);
  now += 10 * SECOND;
  backoff_acted(backoff, "vm/a", now);
  assert_between(waits(backoff, "vm/a", now), 8 * SECOND, 12 * SECOND);
  now += 601 * SECOND; /* calm: forgotten */
  backoff_in_sync(backoff, "vm/a", now);
  backoff_acted(backoff, "vm/a", now);
  assert_int_equal(waits(backoff, "vm/a", now), 0);
  backoff_forget(backoff, NULL);
  assert_int_equal(backoff_next(backoff, now), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_defaults), cmocka_unit_test(says_what_is_wrong), cmocka_unit_test(reads_addresses),
      cmocka_unit_test(windows_open_and_close), cmocka_unit_test(windows_follow_the_zone),
      cmocka_unit_test(a_window_without_days_never_opens), cmocka_unit_test(waits_longer_after_each_failure),
      cmocka_unit_test(hosts_ask_at_different_moments),
      cmocka_unit_test(acts_on_one_object_again_and_again_less_often),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
