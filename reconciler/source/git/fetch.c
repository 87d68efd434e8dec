#include "reconciler/source/git/fetch.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "reconciler/source/git/program.h"
#include "reconciler/source/git/update.h"
#include "reconciler/source/git/url.h"

#define NAME "reconcile-git-fetch"
#define TOTAL_SECONDS 3600
#define DEFAULT_SILENCE 60
#define MAX_TEXT (1 << 20)

static gboolean can_be_asked; /* this program's main function knows the name; else it would run itself for ever */

static const struct {
  const char *key;
  gsize offset;
} texts[] = {
    {"url", G_STRUCT_OFFSET(GitSource, url)},
    {"ref", G_STRUCT_OFFSET(GitSource, ref)},
    {"path", G_STRUCT_OFFSET(GitSource, path)},
    {"mirrorDir", G_STRUCT_OFFSET(GitSource, mirror_dir)},
    {"sshKey", G_STRUCT_OFFSET(GitSource, ssh_key)},
    {"sshKnownHosts", G_STRUCT_OFFSET(GitSource, ssh_known_hosts)},
    {"caFile", G_STRUCT_OFFSET(GitSource, ca_file)},
    {"user", G_STRUCT_OFFSET(GitSource, user)},
    {"tokenFile", G_STRUCT_OFFSET(GitSource, token_file)},
    {"allowedSigners", G_STRUCT_OFFSET(GitSource, allowed_signers)},
    {"keyring", G_STRUCT_OFFSET(GitSource, keyring)},
    {"lastApplied", G_STRUCT_OFFSET(GitSource, last_applied)},
};

static char *order_text(const GitSource *source) {
  json_auto_t *order = json_pack("{s:i, s:i}", "signatures", (int)source->signatures, "silence", (int)source->silence_seconds);
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    const char *text = *(const char *const *)((const char *)source + texts[i].offset);
    if (text != NULL)
      json_object_set_new(order, texts[i].key, json_string(text));
  }
  return json_dumps(order, JSON_COMPACT);
}

/* The texts belong to the order. */
static GitSource order_source(const json_t *order) {
  GitSource source = {.signatures = (SignatureRule)json_integer_value(json_object_get(order, "signatures")),
                      .silence_seconds = (guint)json_integer_value(json_object_get(order, "silence"))};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
    *(const char **)((char *)&source + texts[i].offset) = json_string_value(json_object_get(order, texts[i].key));
  return source;
}

static char *failed(const GitSource *source, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static char *failed(const GitSource *source, GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments), *url = git_url_shown(source->url);
  va_end(arguments);
  g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_UNREACHABLE, "%s can't be fetched: %s", url, message);
  return NULL;
}

static char *not_run(const GitSource *source, guint silence, const GError *why, GError **error) {
  g_autofree char *url = git_url_shown(source->url);
  if (g_error_matches(why, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_set_error(error, GIT_SOURCE_ERROR, GIT_SOURCE_ERROR_CANCELLED, "cancelled while fetching %s", url);
  else if (g_error_matches(why, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    failed(source, error, "the server has said nothing for %u s, or isn't done within an hour", silence);
  else
    failed(source, error, "%s", why->message);
  return NULL;
}

static char *take_reply(const GitSource *source, const ProgramResult *result, GError **error) {
  const char *text = strchr(result->output, '{');
  json_auto_t *reply = text != NULL ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
  const char *commit = json_string_value(json_object_get(reply, "commit"));
  const char *message = json_string_value(json_object_get(reply, "error"));
  if (!result->exited)
    return failed(source, error, "the process that fetches was ended by signal %d%s", result->status,
                  result->status == SIGBUS ? ": is there space in the state directory?" : "");
  if (message != NULL) {
    g_set_error_literal(error, GIT_SOURCE_ERROR, (int)json_integer_value(json_object_get(reply, "code")), message);
    return NULL;
  }
  if (result->status != 0 || !git_is_commit_id(commit))
    return failed(source, error, "the process that fetches failed with exit status %d", result->status);
  return g_strdup(commit);
}

char *git_source_update(const GitSource *source, GCancellable *cancel, GError **error) {
  if (!git_source_check(source, error))
    return NULL;
  if (!can_be_asked)
    return failed(source, error, "this program isn't made to");
  g_autofree char *order = order_text(source);
  guint silence = source->silence_seconds != 0 ? source->silence_seconds : DEFAULT_SILENCE;
  const char *argv[] = {"/proc/self/exe", NULL};
  Program program = {.argv = argv, .shown_as = NAME, .input = order, .input_length = strlen(order), .max_output = MAX_TEXT,
                     .silence_seconds = silence, .total_seconds = TOTAL_SECONDS, .cancel = cancel};
  ProgramResult result;
  g_autoptr(GError) why = NULL;
  if (!program_run(&program, &result, &why))
    return not_run(source, silence, why, error);
  char *commit = take_reply(source, &result, error);
  g_free(result.output);
  return commit;
}

gboolean git_fetch_is_asked(const char *program_name) {
  can_be_asked = TRUE;
  return program_name != NULL && g_str_equal(program_name, NAME);
}

static void say(const char *text, gsize length) {
  while (length > 0) {
    gssize n = write(STDOUT_FILENO, text, length);
    if (n < 0 && errno != EINTR)
      return;
    text += n > 0 ? n : 0;
    length -= n > 0 ? (gsize)n : 0;
  }
}

static void alive(void) {
  static gint64 last;
  gint64 now = g_get_monotonic_time();
  if (now - last < G_USEC_PER_SEC / 4)
    return;
  last = now;
  say(".", 1);
}

/* Nobody reads any more: who started us has ended, so this ends, and ssh with it. */
static gpointer end_with_starter(G_GNUC_UNUSED gpointer data) {
  struct pollfd output = {.fd = STDOUT_FILENO};
  while (poll(&output, 1, -1) < 1 || (output.revents & POLLERR) == 0) {
  }
  kill(0, SIGKILL);
  return NULL;
}

static char *read_order(void) {
  g_autoptr(GString) text = g_string_new(NULL);
  char buffer[4096];
  for (gssize n; (n = read(STDIN_FILENO, buffer, sizeof(buffer))) != 0 && text->len < MAX_TEXT;)
    if (n > 0)
      g_string_append_len(text, buffer, n);
    else if (errno != EINTR)
      break;
  return g_string_free(g_steal_pointer(&text), FALSE);
}

static json_t *carry_out(const char *text) {
  json_auto_t *order = json_loads(text, 0, NULL);
  GitSource source = order_source(order);
  g_autoptr(GError) error = NULL;
  g_autofree char *commit = git_source_check(&source, &error) ? update_mirror(&source, alive, &error) : NULL;
  if (commit != NULL)
    return json_pack("{s:s}", "commit", commit);
  g_autofree char *message = g_utf8_make_valid(error->message, -1);
  int code = error->domain == GIT_SOURCE_ERROR ? error->code : GIT_SOURCE_ERROR_MIRROR;
  return json_pack("{s:s, s:i}", "error", message, "code", code);
}

void git_fetch_main(void) {
  sigset_t none;
  sigemptyset(&none);
  prctl(PR_SET_NAME, "reconcile-fetch");
  setsid(); /* it and ssh are one group, to be ended together */
  pthread_sigmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_IGN);
  g_thread_unref(g_thread_new("starter", end_with_starter, NULL));
  g_autofree char *order = read_order();
  json_auto_t *reply = carry_out(order);
  char *text = json_dumps(reply, JSON_COMPACT);
  say(text, strlen(text));
  _exit(0); /* what libgit2 1.5 leaks when a repository is damaged is nobody's concern */
}
