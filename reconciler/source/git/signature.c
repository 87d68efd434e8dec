#include "reconciler/source/git/signature.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/source/git/program.h"

#define SSH "-----BEGIN SSH SIGNATURE-----"
#define PGP "-----BEGIN PGP SIGNATURE-----"
#define SECONDS 30
#define MAX_OUTPUT 65536

gboolean signature_begins(const char *line) {
  return g_str_has_prefix(line, SSH) || g_str_has_prefix(line, PGP) || g_str_has_prefix(line, "-----BEGIN PGP MESSAGE-----") ||
         g_str_has_prefix(line, "-----BEGIN SIGNED MESSAGE-----");
}

/* Its output, when it ended with this status or better; NULL and *ret_why. */
static char *ask(const char *const *argv, GBytes *payload, int worst, char **ret_why) {
  gsize length = 0;
  const char *input = g_bytes_get_data(payload, &length);
  Program program = {.argv = argv, .input = input, .input_length = length, .max_output = MAX_OUTPUT, .silence_seconds = SECONDS,
                     .total_seconds = SECONDS, .quiet = TRUE};
  ProgramResult result = {0};
  g_autoptr(GError) error = NULL;
  if (!program_run(&program, &result, &error)) {
    *ret_why = g_strdup_printf("it can't be checked: %s", error->message);
    return NULL;
  }
  if (result.exited && result.status <= worst)
    return result.output;
  *ret_why = g_strdup(g_strstrip(result.output));
  g_free(result.output);
  return NULL;
}

/* The first line of an answer, for a message. */
static char *in_short(const char *text) {
  g_autofree char *line = g_strndup(text, MIN(strcspn(text, "\r\n"), 200));
  return *line != '\0' ? g_utf8_make_valid(line, -1) : g_strdup("no reason was given");
}

static gboolean ssh_is_good(const GitSource *source, const char *file, GBytes *payload, char **ret_why) {
  const char *who[] = {"ssh-keygen", "-Y", "find-principals", "-f", source->allowed_signers, "-s", file, NULL};
  g_autofree char *said = NULL, *found = ask(who, payload, 0, &said);
  if (found == NULL) {
    g_autofree char *reason = in_short(said);
    *ret_why = g_strdup_printf("its SSH key isn't among the allowed signers (%s)", reason);
    return FALSE;
  }
  g_auto(GStrv) principals = g_strsplit(g_strstrip(found), "\n", -1);
  for (char **principal = principals; *principal != NULL; principal++) {
    const char *verify[] = {"ssh-keygen", "-Y", "verify", "-f", source->allowed_signers, "-I", *principal, "-n", "git", "-s", file, NULL};
    g_clear_pointer(&said, g_free);
    g_autofree char *good = ask(verify, payload, 0, &said);
    if (good != NULL)
      return TRUE;
  }
  g_autofree char *reason = in_short(said != NULL ? said : "");
  *ret_why = g_strdup_printf("its SSH signature isn't good: %s", reason);
  return FALSE;
}

/* What gpgv says of a signature; only one of each of the first two, and none of the others, is good.
 * Of several, the first tells most. */
static const struct {
  const char *word, *why;
} verdicts[] = {
    {"GOODSIG", NULL},
    {"VALIDSIG", NULL},
    {"REVKEYSIG", "the OpenPGP key of its signature is revoked"},
    {"EXPKEYSIG", "the OpenPGP key of its signature has expired"},
    {"EXPSIG", "its OpenPGP signature has expired"},
    {"NO_PUBKEY", "the OpenPGP key of its signature isn't in the keyring"},
    {"BADSIG", "its OpenPGP signature isn't of this content"},
    {"ERRSIG", "its OpenPGP signature can't be checked"},
    {"NODATA", "its OpenPGP signature can't be read"},
};

static gboolean judge_status(const char *status, char **ret_why) {
  guint counts[G_N_ELEMENTS(verdicts)] = {0};
  g_auto(GStrv) lines = g_strsplit(status, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    for (guint i = 0; i < G_N_ELEMENTS(verdicts) && g_str_has_prefix(*line, "[GNUPG:] "); i++) {
      const char *rest = *line + strlen("[GNUPG:] ");
      gsize length = strlen(verdicts[i].word);
      counts[i] += g_str_has_prefix(rest, verdicts[i].word) && (rest[length] == ' ' || rest[length] == '\0');
    }
  for (guint i = 2; i < G_N_ELEMENTS(verdicts); i++)
    if (counts[i] > 0) {
      *ret_why = g_strdup(verdicts[i].why);
      return FALSE;
    }
  if (counts[0] == 1 && counts[1] == 1)
    return TRUE;
  *ret_why = g_strdup("its OpenPGP signature isn't one good one");
  return FALSE;
}

/* gpgv would say no more than that the key is missing. */
static gboolean is_armored(const char *path) {
  g_autofree char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) && g_str_has_prefix(text, "-----BEGIN PGP");
}

static gboolean pgp_is_good(const GitSource *source, const char *file, GBytes *payload, char **ret_why) {
  if (is_armored(source->keyring)) {
    *ret_why = g_strdup_printf("the keyring %s is armored: gpg --dearmor makes it one that can be used", source->keyring);
    return FALSE;
  }
  const char *argv[] = {"gpgv", "--status-fd", "1", "--keyring", source->keyring, "--", file, "-", NULL};
  g_autofree char *status = ask(argv, payload, 2, ret_why);
  if (status == NULL)
    return FALSE;
  if (strstr(status, "[GNUPG:]") != NULL)
    return judge_status(status, ret_why);
  g_autofree char *reason = in_short(status);
  *ret_why = g_strdup_printf("the keyring %s can't be used: %s", source->keyring, reason);
  return FALSE;
}

static char *write_file(const char *signature, char **ret_why) {
  g_autoptr(GError) error = NULL;
  char *path = NULL;
  int fd = g_file_open_tmp("reconcile-XXXXXX.sig", &path, &error);
  if (fd >= 0)
    close(fd);
  if (fd >= 0 && g_file_set_contents_full(path, signature, -1, G_FILE_SET_CONTENTS_NONE, 0600, &error))
    return path;
  *ret_why = g_strdup_printf("it can't be checked: %s", error->message);
  if (path != NULL)
    g_unlink(path);
  g_free(path);
  return NULL;
}

gboolean signature_is_good(const GitSource *source, const char *signature, GBytes *payload, char **ret_why) {
  gboolean ssh = g_str_has_prefix(signature, SSH);
  if (!ssh && !g_str_has_prefix(signature, PGP)) {
    *ret_why = g_strdup("its signature is neither SSH's nor OpenPGP's");
    return FALSE;
  }
  if (ssh ? source->allowed_signers == NULL : source->keyring == NULL) {
    *ret_why = g_strdup(ssh ? "it is signed by an SSH key, and there is no file of allowed signers"
                            : "it is signed by an OpenPGP key, and there is no keyring");
    return FALSE;
  }
  g_autofree char *file = write_file(signature, ret_why);
  if (file == NULL)
    return FALSE;
  gboolean good = (ssh ? ssh_is_good : pgp_is_good)(source, file, payload, ret_why);
  g_unlink(file);
  return good;
}
