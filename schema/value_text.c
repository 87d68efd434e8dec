#include "schema/value_text.h"
#include <arpa/inet.h>
#include <string.h>

/* Characters that XML 1.0 can hold and a terminal shows; lines: also \n and \t. */
static gboolean is_plain(const char *text, gboolean lines) {
  const guchar *at = (const guchar *)text;
  if (!*at)
    return FALSE;
  for (; *at; at++) {
    if ((*at < 0x20 && !(lines && (*at == '\n' || *at == '\t'))) || *at == 0x7f)
      return FALSE;
    if (at[0] == 0xc2 && at[1] < 0xa0) /* U+0080 to U+009F */
      return FALSE;
    if (at[0] == 0xef && at[1] == 0xbf && (at[2] == 0xbe || at[2] == 0xbf)) /* U+FFFE, U+FFFF */
      return FALSE;
  }
  return g_utf8_validate(text, -1, NULL);
}

static gboolean is_name(const char *text) {
  if (!g_ascii_isalnum(*text) && *text != '_' && *text != '.')
    return FALSE;
  while (g_ascii_isalnum(*text) || (*text && strchr("_.+:@-", *text)))
    text++;
  return !*text;
}

/* In shape, h is a hex digit, e an even one, o an octal one, b is 0 or 1; others are themselves. */
static gboolean has_shape(const char *text, const char *shape) {
  for (; *shape; shape++, text++) {
    gboolean ok = *shape == 'h' ? g_ascii_isxdigit(*text)
                  : *shape == 'e' ? *text && strchr("02468aceACE", *text) != NULL
                  : *shape == 'o' ? *text >= '0' && *text <= '7'
                  : *shape == 'b' ? *text == '0' || *text == '1'
                                  : *text == *shape;
    if (!ok)
      return FALSE;
  }
  return !*text;
}

static char *lower_if(gboolean ok, const char *text) { return ok ? g_ascii_strdown(text, -1) : NULL; }
static char *copy_if(gboolean ok, const char *text) { return ok ? g_strdup(text) : NULL; }

static char *canonical_path(const char *text) {
  if (*text == '~' || !is_plain(text, FALSE))
    return NULL;
  if (*text != '/')
    return g_strdup(text);
  g_autofree char *path = g_canonicalize_filename(text, "/");
  const char *at = path; /* POSIX lets two leading slashes mean something else; Linux doesn't */
  while (at[0] == '/' && at[1] == '/')
    at++;
  return g_strdup(at);
}

static char *canonical_ip(const char *text) {
  guchar address[16];
  char out[INET6_ADDRSTRLEN];
  int family = strchr(text, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, text, address) != 1)
    return NULL;
  return g_strdup(inet_ntop(family, address, out, sizeof(out)));
}

#define CPU_MAX 9999

static gboolean read_cpu(const char **at, guint *ret_cpu) {
  const char *start = *at;
  guint cpu = 0;
  while (g_ascii_isdigit(**at) && *at - start < 4)
    cpu = cpu * 10 + (guint)(*(*at)++ - '0');
  if (*at == start || (*start == '0' && *at - start > 1))
    return FALSE;
  *ret_cpu = cpu;
  return TRUE;
}

static gboolean read_cpuset(const char *text, gboolean cpus[CPU_MAX + 1]) {
  for (;; text++) {
    guint first, last;
    if (!read_cpu(&text, &first))
      return FALSE;
    last = first;
    if (*text == '-') {
      text++;
      if (!read_cpu(&text, &last) || last < first)
        return FALSE;
    }
    for (guint cpu = first; cpu <= last; cpu++)
      cpus[cpu] = TRUE;
    if (*text != ',')
      return !*text;
  }
}

static char *canonical_cpuset(const char *text) {
  gboolean cpus[CPU_MAX + 2] = {FALSE};
  if (!read_cpuset(text, cpus))
    return NULL;
  GString *out = g_string_new(NULL);
  for (guint cpu = 0; cpu <= CPU_MAX; cpu++) {
    if (!cpus[cpu])
      continue;
    guint last = cpu;
    while (cpus[last + 1])
      last++;
    g_string_append_printf(out, last > cpu ? "%s%u-%u" : "%s%u", out->len ? "," : "", cpu, last);
    cpu = last;
  }
  return g_string_free(out, FALSE);
}

static char *canonical_pci(const char *text) {
  if (has_shape(text, "hhhh:hh:bh.o"))
    return g_ascii_strdown(text, -1);
  if (!has_shape(text, "hh:bh.o"))
    return NULL;
  g_autofree char *lower = g_ascii_strdown(text, -1);
  return g_strconcat("0000:", lower, NULL);
}

static gboolean is_target(const char *text) {
  if (*text == 'x')
    text++, text = *text == 'v' ? text : "";
  else if (!strchr("vshf", *text))
    return FALSE;
  if (!text[0] || text[1] != 'd')
    return FALSE;
  text += 2;
  gsize letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
  return letters >= 1 && letters <= 3 && !text[letters];
}

static gboolean is_sha256(const char *text) {
  return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

/* One element, as far as a look can tell; state/ parses it. No DTD, no instructions, no comments. */
static gboolean is_xml(const char *text) {
  return text[0] == '<' && (g_ascii_isalpha(text[1]) || text[1] == '_') && !strstr(text, "<!") &&
         !strstr(text, "<?") && is_plain(text, TRUE);
}

char *text_canonical(ValueType type, const char *text) {
  switch (type) {
  case VALUE_STRING:
    return copy_if(is_plain(text, FALSE), text);
  case VALUE_TEXT:
    return copy_if(is_plain(text, TRUE), text);
  case VALUE_NAME:
    return copy_if(is_name(text), text);
  case VALUE_PATH:
    return canonical_path(text);
  case VALUE_UUID:
    return lower_if(has_shape(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"), text);
  case VALUE_MAC:
    return lower_if(has_shape(text, "he:hh:hh:hh:hh:hh"), text);
  case VALUE_IP:
    return canonical_ip(text);
  case VALUE_CPUSET:
    return canonical_cpuset(text);
  case VALUE_PCI:
    return canonical_pci(text);
  case VALUE_USB:
    return lower_if(has_shape(text, "hhhh:hhhh"), text);
  case VALUE_TARGET:
    return copy_if(is_target(text), text);
  case VALUE_SHA256:
    return lower_if(is_sha256(text), text);
  case VALUE_XML:
    return copy_if(is_xml(text), text);
  default:
    return NULL;
  }
}
