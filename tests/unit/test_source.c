/* Sources: which files count, and that nothing half-read passes for the whole. */
#include "check.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/run/pipeline.h"
#include "reconciler/source/source.h"

typedef struct {
  char *dir;
} Folder;

static int setup(void **state) {
  Folder *folder = g_new0(Folder, 1);
  char *made = g_dir_make_tmp("source-XXXXXX", NULL);
  folder->dir = realpath(made, NULL);
  g_free(made);
  *state = folder;
  return 0;
}

static void remove_tree(const char *path) {
  if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
    g_chmod(path, 0700);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));) {
      g_autofree char *entry = g_build_filename(path, name, NULL);
      remove_tree(entry);
    }
  }
  g_remove(path);
}

static int teardown(void **state) {
  Folder *folder = *state;
  remove_tree(folder->dir);
  free(folder->dir);
  g_free(folder);
  return 0;
}

static char *path_in(const Folder *folder, const char *name) { return g_build_filename(folder->dir, name, NULL); }

static void write_text(const Folder *folder, const char *name, const char *text) {
  g_autofree char *path = path_in(folder, name), *parent = g_path_get_dirname(path);
  assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
  assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void write_vm(const Folder *folder, const char *name, const char *vm) {
  g_autofree char *text = g_strdup_printf("apiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata: {name: %s}\nspec: {}\n", vm);
  write_text(folder, name, text);
}

static void make_link(const Folder *folder, const char *target, const char *name) {
  g_autofree char *path = path_in(folder, name);
  assert_int_equal(symlink(target, path), 0);
}

/* Names of what a source declares, joined by blanks; or its diagnostics and the error. */
static char *read_source_text(const char *source, char **ret_identity) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *identity = NULL, *revision = NULL;
  g_autoptr(Desired) desired = source_read(&(SourceRequest){.source = source}, &identity, &revision, diagnostics, &error);
  GString *text = g_string_new(NULL);
  for (guint i = 0; desired && i < desired->objects->len; i++)
    g_string_append_printf(text, "%s%s", i ? " " : "", ((const Object *)desired->objects->pdata[i])->metadata.name);
  for (guint i = 0; !desired && i < diagnostics->items->len; i++) {
    g_autofree char *line = diagnostic_format(diagnostics->items->pdata[i]);
    g_string_append_printf(text, "%s\n", line);
  }
  if (!desired) {
    assert_non_null(error);
    assert_null(identity);
    g_string_append(text, error->message);
  }
  assert_null(revision);
  if (ret_identity)
    *ret_identity = g_steal_pointer(&identity);
  return g_string_free(text, FALSE);
}

static void assert_source(const Folder *folder, const char *expected) {
  assert_text(read_source_text(folder->dir, NULL), expected);
}

static void assert_source_fails(const Folder *folder, const char *part) {
  g_autofree char *text = read_source_text(folder->dir, NULL);
  if (!strstr(text, part))
    fail_msg("\"%s\" isn't in: %s", part, text);
}

static void test_directory(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "b.yaml", "b");
  write_vm(folder, "a.yml", "a");
  write_vm(folder, "deep/er/c.yaml", "c");
  write_vm(folder, ".hidden.yaml", "hidden");
  write_vm(folder, ".git/d.yaml", "git");
  write_vm(folder, "e.yaml~", "backup");
  write_vm(folder, ".e.yaml.swp", "swap");
  write_vm(folder, "#f.yaml", "autosave");
  write_vm(folder, "f.yaml.orig", "orig");
  write_text(folder, "README.md", "not: [yaml");
  assert_source(folder, "a b c");
  g_autofree char *identity = NULL, *dotted = g_strconcat(folder->dir, "/./deep/..", NULL);
  assert_text(read_source_text(dotted, &identity), "a b c");
  assert_string_equal(identity, folder->dir);
}

static void test_file(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "any-name", "one");
  g_autofree char *path = path_in(folder, "any-name"), *identity = NULL;
  assert_text(read_source_text(path, &identity), "one");
  assert_string_equal(identity, path);
}

static void test_links(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "..data/a.yaml", "a"); /* as a mounted ConfigMap is laid out */
  make_link(folder, "..data/a.yaml", "a.yaml");
  write_vm(folder, "real/b.yaml", "b");
  make_link(folder, "real", "again");       /* the same files: read once */
  make_link(folder, "../real", "real/loop");
  make_link(folder, "nowhere", "notes");
  assert_source(folder, "a b");
}

