#include "schema/arena.h"

#include <stddef.h>
#include <string.h>

typedef struct Piece Piece;
struct Piece {
  Piece *before;
  max_align_t room[];
};

struct Arena {
  Piece *pieces; /* the latest first */
  gsize room;    /* of that one … */
  char *at, *end; /* … and what is free of it */
};

static void add_piece(Arena *arena, gsize room) {
  Piece *piece = g_malloc(sizeof(Piece) + room);
  piece->before = arena->pieces;
  *arena = (Arena){.pieces = piece, .room = room, .at = (char *)piece->room, .end = (char *)piece->room + room};
}

/* Pieces get larger, so that there are few, and so that a text that grows is moved seldom. */
static char *take(Arena *arena, gsize size) {
  if (size > (gsize)(arena->end - arena->at))
    add_piece(arena, 2 * MAX(arena->room, size));
  char *taken = arena->at;
  arena->at += size;
  return taken;
}

Arena *arena_new(gsize room) {
  Arena *arena = g_new0(Arena, 1);
  add_piece(arena, room);
  return arena;
}

void arena_free(Arena *arena) {
  if (!arena)
    return;
  for (Piece *piece; (piece = arena->pieces); g_free(piece))
    arena->pieces = piece->before;
  g_free(arena);
}

gpointer arena_take(Arena *arena, gsize size) {
  gsize gap = -(guintptr)arena->at % _Alignof(max_align_t);
  arena->at += MIN(gap, (gsize)(arena->end - arena->at));
  return memset(take(arena, size), 0, size);
}

char *arena_text(Arena *arena, const char *text, gsize length) {
  char *copy = take(arena, length + 1);
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

char *arena_text_append(Arena *arena, char *text, gsize length, const char *more, gsize more_length) {
  if (text + length + 1 == arena->at && more_length <= (gsize)(arena->end - arena->at)) {
    arena->at += more_length;
  } else {
    char *moved = take(arena, length + more_length + 1);
    text = memcpy(moved, text, length);
  }
  memcpy(text + length, more, more_length);
  text[length + more_length] = '\0';
  return text;
}
