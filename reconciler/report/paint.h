/* Colours of a terminal. */
#pragma once
#include <glib.h>

typedef enum { PAINT_PLAIN, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW, PAINT_BLUE, PAINT_N } Paint;

/* The text as it is (escape it before), in the colour when `color` says so. */
void paint_append(GString *out, gboolean color, Paint paint, const char *text);
