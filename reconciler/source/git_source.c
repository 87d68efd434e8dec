#include "reconciler/source/git_source.h"

#include <string.h>

#include "reconciler/source/git/tree.h"
#include "reconciler/source/git/update.h"
#include "reconciler/source/git/url.h"

G_DEFINE_QUARK(reconcile-git-source-error, git_source_error)

/* As git-check-ref-format(1), and no more than needed of it: the rest is never found. */
static gboolean check_ref(const char *ref, GError **error) {
  if (ref == NULL || (*ref != '\0' && *ref != '-' && strlen(ref) < 1024 && strstr(ref, "..") == NULL && strstr(ref, "@{") == NULL &&
                      strpbrk(ref, " ~^:?*[\\\x7f") == NULL && g_regex_match_simple("^[^\\x01-\\x1f]+$", ref, G_REGEX_DOLLAR_ENDONLY, 0)))
    return TRUE;
  g_autofree char *shown = quoted(ref);
  return git_url_wrong(error, "%s can't be a branch, tag or commit", shown);
}

static gboolean check_path(const char *path, GError **error) {
  g_auto(GStrv) names = g_strsplit(path != NULL ? path : "", "/", -1);
  for (guint i = 0; path != NULL && (names[i] != NULL || i == 0); i++)
    if (names[i] == NULL || *names[i] == '\0' || g_str_equal(names[i], ".") || g_str_equal(names[i], "..")) {
      g_autofree char *shown = quoted(path);
      return git_url_wrong(error, "%s isn't a path inside a repository: name a directory or file from its root, without / in front, . and ..", shown);
    }
  return TRUE;
}

/* Nobody between can read or change what goes over loopback. */
static gboolean check_transport(const GitSource *source, const GitUrl *url, GError **error) {
  g_autofree char *shown = git_url_shown(source->url);
  if (url->kind != GIT_URL_HTTP || git_url_is_loopback(url))
    return TRUE;
  if (source->token_file != NULL)
    return git_url_wrong(error, "%s: a token isn't sent unencrypted: use https", shown);
  if (source->signatures == SIGNATURES_NONE)
    return git_url_wrong(error, "%s: over http, anybody between can change what is applied: use https, or ask for signatures", shown);
  return TRUE;
}

static gboolean check_signatures(const GitSource *source, GError **error) {
  return source->signatures == SIGNATURES_NONE || source->allowed_signers != NULL || source->keyring != NULL ||
         git_url_wrong(error, "signatures are asked for, but nobody's are known: give an allowed signers file or a keyring");
}

gboolean git_source_check(const GitSource *source, GError **error) {
  g_autoptr(GitUrl) url = git_url_parse(source->url, error);
  if (url == NULL || !check_ref(source->ref, error) || !check_path(source->path, error) || !check_transport(source, url, error) ||
      !check_signatures(source, error))
    return FALSE;
  if (!g_utf8_validate(source->url, -1, NULL) || (source->mirror_dir != NULL && !g_utf8_validate(source->mirror_dir, -1, NULL)))
    return git_url_wrong(error, "the address and the state directory have to be UTF-8");
  return source->last_applied == NULL || git_is_commit_id(source->last_applied) ||
         git_url_wrong(error, "what was applied last isn't a commit of a git repository");
}

/* The same repository has the same name from every directory. */
static char *absolute_url(const char *url) {
  gboolean local = *url == '/' || *url == '.' || (*url != '\0' && strchr(url, ':') == NULL);
  return local ? g_canonicalize_filename(url, NULL) : g_strdup(url);
}

static char *trimmed_path(const char *path) {
  gsize length = strlen(path);
  while (length > 1 && path[length - 1] == '/')
    length--;
  return g_strndup(path, length);
}

static const char *keep(GPtrArray *texts, char *text /* taken */) {
  g_ptr_array_add(texts, text);
  return text;
}

gboolean git_source_parse(const char *text, GitSource *ret_source, GPtrArray *texts, GError **error) {
  const char *hash = strchr(text, '#'), *ref = hash != NULL ? hash + 1 : NULL;
  const char *colon = ref != NULL ? strchr(ref, ':') : NULL;
  GitSource source = *ret_source;
  if (ref != NULL && (*ref == '\0' || ref == colon)) /* a variable of a script that wasn't set, say */
    return git_url_wrong(error, "nothing is named after #: write #BRANCH, #TAG or #COMMIT, or #HEAD for what the server has as its own");
  g_autofree char *url = g_strndup(text, hash != NULL ? (gsize)(hash - text) : strlen(text));
  source.url = keep(texts, absolute_url(url));
  source.ref = ref != NULL ? keep(texts, g_strndup(ref, colon != NULL ? (gsize)(colon - ref) : strlen(ref))) : NULL;
  source.path = colon != NULL ? keep(texts, trimmed_path(colon + 1)) : NULL;
  if (!git_source_check(&source, error))
    return FALSE;
  *ret_source = source;
  return TRUE;
}

const char *git_source_ref(const GitSource *source) { return g_strcmp0(source->ref, "HEAD") == 0 ? NULL : source->ref; }

char *git_source_identity(const GitSource *source) {
  g_autofree char *url = git_url_shown(source->url);
  const char *ref = git_source_ref(source), *path = source->path;
  gboolean more = ref != NULL || path != NULL;
  return g_strconcat(url, more ? "#" : "", more ? (ref != NULL ? ref : "HEAD") : "", path != NULL ? ":" : "", path != NULL ? path : "", NULL);
}

Desired *git_source_read(const GitSource *source, const char *revision, Diagnostics *diagnostics, GError **error) {
  g_autofree char *repository = update_mirror_path(source);
  if (git_is_commit_id(revision))
    return git_source_check(source, error) ? git_tree_read(source, repository, revision, diagnostics, error) : NULL;
  git_url_wrong(error, "%s isn't a commit id", revision);
  return NULL;
}
