/* Memory that is taken in small pieces and given back at once: for trees that are made, read and dropped. */
#pragma once
#include <glib.h>

typedef struct Arena Arena;
Arena *arena_new(gsize room); /* bytes that will mostly do; it grows */
void arena_free(Arena *arena); /* accepts NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Arena, arena_free)

gpointer arena_take(Arena *arena, gsize size); /* zeroed, and aligned for anything */
char *arena_text(Arena *arena, const char *text, gsize length); /* a copy that ends in NUL */
/* Makes a text longer, in place where nothing was taken since. */
char *arena_text_append(Arena *arena, char *text, gsize length, const char *more, gsize more_length);
