#include "reconciler/service/source_reading.h"

#include <string.h>

#include "reconciler/rules/policy.h"
#include "reconciler/run/pipeline.h"
#include "reconciler/service/tree.h"
#include "reconciler/service/whole_file.h"
#include "reconciler/source/git_source.h"
#include "reconciler/source/source.h"

G_STATIC_ASSERT((int)SignatureRequirement_none == (int)SIGNATURES_NONE && (int)SignatureRequirement_tip == (int)SIGNATURES_TIP &&
                (int)SignatureRequirement_all == (int)SIGNATURES_ALL);

SourceReading *reading_ref(const SourceReading *reading) {
  if (reading)
    g_atomic_int_inc(&((SourceReading *)reading)->refs);
  return (SourceReading *)reading;
}

void reading_free(SourceReading *reading) {
  if (!reading || !g_atomic_int_dec_and_test(&reading->refs))
    return;
  desired_free(reading->desired);
  diagnostics_free(reading->diagnostics);
  g_clear_error(&reading->error);
  g_free(reading->identity);
  g_free(reading->revision);
  g_free(reading->stamp);
  g_free(reading);
}

void reading_request_free(ReadingRequest *request) {
  config_free(request->config);
  reading_free(request->last);
  g_free(request);
}

#define REWRITTEN "rewritten"

/* The revision in force, by the identity of its source, and whether it followed from the one before: so that a restart doesn't
 * forget from where on commits have to be signed, and that nothing is deleted for this one. */
static char *memory_path(const Config *config) { return g_build_filename(config->state_dir, "revision", NULL); }

gboolean reading_remember(const SourceReading *reading, const Config *config, GError **error) {
  g_autofree char *path = memory_path(config), *text = NULL;
  if (!reading->revision || !reading->desired)
    return TRUE;
  text = g_strdup_printf("%s\n%s\n%s", reading->identity, reading->revision, reading->desired->rewritten ? REWRITTEN "\n" : "");
  return whole_file_write(path, text, 0600, error);
}

static char *recall(const Config *config, const char *identity, gboolean *ret_rewritten) {
  g_autofree char *path = memory_path(config), *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return NULL;
  g_auto(GStrv) lines = g_strsplit(text, "\n", 4);
  if (g_strv_length(lines) < 2 || !g_str_equal(lines[0], identity) || !*lines[1])
    return NULL;
  *ret_rewritten = g_strcmp0(lines[2], REWRITTEN) == 0;
  return g_strdup(lines[1]);
}

static char *directory_of(const Config *config) {
  char *real = realpath(config->spec.source.directory, NULL);
  char *copy = g_strdup(real ? real : config->spec.source.directory);
  free(real);
  return copy;
}

/* Files that were changed within the time that they are to be quiet are waited for. */
static gboolean is_fresh(gint64 newest, guint64 settle) {
  gint64 age = g_get_real_time() - newest;
  return age >= 0 && age < (gint64)settle * 500;
}

static void read_directory(const ReadingRequest *request, SourceReading *reading) {
  const ServiceSourceSpec *source = &request->config->spec.source;
  g_autofree char *identity = NULL;
  gint64 newest = 0;
  reading->stamp = tree_stamp(source->directory, &newest);
  reading->unsettled = !request->at_once && is_fresh(newest, source->settle);
  gboolean same = request->last && g_strcmp0(request->last->stamp, reading->stamp) == 0;
  if (reading->unsettled || (same && !request->at_once))
    return;
  reading->desired = source_read(&(SourceRequest){.source = source->directory}, &identity, &reading->revision, reading->diagnostics, &reading->error);
  g_autofree char *now = tree_stamp(source->directory, &newest);
  if (g_strcmp0(now, reading->stamp) == 0)
    return;
  /* It changed while it was read: what was read is neither the one nor the other. */
  reading->unsettled = TRUE;
  g_clear_pointer(&reading->desired, desired_free);
  g_clear_error(&reading->error);
}

