/* Rules for how a machine is moved: what QEMU and libvirt don't combine is said before anything is tried. */
#include "schema/validate.h"

#include <string.h>

#define HAS(member) given(policy, MigrationSpec, member)

static void check_needs(const Check *check, gboolean is_given, const char *path, gboolean met, const char *needed) {
  if (is_given && !met)
    check_error(check, path, "%s needs %s", path, needed);
}

static void check_apart(const Check *check, gboolean both, const char *path, const char *other) {
  if (both)
    check_error(check, path, "%s and %s can't be combined", path, other);
}

static void check_compression(const Check *check, const MigrationSpec *policy) {
  int method = HAS(compression) ? policy->compression : MigrationCompression_none;
  gboolean with_channels = method == MigrationCompression_zlib || method == MigrationCompression_zstd;
  gboolean threads = method == MigrationCompression_mt;
  check_needs(check, HAS(compressionLevel), "migration.compressionLevel", threads || with_channels, "compression mt, zlib or zstd");
  if (HAS(compressionLevel) && policy->compressionLevel > 9 && method != MigrationCompression_zstd)
    check_error(check, "migration.compressionLevel", "levels above 9 are of compression zstd only");
  check_needs(check, HAS(compressionThreads), "migration.compressionThreads", threads, "compression mt");
  check_needs(check, HAS(decompressionThreads), "migration.decompressionThreads", threads, "compression mt");
  check_needs(check, HAS(compressionCache), "migration.compressionCache", method == MigrationCompression_xbzrle, "compression xbzrle");
  if (HAS(compressionCache) && (policy->compressionCache & (policy->compressionCache - 1)) != 0)
    check_error(check, "migration.compressionCache", "the cache has a size that is a power of two, such as 64MiB");
  check_needs(check, with_channels, "migration.compression", HAS(parallel), "parallel, for zlib and zstd");
  check_apart(check, HAS(parallel) && (threads || method == MigrationCompression_xbzrle), "migration.parallel", "compression xbzrle or mt");
  check_apart(check, HAS(postCopy) && policy->postCopy && threads, "migration.postCopy", "compression mt");
}

void validate_migration(const Check *check) {
  const VmSpec *vm = object_vm(check->object);
  const MigrationSpec *policy = &vm->migration;
  if (!given(vm, VmSpec, migration))
    return;
  gboolean converges = HAS(autoConverge) && policy->autoConverge, post_copy = HAS(postCopy) && policy->postCopy;
  gboolean zero_copy = HAS(zeroCopy) && policy->zeroCopy, compressed = HAS(compression) && policy->compression != MigrationCompression_none;
  check_compression(check, policy);
  check_needs(check, HAS(autoConvergeInitial), "migration.autoConvergeInitial", converges, "autoConverge: true");
  check_needs(check, HAS(autoConvergeIncrement), "migration.autoConvergeIncrement", converges, "autoConverge: true");
  check_needs(check, HAS(postCopyBandwidth), "migration.postCopyBandwidth", post_copy, "postCopy: true");
  check_apart(check, post_copy && HAS(parallel), "migration.postCopy", "parallel");
  check_needs(check, zero_copy, "migration.zeroCopy", HAS(parallel), "parallel");
  check_apart(check, zero_copy && compressed, "migration.zeroCopy", "compression");
}
