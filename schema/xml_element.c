#include "schema/xml_element.h"

#include <string.h>

typedef struct {
  guint depth, roots;
  gboolean wrong;
} Shape;

static void start(GMarkupParseContext *context, const char *name, const char **names, const char **values, gpointer data,
                  GError **error) {
  (void)context, (void)name, (void)values, (void)error;
  Shape *shape = data;
  shape->roots += shape->depth++ == 0;
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; names[i]; i++)
    shape->wrong |= !g_hash_table_add(seen, (gpointer)names[i]);
}

static void end(GMarkupParseContext *context, const char *name, gpointer data, GError **error) {
  (void)context, (void)name, (void)error;
  ((Shape *)data)->depth--;
}

static void text_found(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error) {
  (void)context, (void)error;
  Shape *shape = data;
  shape->wrong |= shape->depth == 0 && strspn(text, " \t\r\n") < length;
}

static void other(GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error) {
  (void)context, (void)text, (void)length, (void)error;
  ((Shape *)data)->wrong = TRUE;
}

gboolean is_xml_element(const char *text) {
  static const GMarkupParser parser = {.start_element = start, .end_element = end, .text = text_found, .passthrough = other};
  Shape shape = {0};
  g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, &shape, NULL);
  return g_markup_parse_context_parse(context, text, -1, NULL) && g_markup_parse_context_end_parse(context, NULL) &&
         shape.roots == 1 && !shape.wrong;
}
