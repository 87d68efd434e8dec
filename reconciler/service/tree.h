/* The directories and files that make up a source directory, by the rules of the source stage: hidden
 * ones are passed over, links are followed, each directory is entered once. */
#pragma once
#include <glib.h>
#include <sys/stat.h>

typedef struct {
  void (*directory)(gpointer data, const char *path);
  void (*file)(gpointer data, const char *path, const struct stat *status); /* may be NULL */
  gpointer data;
} TreeVisitor;
void tree_walk(const char *path, const TreeVisitor *visitor);
gboolean tree_is_declaration(const char *name); /* *.yaml, *.yml */

/* What the directory looks like from outside: names, inodes, sizes and times of all that would be read.
 * Costs a stat for each; equal stamps mean equal content. ret_newest: the latest time of change, in
 * microseconds since 1970. To be freed. */
char *tree_stamp(const char *path, gint64 *ret_newest);
