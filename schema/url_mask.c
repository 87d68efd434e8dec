#include "schema/url_mask.h"

#include <string.h>

/* Where the URL ends that begins here, in a sentence or in JSON: rather too late than within a query. */
static gsize length_of(const char *url) { return strcspn(url, " \t\r\n\"<>\\"); }

static void append_masked(GString *out, const char *url, gsize length) {
  gsize scheme = (gsize)(strstr(url, "://") + 3 - url), authority = strcspn(url + scheme, "/?# \"");
  authority = MIN(authority, length - scheme);
  const char *user_end = g_strrstr_len(url + scheme, (gssize)authority, "@"), *query = memchr(url, '?', length);
  const char *from = user_end ? user_end + 1 : url + scheme, *end = query ? query : url + length;
  g_string_append_len(out, url, (gssize)scheme);
  g_string_append_len(out, from, MAX(end - from, 0));
  if (query)
    g_string_append(out, "?…");
}

char *url_mask(const char *text) {
  if (!text)
    return NULL;
  GString *out = g_string_new(NULL);
  while (*text) {
    gboolean is_url = g_ascii_strncasecmp(text, "http://", 7) == 0 || g_ascii_strncasecmp(text, "https://", 8) == 0;
    gsize length = is_url ? length_of(text) : 1;
    if (is_url)
      append_masked(out, text, length);
    else
      g_string_append_c(out, *text);
    text += length;
  }
  return g_string_free(out, FALSE);
}
