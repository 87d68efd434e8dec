/* Any text as a git source: refused, or an address whose parts are what they should be. Its identity
 * is read back as the same, and holds no password. */
#include <stdint.h>
#include <string.h>

#include "reconciler/source/git/url.h"
#include "reconciler/source/git_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_parts(const char *text) {
  g_autoptr(GitUrl) url = git_url_parse(text, NULL);
  if (!url)
    g_error("%s: taken as a source, and not as an address", text);
  gboolean local = url->kind == GIT_URL_LOCAL;
  if (!url->path || (local && *url->path != '/') || (!local && (!url->host || *url->host == '-' || strpbrk(url->host, " '\"$`;&|\n"))))
    g_error("%s: has odd parts", text);
  if (url->user && !local && (*url->user == '-' || strpbrk(url->user, " '\"$`;&|\n:")))
    g_error("%s: has an odd user", text);
}

static void check_again(const GitSource *source) {
  g_autofree char *identity = git_source_identity(source);
  GitSource again = {0};
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GError) error = NULL;
  if (!git_source_parse(identity, &again, texts, &error))
    g_error("%s: can't be read back: %s", identity, error->message);
  g_autofree char *same = git_source_identity(&again);
  if (!g_str_equal(identity, same))
    g_error("%s became %s", identity, same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  GitSource source = {0};
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
  if (!git_source_parse(text, &source, texts, NULL))
    return 0;
  check_parts(source.url);
  check_again(&source);
  return 0;
}
