#include "reconciler/git/mirror.h"

#include <git2.h>
#include <git2/sys/transport.h>
#include <glib/gstdio.h>
#include <string.h>

#include "state/fault.h"

#define MAX_BYTES (G_GUINT64_CONSTANT(4) << 30) /* of one download */
#define MAX_PACKS 50                            /* before they are made one */
#define MAX_COMMITS 10000                       /* that are looked at for their signatures */

/* GLib's way of cleaning up for what libgit2 hands out. */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_commit, git_commit_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_object, git_object_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_revwalk, git_revwalk_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_odb, git_odb_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(git_odb_object, git_odb_object_free)

struct Mirror {
  git_repository *repository;
  git_odb *odb;
  GHashTable *trees; /* id → git_tree *: libgit2 doesn't keep large ones, and would read them anew for each name */
};

static void free_tree(gpointer tree) { git_tree_free(tree); }

/* Git's own configuration, of whoever runs this, could lead elsewhere (url.insteadOf). */
static gpointer begin(G_GNUC_UNUSED gpointer data) {
  git_libgit2_init(); /* never ended: other threads may be within */
  for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0); /* it guards against configuration that runs programs: none does here */
  return NULL;
}

static void initialise(void) {
  static GOnce once = G_ONCE_INIT;
  g_once(&once, begin, NULL);
}

static const char *last_message(void) {
  const git_error *last = git_error_last();
  return last != NULL && last->message != NULL ? last->message : "unknown error";
}

static gboolean damaged(const char *what, GError **error) {
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_MIRROR, "the mirror of the git repository can't be used: %s: %s", what,
              last_message());
  return FALSE;
}

Mirror *mirror_open(const char *path, GError **error) {
  initialise();
  git_repository *repository = NULL;
  git_odb *odb = NULL;
  if (git_repository_open_bare(&repository, path) < 0 || git_repository_odb(&odb, repository) < 0) {
    damaged(path, error);
    git_repository_free(repository);
    return NULL;
  }
  Mirror *mirror = g_new(Mirror, 1);
  *mirror = (Mirror){repository, odb, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_tree)};
  return mirror;
}

void mirror_free(Mirror *mirror) {
  if (mirror == NULL)
    return;
  g_hash_table_unref(mirror->trees);
  git_odb_free(mirror->odb);
  git_repository_free(mirror->repository);
  g_free(mirror);
}

static git_commit *find_commit(Mirror *mirror, const char *commit, GError **error) {
  git_oid id;
  git_commit *found = NULL;
  if (git_oid_fromstr(&id, commit) < 0 || git_commit_lookup(&found, mirror->repository, &id) < 0)
    damaged(commit, error);
  return found;
}

gboolean mirror_tree(Mirror *mirror, const char *commit, MirrorEntry *ret_tree, GError **error) {
  g_autoptr(git_commit) found = find_commit(mirror, commit, error);
  if (found == NULL)
    return FALSE;
  ret_tree->kind = MIRROR_DIRECTORY;
  git_oid_tostr(ret_tree->id, MIRROR_ID_SIZE, git_commit_tree_id(found));
  return TRUE;
}

/* Borrowed. */
static git_tree *find_tree(Mirror *mirror, const char *tree, GError **error) {
  git_oid id;
  git_tree *found = g_hash_table_lookup(mirror->trees, tree);
  if (found != NULL)
    return found;
  if (git_oid_fromstr(&id, tree) < 0 || git_tree_lookup(&found, mirror->repository, &id) < 0)
    damaged(tree, error);
  else
    g_hash_table_insert(mirror->trees, g_strdup(tree), found);
  return found;
}

GPtrArray *mirror_names(Mirror *mirror, const char *tree, GError **error) {
  git_tree *found = find_tree(mirror, tree, error);
  if (found == NULL)
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  for (gsize i = 0; i < git_tree_entrycount(found); i++)
    g_ptr_array_add(names, g_strdup(git_tree_entry_name(git_tree_entry_byindex(found, i))));
  return names;
}