static void test_link_that_leads_out(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "in/a.yaml", "a");
  write_vm(folder, "out/b.yaml", "b");
  write_vm(folder, "in-side/c.yaml", "c"); /* a name that only begins alike */
  make_link(folder, "../out", "in/dir");
  g_autofree char *in = path_in(folder, "in"), *text = read_source_text(in, NULL);
  assert_non_null(strstr(text, "leads out of the source"));
  g_autofree char *link = path_in(folder, "in/dir");
  g_remove(link);
  make_link(folder, "../in-side/c.yaml", "in/c.yaml");
  g_autofree char *other = read_source_text(in, NULL);
  assert_non_null(strstr(other, "leads out of the source"));
}

static void test_dangling_link(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "a.yaml", "a");
  make_link(folder, "missing", "b.yaml");
  assert_source_fails(folder, "b.yaml: error: can't be read");
}

static void test_unreadable(void **state) {
  const Folder *folder = *state;
  gboolean root = geteuid() == 0;
  write_vm(folder, "a.yaml", "a");
  write_vm(folder, "b/b.yaml", "b");
  g_autofree char *file = path_in(folder, "a.yaml"), *dir = path_in(folder, "b");
  g_chmod(folder->dir, 0755);
  g_chmod(file, 0);
  g_chmod(dir, 0);
  if (root) /* root can read everything */
    assert_int_equal(seteuid(65534), 0);
  g_autofree char *text = read_source_text(folder->dir, NULL);
  if (root)
    assert_int_equal(seteuid(0), 0);
  assert_non_null(strstr(text, "a.yaml: error: can't be read: Permission denied"));
  assert_non_null(strstr(text, "b: error: can't be read: Permission denied"));
}

static void test_not_a_file(void **state) {
  const Folder *folder = *state;
  g_autofree char *directory = path_in(folder, "d.yaml");
  assert_int_equal(g_mkdir(directory, 0700), 0);
  assert_source_fails(folder, "d.yaml: error: is a directory");
  write_vm(folder, "a.yaml", "a");
  g_autofree char *fifo = path_in(folder, "b.yaml");
  assert_int_equal(mkfifo(fifo, 0600), 0);
  assert_source_fails(folder, "isn't a regular file");
}

static void test_too_large(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "a.yaml", "a");
  g_autofree char *path = path_in(folder, "b.yaml");
  write_text(folder, "b.yaml", "");
  assert_int_equal(truncate(path, (off_t)1 << 40), 0);
  assert_source_fails(folder, "is larger than");
}

static void test_one_bad_file(void **state) {
  const Folder *folder = *state;
  write_vm(folder, "a.yaml", "a");
  write_text(folder, "b.yaml", "apiVersion: reconcile/v1\nkind: VirtualMachine\nmetadata: {name: b");
  write_text(folder, "c.yaml", "apiVersion: reconcile/v1\nkind: Pod\nmetadata: {name: c}\nspec: {}\n");
  assert_source_fails(folder, "b.yaml:");
  assert_source_fails(folder, "c.yaml:");
  assert_source_fails(folder, "nothing is done");
}

static void test_empty(void **state) {
  const Folder *folder = *state;
  assert_source_fails(folder, "nothing declared: refusing to treat an empty source as \"delete everything\"");
  write_text(folder, "a.yaml", "# nothing yet\n---\n---\n");
  assert_source_fails(folder, "nothing declared");
  write_text(folder, "a.yaml", "apiVersion: reconcile/v1\nkind: Profile\nmetadata: {name: p}\nspec: {}\n");
  assert_source_fails(folder, "nothing declared");
  write_text(folder, "b.yaml", "\n  \n"); /* half-written, beside a good one */
  assert_source_fails(folder, "b.yaml: error: is empty");
  g_autofree char *missing = path_in(folder, "missing");
  g_autofree char *text = read_source_text(missing, NULL);
  assert_non_null(strstr(text, "No such file"));
}

static void test_git(void **state) {
  (void)state;
  const char *urls[] = {"https://example.org/x", "ssh://git@example.org/x#main:vms", "git@example.org:x/y", "/srv/x.git",
                        "file:///srv/x", "x.git#v1"};
  const char *paths[] = {".", "/srv/x", "x.yaml", "a@b", "git/x", "x.gitignore", "C:", "x#y.git/z"};
  for (guint i = 0; i < G_N_ELEMENTS(urls); i++)
    assert_true(source_is_git(urls[i]));
  for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
    assert_false(source_is_git(paths[i]));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_directory),     TEST(test_file),     TEST(test_links),      TEST(test_link_that_leads_out),
      TEST(test_dangling_link), TEST(test_unreadable), TEST(test_not_a_file), TEST(test_too_large),
      TEST(test_one_bad_file),  TEST(test_empty),    TEST(test_git),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
