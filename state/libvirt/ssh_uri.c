#include "state/libvirt/ssh_uri.h"

#include <string.h>

#define WORD "no_tty=1"

/* In the order in which they are looked for; %s is what to give to ssh, %u who runs it. */
static const struct {
  const char *says, *advice;
} advices[] = {
    {.says = "virt-ssh-helper: cannot connect",
     .advice = "'ssh %s' logs in, and finds no libvirt there: look whether its daemon runs, and whether that user may use it (group libvirt)"},
    {.says = "nc: not found",
     .advice = "'ssh %s' logs in, and finds neither virt-ssh-helper, which comes with libvirt's daemon, nor nc: install that there; with socket= in the URI "
               "it is nc that is used"},
    {.says = "bytes received from server too large",
     .advice = "'ssh %s' logs in, and something else than libvirt answers: the user's shell there has to run commands, and to print nothing by itself"},
    {.says = "IDENTIFICATION HAS CHANGED",
     .advice = "its host key isn't the one that is known: if it was installed anew, check the new key and replace the old one ('ssh-keygen -R HOST', then "
               "'ssh %s' once by hand, as %u)"},
    {.says = "Host key verification failed",
     .advice = "its host key isn't known: check it, and add it to the known hosts of %u ('ssh %s' once by hand)"},
    {.says = "Permission denied",
     .advice = "no key is accepted there, and nobody is asked for a password or passphrase: give %u a key that 'ssh -o BatchMode=yes %s' "
               "logs in with ('ssh-copy-id', an agent, or keyfile= in the URI)"},
};

static gboolean is_by_ssh(const char *uri) {
  const char *end = uri != NULL ? strstr(uri, "://") : NULL;
  g_autofree char *scheme = end != NULL ? g_strndup(uri, (gsize)(end - uri)) : NULL;
  return scheme != NULL && g_str_has_suffix(scheme, "+ssh");
}

char *ssh_uri_unattended(const char *uri) {
  if (!is_by_ssh(uri))
    return g_strdup(uri);
  return g_strconcat(uri, strchr(uri, '?') != NULL ? "&" : "?", WORD, NULL); /* the last one of a name counts */
}

char *ssh_uri_as_given(char *uri) {
  gsize length = uri != NULL && is_by_ssh(uri) ? strlen(uri) : 0;
  if (length > strlen(WORD) && g_str_has_suffix(uri, WORD))
    uri[length - strlen(WORD) - 1] = '\0';
  return uri;
}

/* As ssh takes them: -p PORT USER@HOST. */
static char *destination(const char *text) {
  g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, NULL);
  const char *host = uri != NULL ? g_uri_get_host(uri) : NULL, *user = uri != NULL ? g_uri_get_user(uri) : NULL;
  if (host == NULL)
    return g_strdup("HOST");
  g_autofree char *port = g_uri_get_port(uri) > 0 ? g_strdup_printf("-p %d ", g_uri_get_port(uri)) : g_strdup("");
  return g_strconcat(port, user != NULL ? user : "", user != NULL ? "@" : "", host, NULL);
}

static const char *advice_on(const char *failure) {
  for (gsize i = 0; i < G_N_ELEMENTS(advices); i++)
    if (strstr(failure, advices[i].says) != NULL)
      return advices[i].advice;
  return "look whether 'ssh -o BatchMode=yes %s' logs in, as %u";
}

/* Before the last line there may be a banner, or a warning of a dozen lines; what is to be done about that is said. */
static char *last_line(const char *failure) {
  const char *said = strstr(failure, "data: "), *last = strrchr(failure, '\n');
  if (said == NULL || last == NULL || last < said)
    return g_strdup(failure);
  return g_strdup_printf("%.*s%s", (int)(said + strlen("data: ") - failure), failure, last + 1);
}

char *ssh_uri_explain(const char *uri, const char *user, const char *failure) {
  if (!is_by_ssh(uri))
    return g_strdup(failure);
  g_autofree char *to = destination(uri), *shown = last_line(failure);
  g_autoptr(GString) advice = g_string_new(advice_on(failure));
  g_string_replace(advice, "%s", to, 0);
  g_string_replace(advice, "%u", user, 0);
  return g_strdup_printf("%s: %s", shown, advice->str);
}