gboolean mirror_find(Mirror *mirror, const char *tree, const char *name, MirrorEntry *ret_entry, GError **error) {
  git_tree *found = find_tree(mirror, tree, error);
  const git_tree_entry *entry = found != NULL ? git_tree_entry_byname(found, name) : NULL;
  if (entry == NULL)
    return FALSE;
  git_filemode_t mode = git_tree_entry_filemode(entry);
  ret_entry->kind = mode == GIT_FILEMODE_TREE     ? MIRROR_DIRECTORY
                    : mode == GIT_FILEMODE_COMMIT ? MIRROR_SUBMODULE
                    : mode == GIT_FILEMODE_LINK   ? MIRROR_LINK
                                                  : MIRROR_FILE;
  git_oid_tostr(ret_entry->id, MIRROR_ID_SIZE, git_tree_entry_id(entry));
  return TRUE;
}

char *mirror_text(Mirror *mirror, const char *file, gsize limit, gsize *ret_length, GError **error) {
  git_oid id;
  gsize size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  g_autoptr(git_odb_object) object = NULL;
  if (git_oid_fromstr(&id, file) < 0 || git_odb_read_header(&size, &type, mirror->odb, &id) < 0) {
    damaged(file, error);
    return NULL;
  }
  if (size > limit)
    return NULL;
  if (type != GIT_OBJECT_BLOB || git_odb_read(&object, mirror->odb, &id) < 0) {
    damaged(file, error);
    return NULL;
  }
  *ret_length = git_odb_object_size(object);
  char *text = g_malloc(*ret_length + 1);
  memcpy(text, git_odb_object_data(object), *ret_length);
  text[*ret_length] = '\0';
  return text;
}

gboolean mirror_descends(Mirror *mirror, const char *commit, const char *ancestor, gboolean *ret_descends, GError **error) {
  git_oid id, other;
  int result = git_oid_fromstr(&id, commit);
  if (result == 0)
    result = git_oid_fromstr(&other, ancestor);
  if (result == 0 && git_odb_exists(mirror->odb, &other)) /* what left the server's history may never have been here */
    result = git_oid_equal(&id, &other) ? 1 : git_graph_descendant_of(mirror->repository, &id, &other);
  *ret_descends = result == 1;
  return result >= 0 || damaged(commit, error);
}

GPtrArray *mirror_commits_since(Mirror *mirror, const char *commit, const char *since, GError **error) {
  g_autoptr(git_revwalk) walk = NULL;
  g_autoptr(GPtrArray) commits = g_ptr_array_new_with_free_func(g_free);
  git_oid id;
  int result = git_oid_fromstr(&id, commit);
  if (result == 0)
    result = git_revwalk_new(&walk, mirror->repository);
  if (result == 0)
    result = git_revwalk_push(walk, &id);
  if (result == 0 && git_oid_fromstr(&id, since) == 0)
    result = git_revwalk_hide(walk, &id);
  while (result == 0 && (result = git_revwalk_next(&id, walk)) == 0 && commits->len <= MAX_COMMITS)
    g_ptr_array_add(commits, g_strdup(git_oid_tostr((char[MIRROR_ID_SIZE]){0}, MIRROR_ID_SIZE, &id)));
  if (commits->len > MAX_COMMITS)
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_UNSIGNED, "there are more than %d commits between %.12s and %.12s", MAX_COMMITS,
                since, commit);
  else if (result == GIT_ITEROVER)
    return g_steal_pointer(&commits);
  else
    damaged(commit, error);
  return NULL;
}

gboolean mirror_commit_signature(Mirror *mirror, const char *commit, char **ret_signature, GBytes **ret_payload, GError **error) {
  git_oid id;
  git_buf signature = GIT_BUF_INIT, payload = GIT_BUF_INIT;
  int result = git_oid_fromstr(&id, commit);
  if (result == 0)
    result = git_commit_extract_signature(&signature, &payload, mirror->repository, &id, NULL);
  *ret_signature = result == 0 ? g_strndup(signature.ptr, signature.size) : NULL;
  *ret_payload = result == 0 ? g_bytes_new(payload.ptr, payload.size) : NULL;
  git_buf_dispose(&signature);
  git_buf_dispose(&payload);
  return result == 0 || result == GIT_ENOTFOUND || damaged(commit, error);
}

