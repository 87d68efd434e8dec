/* The rules of a source, whatever holds its files: which names count, in which order they are
 * read, what a file must be and what all of them together. A directory (source.c) and the tree of
 * a commit (git_source.c) are read by these same rules. */
#pragma once
#include "schema/document.h"

typedef enum { ENTRY_FILE, ENTRY_DIRECTORY, ENTRY_SUBMODULE, ENTRY_OTHER } EntryKind;

typedef struct {
  EntryKind kind;     /* of what a link leads to, where it is one */
  gboolean leads_out; /* a link to something outside the source */
  char *identity;     /* two paths to one thing have one identity: it is read once */
} Entry;

/* What holds files. Paths are as the user sees them, root included. Texts in ret_error are freed. */
typedef struct FileTree FileTree;
struct FileTree {
  /* Names in a directory, in any order; NULL and *ret_error. */
  GPtrArray *(*list)(FileTree *tree, const char *path, char **ret_error);
  gboolean (*look)(FileTree *tree, const char *path, Entry *ret_entry, char **ret_error);
  /* A file's text with a NUL byte behind it, valid until the next; what is larger than
   * node_limits_default.max_bytes is an error. NULL and *ret_error. */
  const char *(*read)(FileTree *tree, const char *path, gsize *ret_length, char **ret_error);
  gboolean on_host; /* relative paths in the files count from their folder; else they are errors */
};

/* All declarations below `root`, a directory or a file of that tree, or NULL: any error in any file
 * is one of the whole source, and so is an empty one. `name`: the source, for messages. */
Desired *source_walk(FileTree *tree, const char *root, const char *name, Diagnostics *diagnostics, GError **error);
/* Reads all that source_walk() would, for the sake of what the tree itself finds out by that. */
void source_read_all(FileTree *tree, const char *root);
