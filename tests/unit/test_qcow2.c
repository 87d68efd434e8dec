/* Files that broke off, made by qemu-img where it is installed. */
#include "check.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/image/qcow2.h"
#include "state/qcow2_header.h"

static char *trouble_of(const char *path, off_t length) {
  int fd = g_open(path, O_RDWR, 0);
  assert_true(fd >= 0);
  struct stat status;
  if (length >= 0)
    assert_int_equal(ftruncate(fd, length), 0);
  assert_int_equal(fstat(fd, &status), 0);
  char *trouble = qcow2_trouble(fd, (guint64)status.st_size);
  close(fd);
  return trouble;
}

/* A qcow2 file with data at the start and the end of its disk. */
static gboolean make(const char *path, const char *options) {
  g_autofree char *raw = g_strconcat(path, ".raw", NULL);
  g_autofree char *data = g_malloc(3 << 20);
  for (guint i = 0; i < 3 << 20; i++)
    data[i] = (char)(i * 2654435761u >> 13);
  assert_true(g_file_set_contents(raw, data, 3 << 20, NULL));
  g_autofree char *command = g_strdup_printf("qemu-img convert -f raw -O qcow2 %s '%s' '%s'", options, raw, path);
  int status = 0;
  gboolean made = g_spawn_command_line_sync(command, NULL, NULL, &status, NULL) && status == 0;
  g_unlink(raw);
  return made;
}

static void test_files(void **state) {
  (void)state;
  g_autofree char *program = g_find_program_in_path("qemu-img");
  if (!program)
    skip();
  g_autofree char *directory = g_dir_make_tmp("qcow2-XXXXXX", NULL), *path = g_build_filename(directory, "image", NULL);
  static const char *const kinds[] = {"", "-c", "-o compat=0.10", "-o cluster_size=4096", "-o extended_l2=on,cluster_size=128k",
                                      "-o preallocation=metadata"};
  for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
    assert_true(make(path, kinds[i]));
    struct stat whole;
    assert_int_equal(g_stat(path, &whole), 0);
    g_autofree char *fine = trouble_of(path, -1);
    if (fine)
      fail_msg("%s: %s", kinds[i], fine);
    for (off_t length = whole.st_size / 2; length > 3; length /= 3) {
      g_autofree char *trouble = trouble_of(path, length);
      if (!trouble)
        fail_msg("%s, cut to %ld of %ld bytes: accepted", kinds[i], (long)length, (long)whole.st_size);
    }
  }
  g_unlink(path);
  g_rmdir(directory);
}

/* A copy on the heap, so that reading past its end is noticed. */
static void check_backing(const guint8 *data, gsize length) {
  g_autofree guint8 *bytes = g_memdup2(data, length);
  Qcow2Header header;
  g_autofree char *name = NULL, *format = NULL;
  if (!qcow2_header_read(bytes, length, &header))
    return;
  header.backing_offset %= 4200;
  header.backing_length %= 2000;
  header.length %= 4200;
  gsize at = MIN(header.length, length - 8);
  memcpy(bytes + at, "\xe2\x79\x2a\xca\0\0", 6);
  if (qcow2_backing_read(&header, bytes, length, &name, &format))
    assert_true(strlen(name) <= header.backing_length && strlen(format) < length);
  else
    assert_null(name);
}

static void test_backing(void **state) {
  (void)state;
  guint8 bytes[200] = "QFI\xfb\0\0\0\2";
  bytes[15] = 90;  /* the name's offset */
  bytes[19] = 4;   /* … and length */
  bytes[30] = 1;   /* 256 bytes */
  memcpy(bytes + 72, "\xe2\x79\x2a\xca\0\0\0\5qcow2", 13);
  memcpy(bytes + 90, "/a/b", 4);
  Qcow2Header header;
  g_autofree char *name = NULL, *format = NULL;
  assert_true(qcow2_header_read(bytes, sizeof bytes, &header));
  assert_int_equal(header.virtual_size, 1 << 8);
  assert_true(qcow2_backing_read(&header, bytes, sizeof bytes, &name, &format));
  assert_string_equal(name, "/a/b");
  assert_string_equal(format, "qcow2");
  g_autofree char *none = NULL;
  assert_false(qcow2_backing_read(&header, bytes, 93, &none, &none)); /* the name is cut */
  bytes[79] = 11; /* a format that reaches into the name */
  assert_false(qcow2_backing_read(&header, bytes, sizeof bytes, &none, &none));
  assert_null(none);
}

/* Headers from an enemy: nothing is read outside the file, and no memory is wasted. */
static void test_headers(void **state) {
  (void)state;
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp("qcow2-XXXXXX", &path, NULL);
  guint32 seed = 1;
  for (guint i = 0; i < 20000; i++) {
    guint8 data[4096];
    for (guint at = 0; at < sizeof data; at++)
      data[at] = (guint8)((seed = seed * 1664525 + 1013904223) >> 24);
    memcpy(data, "QFI\xfb\0\0\0\3", 8);
    memset(data + 20, 0, 3);
    data[23] %= 24;
    memset(data + 36, 0, i % 2 ? 3 : 0);
    memset(data + 40, 0, i % 3 ? 7 : 0);
    assert_int_equal(pwrite(fd, data, sizeof data, 0), sizeof data);
    g_free(qcow2_trouble(fd, i % 5 ? sizeof data : G_MAXUINT64));
    check_backing(data, i % 7 ? sizeof data : data[30]);
  }
  g_autofree char *none = qcow2_trouble(fd, 0);
  assert_non_null(none);
  close(fd);
  g_unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_headers), cmocka_unit_test(test_backing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