char *mirror_tag(Mirror *mirror, const char *name, const char *commit, gsize *ret_length, GError **error) {
  git_oid id, wanted;
  g_autoptr(git_object) object = NULL, peeled = NULL;
  g_autoptr(git_odb_object) raw = NULL;
  int result = git_reference_name_to_id(&id, mirror->repository, name);
  if (result == 0)
    result = git_object_lookup(&object, mirror->repository, &id, GIT_OBJECT_ANY);
  if (result == GIT_ENOTFOUND || result == GIT_EINVALIDSPEC || (result == 0 && git_object_type(object) != GIT_OBJECT_TAG))
    return NULL;
  if (result < 0 || git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) < 0 || git_oid_fromstr(&wanted, commit) < 0 ||
      git_odb_read(&raw, mirror->odb, &id) < 0) {
    damaged(name, error);
    return NULL;
  }
  if (!git_oid_equal(git_object_id(peeled), &wanted)) /* it was moved meanwhile */
    return NULL;
  *ret_length = git_odb_object_size(raw);
  char *text = g_malloc(*ret_length + 1);
  memcpy(text, git_odb_object_data(raw), *ret_length);
  text[*ret_length] = '\0';
  return text;
}

static int add_object(const git_oid *id, void *builder) { return git_packbuilder_insert(builder, id, NULL); }

static int tell_progress(G_GNUC_UNUSED int stage, G_GNUC_UNUSED uint32_t current, G_GNUC_UNUSED uint32_t total, void *fetch) {
  ((const MirrorFetch *)fetch)->alive();
  return 0;
}

/* One pack with all objects, also those that no ref leads to any more: one may be applied still. */
static gboolean pack_all(git_repository *repository, const MirrorFetch *fetch) {
  git_packbuilder *builder = NULL;
  g_autoptr(git_odb) odb = NULL;
  gboolean packed = git_repository_odb(&odb, repository) == 0 && git_packbuilder_new(&builder, repository) == 0 &&
                    git_packbuilder_set_callbacks(builder, tell_progress, (gpointer)fetch) == 0 &&
                    git_odb_foreach(odb, add_object, builder) == 0 && git_packbuilder_write(builder, NULL, 0444, NULL, NULL) == 0;
  git_packbuilder_free(builder);
  return packed;
}

/* Each update brings a pack, and each has to be looked into for each object. Trouble here is none:
 * the next update tries again. */
static void unite_packs(git_repository *repository, const MirrorFetch *fetch) {
  g_autofree char *path = g_build_filename(fetch->path, "objects", "pack", NULL);
  g_autoptr(GPtrArray) packs = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
  for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;)
    if (g_str_has_suffix(name, ".idx"))
      g_ptr_array_add(packs, g_strndup(name, strlen(name) - strlen(".idx")));
  if (packs->len <= MAX_PACKS || !pack_all(repository, fetch))
    return;
  FAULT("git: packs united");
  static const char *const suffixes[] = {".idx", ".pack"}; /* without its index, a pack isn't there */
  for (guint i = 0; i < packs->len * G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *name = g_strconcat(packs->pdata[i / 2], suffixes[i % 2], NULL), *file = g_build_filename(path, name, NULL);
    g_unlink(file);
  }
}

/* What the callbacks need while one fetch runs. */
typedef struct {
  const MirrorFetch *fetch;
  git_remote *remote;
  guint asked; /* how often the server asked who we are */
  char *reason; /* why it ends, in better words than libgit2's */
  GError *ssh_error;
} Fetching;

static void because(Fetching *fetching, char *reason /* taken */) {
  g_free(fetching->reason);
  fetching->reason = reason;
}

