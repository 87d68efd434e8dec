#include <string.h>

#include "reconciler/source/git/mirror_git.h"

#define MAX_BYTES (G_GUINT64_CONSTANT(4) << 30) /* of one download */

void mirror_because(Fetching *fetching, char *reason /* taken */) {
  g_free(fetching->reason);
  fetching->reason = reason;
}

/* What to do about what libgit2 says. */
static const char *advice_for(const char *message) {
  static const char *const known[][2] = {
      {"status code: 404", ": there is no such repository, or it isn't shown to us"},
      {"status code: 403", ": we may not read it"},
      {"redirect", ": give the address that it leads to, as a token isn't sent on"},
      {"failed to resolve address", ": look at the name, and at what this host asks for names"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(known); i++)
    if (strstr(message, known[i][0]) != NULL)
      return known[i][1];
  return "";
}

/* The same words for all that the other side is to blame for. */
static gboolean unreachable(Fetching *fetching, GError **error) {
  g_autofree char *url = git_url_shown(fetching->fetch->url_text);
  const char *message = fetching->reason != NULL ? fetching->reason : mirror_last_message();
  if (fetching->ssh_error != NULL)
    g_propagate_error(error, g_steal_pointer(&fetching->ssh_error));
  else
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_UNREACHABLE, "%s can't be fetched: %s%s", url, message,
                fetching->reason != NULL ? "" : advice_for(message));
  return FALSE;
}

static int give_credential(git_credential **ret_credential, G_GNUC_UNUSED const char *url, G_GNUC_UNUSED const char *user,
                           unsigned int allowed, void *payload) {
  Fetching *fetching = payload;
  const MirrorFetch *fetch = fetching->fetch;
  if (fetch->token == NULL)
    mirror_because(fetching, g_strdup("it wants to know who we are (or there is no such repository): give a user and a token file"));
  else if (fetching->asked++ > 0)
    mirror_because(fetching, g_strdup("it refuses the token: make a new one that may read this repository"));
  else if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) != 0)
    return git_credential_userpass_plaintext_new(ret_credential, fetch->user != NULL ? fetch->user : "git", fetch->token);
  else
    mirror_because(fetching, g_strdup("it doesn't accept a token"));
  return GIT_EUSER;
}

static int judge_certificate(G_GNUC_UNUSED git_cert *certificate, int valid, const char *host, void *payload) {
  const Fetching *fetching = payload;
  if (valid)
    return 0;
  mirror_because((Fetching *)fetching, g_strdup_printf("the certificate of %s isn't trusted, or isn't for this name: %s", host,
                                                fetching->fetch->ca_file != NULL ? "look at the CA file"
                                                                                 : "give the CA file of who made it"));
  return GIT_ECERTIFICATE;
}

static int count_bytes(const git_indexer_progress *progress, void *payload) {
  Fetching *fetching = payload;
  fetching->fetch->alive();
  if (progress->received_bytes <= MAX_BYTES)
    return 0;
  mirror_because(fetching, g_strdup_printf("it is larger than %" G_GUINT64_FORMAT " GiB", MAX_BYTES >> 30));
  return GIT_EUSER;
}

static int hear_words(G_GNUC_UNUSED const char *words, G_GNUC_UNUSED int length, void *payload) {
  ((Fetching *)payload)->fetch->alive();
  return 0;
}

static git_fetch_options fetch_options(Fetching *fetching) {
  git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
  options.callbacks.credentials = give_credential;
  options.callbacks.certificate_check = judge_certificate;
  options.callbacks.transfer_progress = count_bytes;
  options.callbacks.sideband_progress = hear_words;
  options.callbacks.payload = fetching;
  options.proxy_opts.type = GIT_PROXY_AUTO;
  options.update_fetchhead = 0;
  options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE; /* the refspecs name them */
  /* A token must not follow to where a server sends us. */
  options.follow_redirects = fetching->fetch->token != NULL ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
  return options;
}

static gboolean connect_remote(Fetching *fetching, const git_fetch_options *options, GError **error) {
  const MirrorFetch *fetch = fetching->fetch;
  git_remote_connect_options connection = GIT_REMOTE_CONNECT_OPTIONS_INIT;
  connection.callbacks = options->callbacks;
  connection.proxy_opts = options->proxy_opts;
  connection.follow_redirects = options->follow_redirects;
  if (fetch->ca_file != NULL && git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, fetch->ca_file, NULL) < 0) {
    mirror_because(fetching, g_strdup_printf("the CA file %s can't be read: %s", fetch->ca_file, mirror_last_message()));
    return unreachable(fetching, error);
  }
  if (fetch->url->kind == GIT_URL_LOCAL && !g_file_test(fetch->url->path, G_FILE_TEST_IS_DIR)) {
    mirror_because(fetching, g_strdup("there is no such directory"));
    return unreachable(fetching, error);
  }
  return git_remote_connect_ext(fetching->remote, GIT_DIRECTION_FETCH, &connection) == 0 || unreachable(fetching, error);
}

static gboolean absent(const MirrorFetch *fetch, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean absent(const MirrorFetch *fetch, GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments), *url = git_url_shown(fetch->url_text);
  va_end(arguments);
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_ABSENT, "%s: %s", url, message);
  return FALSE;
}

static const git_remote_head *find_head(const git_remote_head **heads, gsize n_heads, const char *before, const char *name) {
  g_autofree char *whole = g_strconcat(before, name, NULL);
  for (gsize i = 0; i < n_heads; i++)
    if (g_str_equal(heads[i]->name, whole))
      return heads[i];
  return NULL;
}

