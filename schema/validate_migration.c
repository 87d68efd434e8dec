/* The rule for how a machine is moved that depends on a number. */
#include "schema/validate.h"

void validate_migration(const Check *check) {
  guint64 cache = object_vm(check->object)->migration.compressionCache;
  if (cache & (cache - 1))
    check_error(check, "migration.compressionCache", "the cache has a size that is a power of two, such as 64MiB");
}