static GitSource git_source(const Config *config, const char *mirrors, const char *applied) {
  const GitSpec *git = &config->spec.source.git;
  const SignaturesSpec *signatures = &git->signatures;
  return (GitSource){
      .url = git->url, .ref = git->ref, .path = git->path, .mirror_dir = mirrors, .ssh_key = git->sshKey,
      .ssh_known_hosts = git->knownHosts, .ca_file = git->caFile, .user = git->user, .token_file = git->tokenFile,
      .signatures = given(git, GitSpec, signatures) ? (SignatureRule)signatures->require : SIGNATURES_NONE,
      .allowed_signers = signatures->allowedSigners, .keyring = signatures->keyring, .last_applied = applied,
  };
}

static void read_git(const ReadingRequest *request, SourceReading *reading, GCancellable *cancel) {
  const SourceReading *last = request->last && g_str_equal(request->last->identity, reading->identity) ? request->last : NULL;
  g_autofree char *mirrors = g_build_filename(request->config->state_dir, "mirrors", NULL);
  gboolean rewritten = last && last->desired && last->desired->rewritten;
  g_autofree char *applied = last ? g_strdup(last->revision) : recall(request->config, reading->identity, &rewritten);
  GitSource source = git_source(request->config, mirrors, applied);
  reading->revision = git_source_update(&source, cancel, &reading->error);
  if (!reading->revision || (last && !request->at_once && g_strcmp0(last->revision, reading->revision) == 0))
    return;
  if (source.signatures != SIGNATURES_NONE && !git_source_verify(&source, reading->revision, &reading->error))
    return;
  if (source.signatures == SIGNATURES_ALL && !applied)
    diag_warning(reading->diagnostics, (Place){0}, "which commit was checked last isn't known (the state directory is new, or was lost): only the "
                 "signature of %.12s itself was checked, not those of the commits before it", reading->revision);
  reading->desired = git_source_read(&source, reading->revision, reading->diagnostics, &reading->error);
  /* Read again: it follows from itself, but not from what was before. */
  if (reading->desired && g_strcmp0(applied, reading->revision) == 0)
    reading->desired->rewritten |= rewritten;
}

static void check_hosts(const Config *config, SourceReading *reading) {
  const PolicySpec *policy = given(&config->spec, ServiceSpec, policy) ? &config->spec.policy : NULL;
  char *refusal = reading->desired ? policy_hosts_refusal(policy, reading->desired) : NULL;
  if (!refusal)
    return;
  reading->error = g_error_new_literal(SOURCE_ERROR, SOURCE_ERROR_INVALID, refusal);
  g_clear_pointer(&reading->desired, desired_free);
  g_free(refusal);
}

char *reading_identity(const Config *config) {
  if (config_identity(config))
    return g_strdup(config_identity(config));
  if (given(&config->spec.source, ServiceSourceSpec, directory))
    return directory_of(config);
  GitSource source = git_source(config, NULL, NULL);
  return git_source_identity(&source);
}

SourceReading *reading_make(const ReadingRequest *request, GCancellable *cancel) {
  SourceReading *reading = g_new0(SourceReading, 1);
  reading->refs = 1;
  reading->diagnostics = diagnostics_new();
  reading->identity = reading_identity(request->config);
  if (given(&request->config->spec.source, ServiceSourceSpec, directory))
    read_directory(request, reading);
  else
    read_git(request, reading, cancel);
  check_hosts(request->config, reading);
  return reading;
}

gboolean reading_equal(const SourceReading *a, const SourceReading *b) {
  return a && b && g_strcmp0(a->revision, b->revision) == 0 && g_strcmp0(a->identity, b->identity) == 0 && desired_equal(a->desired, b->desired);
}

Desired *reading_again(const Config *config, const SourceReading *last, GCancellable *cancel, GError **error) {
  const ReadingRequest request = {.config = (Config *)config, .last = (SourceReading *)last, .at_once = TRUE};
  g_autoptr(SourceReading) now = reading_make(&request, cancel);
  if (now->error)
    g_propagate_error(error, g_steal_pointer(&now->error));
  else if (!now->desired)
    g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_READ, "%s is being changed at this moment", now->identity);
  return g_steal_pointer(&now->desired);
}
