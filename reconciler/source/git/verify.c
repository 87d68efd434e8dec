/* Which signatures a revision needs. The commit's own counts, or the one of the annotated tag that
 * the source names. With SIGNATURES_ALL, each commit that the last applied one didn't have is
 * looked at, and history only goes on: back to an old commit that was signed in its time, or to
 * another history, leads only a source that names the commit itself. */
#include <string.h>

#include "reconciler/source/git/mirror.h"
#include "reconciler/source/git/signature.h"
#include "reconciler/source/git/update.h"
#include "reconciler/source/git/url.h"

typedef struct {
  const GitSource *source;
  const char *revision;
  Mirror *mirror;
} Check;

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_propagate_error(error, g_error_new_valist(GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_UNSIGNED, format, arguments));
  va_end(arguments);
  return FALSE;
}

static gboolean check_commit(const Check *check, const char *commit, GError **error) {
  g_autofree char *signature = NULL, *why = NULL;
  g_autoptr(GBytes) payload = NULL;
  if (!mirror_commit_signature(check->mirror, commit, &signature, &payload, error))
    return FALSE;
  if (signature == NULL)
    return refuse(error, "commit %s isn't signed, and only signed ones are applied", commit);
  return signature_is_good(check->source, signature, payload, &why) || refuse(error, "commit %s is refused: %s", commit, why);
}

/* Where its signature begins; NULL: it has none. */
static const char *tag_signature(const char *text) {
  const char *found = NULL;
  for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (signature_begins(line))
      found = line;
  }
  return found;
}

/* A signed tag under another name would lead to what that other name stood for. */
static gboolean is_named(const char *text, const char *name) {
  g_autofree char *line = g_strdup_printf("\ntag %s\n", name);
  const char *found = strstr(text, line), *message = strstr(text, "\n\n");
  return found != NULL && (message == NULL || found < message);
}

/* *ret_signed: there is a signed tag, and what is returned is about that. */
static gboolean check_tag(const Check *check, gboolean *ret_signed, GError **error) {
  const char *ref = git_source_ref(check->source);
  gboolean whole = ref != NULL && g_str_has_prefix(ref, "refs/");
  *ret_signed = FALSE;
  if (ref == NULL || git_is_commit_id(ref) || (whole && !g_str_has_prefix(ref, "refs/tags/")))
    return TRUE;
  const char *name = whole ? ref + strlen("refs/tags/") : ref;
  g_autofree char *path = g_strconcat("refs/tags/", name, NULL), *why = NULL;
  g_autoptr(GError) wrong = NULL;
  gsize length = 0;
  g_autofree char *text = mirror_tag(check->mirror, path, check->revision, &length, &wrong);
  if (wrong != NULL) {
    g_propagate_error(error, g_steal_pointer(&wrong));
    return FALSE;
  }
  const char *signature = text != NULL && strlen(text) == length ? tag_signature(text) : NULL;
  if (signature == NULL)
    return TRUE;
  *ret_signed = TRUE;
  g_autoptr(GBytes) payload = g_bytes_new(text, (gsize)(signature - text));
  if (!is_named(text, name))
    return refuse(error, "tag %s is refused: its signature is of a tag with another name", name);
  return signature_is_good(check->source, signature, payload, &why) || refuse(error, "tag %s is refused: %s", name, why);
}

static gboolean check_tip(const Check *check, GError **error) {
  gboolean is_signed = FALSE;
  return check_tag(check, &is_signed, error) && (is_signed || check_commit(check, check->revision, error));
}

static gboolean check_all(const Check *check, GError **error) {
  const char *since = check->source->last_applied;
  gboolean descends = FALSE, is_signed = FALSE;
  if (!mirror_descends(check->mirror, check->revision, since, &descends, error) || !check_tag(check, &is_signed, error))
    return FALSE;
  if (!descends && git_is_commit_id(check->source->ref)) /* it is named by who configures the host */
    return check_commit(check, check->revision, error);
  if (!descends)
    return refuse(error, "commit %s is refused: it doesn't follow from %.12s, which was applied last: the history was rewritten, or goes back; "
                         "if that is meant, name the commit itself as the ref", check->revision, since);
  g_autoptr(GPtrArray) commits = mirror_commits_since(check->mirror, check->revision, since, error);
  for (guint i = 0; commits != NULL && i < commits->len; i++)
    if (!check_commit(check, commits->pdata[i], error))
      return FALSE;
  /* What was applied before signatures were asked for isn't good by that. */
  return commits != NULL && (commits->len > 0 || check_commit(check, check->revision, error));
}

gboolean git_source_verify(const GitSource *source, const char *revision, GError **error) {
  if (source->signatures == SIGNATURES_NONE)
    return TRUE;
  g_autofree char *path = update_mirror_path(source);
  g_autoptr(Mirror) mirror = git_source_check(source, error) ? mirror_open(path, error) : NULL;
  if (mirror == NULL)
    return FALSE;
  Check check = {source, revision, mirror};
  return source->signatures == SIGNATURES_ALL && source->last_applied != NULL ? check_all(&check, error) : check_tip(&check, error);
}
