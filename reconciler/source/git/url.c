#include "reconciler/source/git/url.h"

#include <string.h>

#include "reconciler/source/git_source.h"

/* What ssh or a shell could take for something else than a name isn't one. */
#define HOST "^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$"
#define USER "^[A-Za-z0-9_.][A-Za-z0-9_.+@-]*$"
#define SCP "^([A-Za-z0-9_.][A-Za-z0-9_.-]*)@([A-Za-z0-9_][A-Za-z0-9_.-]*|\\[[0-9A-Fa-f:.]+\\]):(.+)$"

gboolean git_url_wrong(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_propagate_error(error, g_error_new_valist(GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_INVALID, format, arguments));
  va_end(arguments);
  return FALSE;
}

static gboolean matches(const char *pattern, const char *text) {
  return g_regex_match_simple(pattern, text, G_REGEX_DOLLAR_ENDONLY, 0);
}

void git_url_free(GitUrl *url) {
  if (url == NULL)
    return;
  g_free(url->user);
  g_free(url->host);
  g_free(url->path);
  g_free(url);
}

/* user@host:path, as scp has it. */
static GitUrl *parse_scp(const char *text) {
  g_autoptr(GRegex) regex = g_regex_new(SCP, G_REGEX_DOLLAR_ENDONLY, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  if (!g_regex_match(regex, text, 0, &match))
    return NULL;
  GitUrl *url = g_new0(GitUrl, 1);
  url->kind = GIT_URL_SSH;
  url->user = g_match_info_fetch(match, 1);
  url->host = g_match_info_fetch(match, 2);
  url->path = g_match_info_fetch(match, 3);
  if (url->host[0] == '[') {
    url->host[strlen(url->host) - 1] = '\0';
    memmove(url->host, url->host + 1, strlen(url->host));
  }
  return url;
}

static gboolean find_kind(const char *scheme, GitUrlKind *ret_kind, GError **error) {
  static const struct {
    const char *scheme;
    GitUrlKind kind;
  } known[] = {{"https", GIT_URL_HTTPS}, {"http", GIT_URL_HTTP}, {"ssh", GIT_URL_SSH}, {"file", GIT_URL_LOCAL}};
  for (guint i = 0; i < G_N_ELEMENTS(known); i++)
    if (g_str_equal(scheme, known[i].scheme)) {
      *ret_kind = known[i].kind;
      return TRUE;
    }
  return git_url_wrong(error, "%s:// isn't a way to a git repository: use https, ssh or file", scheme);
}

static gboolean check_parts(const GitUrl *url, GError **error) {
  if (url->kind == GIT_URL_LOCAL) {
    if (url->host != NULL && *url->host != '\0' && g_strcmp0(url->host, "localhost") != 0)
      return git_url_wrong(error, "a file:// address names no host: write file:///path");
    return (url->path != NULL && *url->path == '/') || git_url_wrong(error, "a local repository is named by an absolute path");
  }
  if (url->host == NULL || !matches(HOST, url->host))
    return git_url_wrong(error, "the address of the git repository names no host, or one that can't be");
  if (url->user != NULL && !matches(USER, url->user))
    return git_url_wrong(error, "the user in the address of the git repository can't be one");
  if (url->path == NULL || *url->path == '\0' || strpbrk(url->path, "\r\n") != NULL)
    return git_url_wrong(error, "the address of the git repository names no path");
  return TRUE;
}

static GitUrl *parse_uri(const char *text, GError **error) {
  g_autofree char *scheme = g_uri_parse_scheme(text);
  g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_HAS_PASSWORD, NULL); /* its message would show a password */
  g_autoptr(GitUrl) url = g_new0(GitUrl, 1);
  if (scheme != NULL && !find_kind(scheme, &url->kind, error))
    return NULL;
  if (uri == NULL) {
    git_url_wrong(error, "the address of the git repository can't be read: write it as scheme://host/path");
    return NULL;
  }
  if (g_uri_get_password(uri) != NULL || g_uri_get_query(uri) != NULL) {
    git_url_wrong(error, "the address of the git repository holds a password or a query: keep the token in a file of its own and name that");
    return NULL;
  }
  url->user = g_strdup(g_uri_get_user(uri));
  url->host = g_strdup(g_uri_get_host(uri));
  url->port = g_uri_get_port(uri) > 0 ? (guint)g_uri_get_port(uri) : 0;
  url->path = g_strdup(g_uri_get_path(uri));
  return check_parts(url, error) ? g_steal_pointer(&url) : NULL;
}

GitUrl *git_url_parse(const char *text, GError **error) {
  if (text == NULL || *text == '\0') {
    git_url_wrong(error, "no git repository is named");
    return NULL;
  }
  if (*text == '/') {
    GitUrl *url = g_new0(GitUrl, 1);
    url->kind = GIT_URL_LOCAL;
    url->path = g_strdup(text);
    return url;
  }
  GitUrl *url = strstr(text, "://") == NULL ? parse_scp(text) : NULL;
  return url != NULL ? url : parse_uri(text, error);
}

gboolean git_url_is_loopback(const GitUrl *url) {
  return g_strcmp0(url->host, "localhost") == 0 || g_strcmp0(url->host, "::1") == 0 ||
         (url->host != NULL && matches("^127(\\.[0-9]{1,3}){3}$", url->host));
}

char *git_url_shown(const char *text) {
  const char *host = strstr(text, "://");
  gsize length = host != NULL ? strcspn(host + 3, "/") : 0;
  const char *user_end = length > 0 ? g_strrstr_len(host + 3, (gssize)length, "@") : NULL;
  if (user_end == NULL || !g_str_has_prefix(text, "http"))
    return g_strdup(text);
  g_autofree char *scheme = g_strndup(text, (gsize)(host + 3 - text));
  return g_strconcat(scheme, user_end + 1, NULL);
}

gboolean git_is_commit_id(const char *text) { return text != NULL && matches("^[0-9a-f]{40}$", text); }
