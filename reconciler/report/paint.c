#include "reconciler/report/paint.h"

void paint_append(GString *out, gboolean color, Paint paint, const char *text) {
  static const char *const codes[PAINT_N] = {"", "1", "2", "31", "32", "33", "34"};
  if (color && paint != PAINT_PLAIN && *text)
    g_string_append_printf(out, "\033[%sm%s\033[0m", codes[paint], text);
  else
    g_string_append(out, text);
}
