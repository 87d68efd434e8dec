/* Addresses of git repositories: what they are taken for, what is refused, and that nothing secret is shown. */
#include "check.h"

#include <string.h>

#include "reconciler/source/git/url.h"
#include "reconciler/source/git_source.h"

static void assert_url(const char *text, GitUrlKind kind, const char *user, const char *host, guint port, const char *path) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GitUrl) url = git_url_parse(text, &error);
  if (error)
    fail_msg("%s: %s", text, error->message);
  assert_int_equal(url->kind, kind);
  assert_text(g_strdup(url->user ? url->user : ""), user);
  assert_text(g_strdup(url->host ? url->host : ""), host);
  assert_int_equal(url->port, port);
  assert_string_equal(url->path, path);
}

static void test_urls(void **state) {
  (void)state;
  assert_url("https://example.org/a/b.git", GIT_URL_HTTPS, "", "example.org", 0, "/a/b.git");
  assert_url("https://ann@example.org:8443/x", GIT_URL_HTTPS, "ann", "example.org", 8443, "/x");
  assert_url("http://127.0.0.1:80/x", GIT_URL_HTTP, "", "127.0.0.1", 80, "/x");
  assert_url("ssh://git@[::1]:2222/~ann/x%20y", GIT_URL_SSH, "git", "::1", 2222, "/~ann/x y");
  assert_url("git@example.org:a/b.git", GIT_URL_SSH, "git", "example.org", 0, "a/b.git");
  assert_url("git@[::1]:/srv/x", GIT_URL_SSH, "git", "::1", 0, "/srv/x");
  assert_url("file:///srv/a%20b", GIT_URL_LOCAL, "", "", 0, "/srv/a b");
  assert_url("file://localhost/srv/x", GIT_URL_LOCAL, "", "localhost", 0, "/srv/x");
  assert_url("/srv/x.git", GIT_URL_LOCAL, "", "", 0, "/srv/x.git");
}

static void test_refused(void **state) {
  (void)state;
  const char *texts[] = {"",
                         "x",
                         "relative/x.git",
                         "git://example.org/x",
                         "HTTPS://example.org/x",
                         "ext::sh -c x",
                         "https://u:secret@example.org/x",
                         "https://:secret@example.org/x",
                         "https://example.org/x?token=secret",
                         "https:///x",
                         "https://example.org",
                         "ssh://-oProxyCommand=secret/x",
                         "ssh://-x@example.org/x",
                         "ssh://example.org/",
                         "-x@example.org:y",
                         "git@-x:y",
                         "git@example.org:",
                         "file://example.org/x",
                         "file:x",
                         "https://exa mple.org/secret",
                         "https://example.org/%00secret",
                         "https://u:secret@[/x",
                         "https://example.org:99999999/secret",
                         "ssh://example.org/a\nsecret"};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GitUrl) url = git_url_parse(texts[i], &error);
    if (i == 13) { /* the root of a host is a path like any other */
      assert_non_null(url);
      continue;
    }
    if (url)
      fail_msg("%s is taken", texts[i]);
    assert_non_null(error);
    assert_null(strstr(error->message, "secret"));
  }
}

static char *parsed(const char *text) {
  g_autoptr(GError) error = NULL;
  GitSource source = {0};
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
  if (!git_source_parse(text, &source, texts, &error))
    return g_strdup("refused");
  g_autofree char *identity = git_source_identity(&source);
  return g_strdup_printf("%s %s %s %s", source.url, source.ref ? source.ref : "-", source.path ? source.path : "-", identity);
}

static void test_sources(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"https://h/x", "https://h/x - - https://h/x"},
      {"https://ann@h/x#main", "https://ann@h/x main - https://h/x#main"},
      {"https://h/x#main:vms/prod/", "https://h/x main vms/prod https://h/x#main:vms/prod"},
      {"https://h/x#HEAD:vms", "https://h/x HEAD vms https://h/x#HEAD:vms"},
      {"https://h/x#HEAD", "https://h/x HEAD - https://h/x"},
      {"git@h:x#refs/pull/1/head:a b", "git@h:x refs/pull/1/head a b git@h:x#refs/pull/1/head:a b"},
      {"/srv/./x/../y.git#v1", "/srv/y.git v1 - /srv/y.git#v1"},
      {"https://h/x#", "refused"},
      {"https://h/x#:vms", "refused"},
      {"https://h/x#main:", "refused"},
      {"https://h/x#main:/vms", "refused"},
      {"https://h/x#main:../vms", "refused"},
      {"https://h/x#main:a//b", "refused"},
      {"https://h/x#-main", "refused"},
      {"https://h/x#a..b", "refused"},
      {"https://h/x#a b", "refused"},
      {"http://h/x", "refused"},
      {"#main", "refused"},
      {"", "refused"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
    assert_text(parsed(cases[i][0]), cases[i][1]);
}

static void test_loopback(void **state) {
  (void)state;
  static const char *const near[] = {"http://localhost/x", "http://127.0.0.1/x", "http://127.9.9.9:1/x", "http://[::1]/x"};
  static const char *const far[] = {"http://example.org/x", "http://127.0.0.1.example.org/x", "http://localhost.example.org/x", "http://128.0.0.1/x"};
  for (guint i = 0; i < G_N_ELEMENTS(near); i++) {
    g_autoptr(GitUrl) here = git_url_parse(near[i], NULL), there = git_url_parse(far[i], NULL);
    assert_true(git_url_is_loopback(here));
    assert_false(git_url_is_loopback(there));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_urls), cmocka_unit_test(test_refused), cmocka_unit_test(test_sources),
                                     cmocka_unit_test(test_loopback)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