/* What to do about what libgit2 says. */
static const char *advice_for(const char *message) {
  static const char *const known[][2] = {
      {"status code: 404", ": there is no such repository, or it isn't shown to us"},
      {"status code: 403", ": we may not read it"},
      {"redirect", ": give the address that it leads to, as a token isn't sent on"},
      {"failed to resolve", ": look at the name, and at what this host asks for names"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(known); i++)
    if (strstr(message, known[i][0]) != NULL)
      return known[i][1];
  return "";
}

/* The same words for all that the other side is to blame for. */
static gboolean unreachable(Fetching *fetching, GError **error) {
  g_autofree char *url = git_url_shown(fetching->fetch->url_text);
  const char *message = fetching->reason != NULL ? fetching->reason : last_message();
  if (fetching->ssh_error != NULL)
    g_propagate_error(error, g_steal_pointer(&fetching->ssh_error));
  else
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_UNREACHABLE, "%s can't be fetched: %s%s", url, message,
                fetching->reason != NULL ? "" : advice_for(message));
  return FALSE;
}

typedef struct {
  git_smart_subtransport transport;
  git_smart_subtransport_stream stream;
  Fetching *fetching;
  Ssh *ssh; /* NULL: it doesn't run */
} SshTransport;

static void end_ssh(SshTransport *self) {
  char *why = self->ssh != NULL ? ssh_end(g_steal_pointer(&self->ssh)) : NULL;
  if (why != NULL)
    because(self->fetching, why);
}

static int stream_read(git_smart_subtransport_stream *stream, char *buffer, size_t size, size_t *ret_size) {
  SshTransport *self = (SshTransport *)((char *)stream - G_STRUCT_OFFSET(SshTransport, stream));
  gssize n = self->ssh != NULL ? ssh_read(self->ssh, buffer, size) : -1;
  if (n <= 0)
    end_ssh(self);
  *ret_size = n > 0 ? (gsize)n : 0;
  self->fetching->fetch->alive();
  return n < 0 ? -1 : 0;
}

static int stream_write(git_smart_subtransport_stream *stream, const char *data, size_t length) {
  SshTransport *self = (SshTransport *)((char *)stream - G_STRUCT_OFFSET(SshTransport, stream));
  return self->ssh != NULL && ssh_write(self->ssh, data, length) ? 0 : -1;
}

static void stream_free(git_smart_subtransport_stream *stream) {
  SshTransport *self = (SshTransport *)((char *)stream - G_STRUCT_OFFSET(SshTransport, stream));
  end_ssh(self);
}

static int ssh_action(git_smart_subtransport_stream **ret_stream, git_smart_subtransport *transport, G_GNUC_UNUSED const char *url,
                      git_smart_service_t action) {
  SshTransport *self = (SshTransport *)transport;
  const MirrorFetch *fetch = self->fetching->fetch;
  if (action == GIT_SERVICE_UPLOADPACK_LS && self->ssh == NULL)
    self->ssh = ssh_start(fetch->url, fetch->ssh, &self->fetching->ssh_error);
  *ret_stream = &self->stream;
  return self->ssh != NULL ? 0 : -1;
}

static int ssh_close(G_GNUC_UNUSED git_smart_subtransport *transport) { return 0; }
static void ssh_free(git_smart_subtransport *transport) { g_free(transport); }

static int ssh_new(git_smart_subtransport **ret_transport, G_GNUC_UNUSED git_transport *owner, void *fetching) {
  SshTransport *self = g_new0(SshTransport, 1);
  self->transport = (git_smart_subtransport){.action = ssh_action, .close = ssh_close, .free = ssh_free};
  self->stream = (git_smart_subtransport_stream){&self->transport, stream_read, stream_write, stream_free};
  self->fetching = fetching;
  *ret_transport = &self->transport;
  return 0;
}

