#include "reconciler/report/escape.h"

#include <string.h>

/* Characters that change what a reader sees of the others. */
static gboolean is_deceptive(gunichar c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe007f);
}

static void append_deceptive(GString *out, gunichar c) {
  switch (c) {
  case '\n': g_string_append(out, "\\n"); break;
  case '\t': g_string_append(out, "\\t"); break;
  case '\r': g_string_append(out, "\\r"); break;
  default: g_string_append_printf(out, c < 0x80 ? "\\x%02x" : "\\u{%x}", c);
  }
}

typedef void (*AppendFunction)(GString *out, gunichar c, gpointer data);

static void each_character(GString *out, const char *text, AppendFunction append, gpointer data) {
  for (const char *at = text ? text : ""; *at;) {
    gunichar c = g_utf8_get_char_validated(at, -1);
    if (c == (gunichar)-1 || c == (gunichar)-2) {
      g_string_append_printf(out, "\\x%02x", (guchar)*at++);
      continue;
    }
    append(out, c, data);
    at = g_utf8_next_char(at);
  }
}

static void append_visible(GString *out, gunichar c, G_GNUC_UNUSED gpointer data) {
  if (is_deceptive(c))
    append_deceptive(out, c);
  else
    g_string_append_unichar(out, c);
}

static void append_line(GString *out, gunichar c, gpointer data) {
  if (c == '\n')
    g_string_append_printf(out, "\n%*s", (int)GPOINTER_TO_UINT(data), "");
  else
    append_visible(out, c, NULL);
}

void escape_append(GString *out, const char *text) { each_character(out, text, append_visible, NULL); }

void escape_append_lines(GString *out, const char *text, guint indent) {
  g_autofree char *stripped = g_strchomp(g_strdup(text ? text : ""));
  each_character(out, stripped, append_line, GUINT_TO_POINTER(indent));
}

char *escape_text(const char *text) {
  GString *out = g_string_new(NULL);
  escape_append(out, text);
  return g_string_free(out, FALSE);
}

static void append_markdown(GString *out, gunichar c, gpointer prose) {
  if (is_deceptive(c))
    append_deceptive(out, c);
  else if (c < 0x80 && strchr("&<>|`*_[]\\~#!$^\"'", (int)c))
    g_string_append_printf(out, "&#%u;", c);
  else if (c == '@' && prose) /* mentions nobody: it isn't next to the name any more */
    g_string_append(out, "&#64;<!-- -->");
  else
    g_string_append_unichar(out, c);
}

void markdown_append_text(GString *out, const char *text) {
  each_character(out, text, append_markdown, GUINT_TO_POINTER(TRUE));
}

void markdown_append_code(GString *out, const char *text) {
  g_string_append(out, "<code>");
  each_character(out, text, append_markdown, NULL);
  g_string_append(out, "</code>");
}

guint text_width(const char *text) {
  guint width = 0;
  for (const char *at = text; *at; at = g_utf8_next_char(at)) {
    gunichar c = g_utf8_get_char(at);
    width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
  }
  return width;
}
