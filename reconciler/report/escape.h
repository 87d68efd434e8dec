/* Text of others on its way to a terminal, a log or a page: names and values come from YAML,
 * XML and libvirt, and may try to move the cursor, hide text or start markup. */
#pragma once
#include <glib.h>

/* Control characters, terminal escapes, text direction marks and invalid UTF-8 become visible
 * (\n, \x1b, \u{202e}); everything else stays. NULL is the empty text. */
char *escape_text(const char *text);
void escape_append(GString *out, const char *text);
/* The same, but a line break stays one, followed by `indent` blanks: for messages. */
void escape_append_lines(GString *out, const char *text, guint indent);

/* Markdown that GitHub and GitLab show as the plain text: as code (for names and values, so
 * that nobody is mentioned), and as prose. */
void markdown_append_code(GString *out, const char *text);
void markdown_append_text(GString *out, const char *text);

/* Columns that the text takes on a terminal. */
guint text_width(const char *text);
