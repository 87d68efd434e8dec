#include "reconciler/source_git.h"

G_DEFINE_QUARK(reconcile-git-source-error, git_source_error)

static gboolean fail(GError **error) {
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_INVALID, "git sources are not supported yet");
  return FALSE;
}

gboolean git_source_parse(G_GNUC_UNUSED const char *text, G_GNUC_UNUSED GitSource *ret_source, GError **error) { return fail(error); }

gboolean git_source_check(G_GNUC_UNUSED const GitSource *source, GError **error) { return fail(error); }

char *git_source_identity(const GitSource *source) { return g_strdup(source->url); }

char *git_source_update(G_GNUC_UNUSED const GitSource *source, G_GNUC_UNUSED GCancellable *cancel, GError **error) {
  fail(error);
  return NULL;
}

Desired *git_source_read(G_GNUC_UNUSED const GitSource *source, G_GNUC_UNUSED const char *revision, G_GNUC_UNUSED Diagnostics *diagnostics,
                         GError **error) {
  fail(error);
  return NULL;
}

gboolean git_source_verify(G_GNUC_UNUSED const GitSource *source, G_GNUC_UNUSED const char *revision, GError **error) {
  return fail(error);
}
