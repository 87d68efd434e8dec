#include "state/real_path.h"

#include <stdlib.h>

char *real_path(const char *path) {
  g_autofree char *words = g_canonicalize_filename(path, "/"), *rest = g_strdup("");
  for (;;) {
    char *real = realpath(words, NULL);
    if (real) {
      char *whole = *rest ? g_build_filename(real, rest, NULL) : g_strdup(real);
      free(real);
      return whole;
    }
    g_autofree char *name = g_path_get_basename(words), *parent = g_path_get_dirname(words);
    if (g_str_equal(parent, words))
      return g_build_filename(parent, rest, NULL);
    char *more = *rest ? g_build_filename(name, rest, NULL) : g_steal_pointer(&name);
    g_free(rest);
    rest = more;
    g_free(words);
    words = g_steal_pointer(&parent);
  }
}