static int give_credential(git_credential **ret_credential, G_GNUC_UNUSED const char *url, G_GNUC_UNUSED const char *user,
                           unsigned int allowed, void *payload) {
  Fetching *fetching = payload;
  const MirrorFetch *fetch = fetching->fetch;
  if (fetch->token == NULL)
    because(fetching, g_strdup("it wants to know who we are (or there is no such repository): give a user and a token file"));
  else if (fetching->asked++ > 0)
    because(fetching, g_strdup("it refuses the token: make a new one that may read this repository"));
  else if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) != 0)
    return git_credential_userpass_plaintext_new(ret_credential, fetch->user != NULL ? fetch->user : "git", fetch->token);
  else
    because(fetching, g_strdup("it doesn't accept a token"));
  return GIT_EUSER;
}

static int judge_certificate(G_GNUC_UNUSED git_cert *certificate, int valid, const char *host, void *payload) {
  const Fetching *fetching = payload;
  if (valid)
    return 0;
  because((Fetching *)fetching, g_strdup_printf("the certificate of %s isn't trusted, or isn't for this name: %s", host,
                                                fetching->fetch->ca_file != NULL ? "look at the CA file"
                                                                                 : "give the CA file of who made it"));
  return GIT_ECERTIFICATE;
}

static int count_bytes(const git_indexer_progress *progress, void *payload) {
  Fetching *fetching = payload;
  fetching->fetch->alive();
  if (progress->received_bytes <= MAX_BYTES)
    return 0;
  because(fetching, g_strdup_printf("it is larger than %" G_GUINT64_FORMAT " GiB", MAX_BYTES >> 30));
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
    because(fetching, g_strdup_printf("the CA file %s can't be read: %s", fetch->ca_file, last_message()));
    return unreachable(fetching, error);
  }
  if (fetch->url->kind == GIT_URL_LOCAL && !g_file_test(fetch->url->path, G_FILE_TEST_IS_DIR)) {
    because(fetching, g_strdup("there is no such directory"));
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
  return damaged("update", error);
}

static char *peel(git_repository *repository, const git_oid *id, const MirrorFetch *fetch, GError **error) {
  g_autoptr(git_object) object = NULL, commit = NULL;
  if (git_object_lookup(&object, repository, id, GIT_OBJECT_ANY) < 0) {
    if (git_is_commit_id(fetch->ref))
      absent(fetch, error, "no branch or tag leads to commit %s", fetch->ref);
    else
      damaged(fetch->ref != NULL ? fetch->ref : "HEAD", error);
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
  const char *url = fetch->url->kind == GIT_URL_SSH ? "ssh://mirror/" : fetch->url_text; /* ssh_new has the real one */
  git_smart_subtransport_definition definition = {ssh_new, 0, fetching};
  git_fetch_options options = fetch_options(fetching);
  git_remote_create_options creation = GIT_REMOTE_CREATE_OPTIONS_INIT;
  creation.repository = repository;
  creation.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
  git_oid id;
  git_transport_register("ssh", git_transport_smart, &definition);
  char *commit = NULL;
  if (git_remote_create_with_opts(&fetching->remote, url, &creation) < 0)
    damaged("remote", error);
  else if (connect_remote(fetching, &options, error) && resolve(fetching, &id, error) && download(fetching, &options, error))
    commit = peel(repository, &id, fetch, error);
  git_remote_free(fetching->remote);
  git_transport_unregister("ssh");
  return commit;
}

char *mirror_fetch(const MirrorFetch *fetch, GError **error) {
  initialise();
  git_repository *repository = NULL;
  gboolean there = g_file_test(fetch->path, G_FILE_TEST_EXISTS);
  if ((there ? git_repository_open_bare(&repository, fetch->path) : git_repository_init(&repository, fetch->path, TRUE)) < 0) {
    damaged(fetch->path, error);
    return NULL;
  }
  Fetching fetching = {.fetch = fetch};
  char *commit = fetch_into(repository, &fetching, error);
  if (commit != NULL)
    unite_packs(repository, fetch);
  git_repository_free(repository);
  g_free(fetching.reason);
  g_clear_error(&fetching.ssh_error);
  return commit;
}