/* By what the server says it has now, not by what the mirror had. */
static gboolean resolve(Fetching *fetching, git_oid *ret_id, GError **error) {
  const MirrorFetch *fetch = fetching->fetch;
  const git_remote_head **heads = NULL;
  gsize n_heads = 0;
  if (git_remote_ls(&heads, &n_heads, fetching->remote) < 0)
    return unreachable(fetching, error);
  if (git_is_commit_id(fetch->ref))
    return git_oid_fromstr(ret_id, fetch->ref) == 0;
  const char *ref = fetch->ref != NULL ? fetch->ref : "HEAD";
  gboolean whole = fetch->ref == NULL || g_str_has_prefix(ref, "refs/");
  const git_remote_head *branch = find_head(heads, n_heads, whole ? "" : "refs/heads/", ref);
  const git_remote_head *tag = whole ? NULL : find_head(heads, n_heads, "refs/tags/", ref);
  if (n_heads == 0)
    return absent(fetch, error, "the repository has no commits");
  if (branch != NULL && tag != NULL)
    return absent(fetch, error, "%s is a branch and a tag: write refs/heads/%s or refs/tags/%s", ref, ref, ref);
  if (branch == NULL && tag == NULL)
    return absent(fetch, error, fetch->ref == NULL ? "%s leads nowhere: name a branch" : "there is no branch or tag %s (any more)%s", ref,
                  g_regex_match_simple("^[0-9a-f]{7,39}$", ref, 0, 0) ? "; a commit is named by all 40 digits of its id" : "");
  git_oid_cpy(ret_id, branch != NULL ? &branch->oid : &tag->oid);
  return TRUE;
}

static gboolean download(Fetching *fetching, const git_fetch_options *options, GError **error) {
  const char *ref = fetching->fetch->ref;
  g_autofree char *other = ref == NULL ? g_strdup("+HEAD:refs/reconcile/HEAD")
                           : g_str_has_prefix(ref, "refs/") ? g_strdup_printf("+%s:%s", ref, ref) : NULL;
  char *specs[] = {"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", other};
  git_strarray refspecs = {specs, other != NULL ? 3 : 2};
  git_error_clear();
  /* Gone ones first: a branch "a" would be in the way of a branch "a/b". */
  int result = git_remote_download(fetching->remote, &refspecs, options);
  fetching->fetch->alive();
  if (result == 0 && git_remote_prune(fetching->remote, NULL) == 0 &&
      git_remote_update_tips(fetching->remote, &options->callbacks, 0, options->download_tags, NULL) == 0) {
    fetching->fetch->alive();
    return TRUE;
  }
  const git_error *last = git_error_last();
  int class = last != NULL ? last->klass : GIT_ERROR_NONE;
  if (fetching->reason != NULL || class == GIT_ERROR_NET || class == GIT_ERROR_SSL || class == GIT_ERROR_HTTP || class == GIT_ERROR_SSH)
    return unreachable(fetching, error);
  return mirror_damaged("update", error);
}

static char *peel(git_repository *repository, const git_oid *id, const MirrorFetch *fetch, GError **error) {
  g_autoptr(git_object) object = NULL, commit = NULL;
  if (git_object_lookup(&object, repository, id, GIT_OBJECT_ANY) < 0) {
    if (git_is_commit_id(fetch->ref))
      absent(fetch, error, "no branch or tag leads to commit %s", fetch->ref);
    else
      mirror_damaged(fetch->ref != NULL ? fetch->ref : "HEAD", error);
    return NULL;
  }
  if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0) {
    absent(fetch, error, "%s is no commit, and leads to none", fetch->ref != NULL ? fetch->ref : "HEAD");
    return NULL;
  }
  return g_strdup(git_oid_tostr((char[MIRROR_ID_SIZE]){0}, MIRROR_ID_SIZE, git_object_id(commit)));
}

static char *fetch_into(git_repository *repository, Fetching *fetching, GError **error) {
  const MirrorFetch *fetch = fetching->fetch;
  const char *url = fetch->url->kind == GIT_URL_SSH ? "ssh://mirror/" : fetch->url_text; /* mirror_ssh_new has the real one */
  git_smart_subtransport_definition definition = {mirror_ssh_new, 0, fetching};
  git_fetch_options options = fetch_options(fetching);
  git_remote_create_options creation = GIT_REMOTE_CREATE_OPTIONS_INIT;
  creation.repository = repository;
  creation.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
  git_oid id;
  git_transport_register("ssh", git_transport_smart, &definition);
  char *commit = NULL;
  if (git_remote_create_with_opts(&fetching->remote, url, &creation) < 0)
    mirror_damaged("remote", error);
  else if (connect_remote(fetching, &options, error) && resolve(fetching, &id, error) && download(fetching, &options, error))
    commit = peel(repository, &id, fetch, error);
  git_remote_free(fetching->remote);
  git_transport_unregister("ssh");
  return commit;
}

char *mirror_fetch(const MirrorFetch *fetch, GError **error) {
  mirror_initialise();
  git_repository *repository = NULL;
  gboolean there = g_file_test(fetch->path, G_FILE_TEST_EXISTS);
  if ((there ? git_repository_open_bare(&repository, fetch->path) : git_repository_init(&repository, fetch->path, TRUE)) < 0) {
    mirror_damaged(fetch->path, error);
    return NULL;
  }
  Fetching fetching = {.fetch = fetch};
  char *commit = fetch_into(repository, &fetching, error);
  if (commit != NULL)
    mirror_unite_packs(repository, fetch);
  git_repository_free(repository);
  g_free(fetching.reason);
  g_clear_error(&fetching.ssh_error);
  return commit;
}
