/* A short cut: what libvirt says of a volume, read from the file itself. libvirt opens the file
 * for each question, one after the other; a host has thousands of them.
 *
 * It is taken only where it can't say anything else than libvirt would:
 * - The daemon's files are ours. A pool's are when libvirt's times of change of one file in it,
 *   to the nanosecond, are those that we see under its path: no file of another host, container
 *   or mount namespace has them. What is beside a file with a single name is in that directory.
 * - The daemon may read it: owner, group and mode are those of a file that it did read.
 * - It is a regular file that we may read, and a plain qcow2 one: not encrypted, with no data file,
 *   and with a backing file, if any, of absolute name and given format. Anything else, and what
 *   can't be read, is asked of libvirt.
 * - No machine's definition calls it anything but qcow2: its guest could write such a header.
 * Where format or backing file were changed behind libvirt's back, libvirt tells what it saw when
 * the pool was refreshed, and the file what a refresh would see. */
#pragma once
#include <sys/types.h>

#include "state/actual.h"

typedef struct {
  uid_t owner;
  gid_t group;
  mode_t mode;
} FileAccess;

/* What is known of one pool's files. Thread-safe. */
typedef struct FileEvidence FileEvidence;
FileEvidence *file_evidence_new(void);
void file_evidence_free(FileEvidence *evidence);
/* Takes notice of what libvirt said of a volume. */
void file_evidence_add(FileEvidence *evidence, const ActualVolume *volume);
/* Whether what was read of a file with this access is what libvirt would say of it. */
gboolean file_evidence_covers(FileEvidence *evidence, const FileAccess *access);
gboolean file_evidence_found(FileEvidence *evidence); /* the pool's directory is the one that we see */

/* Fills in everything but name, pool and path. FALSE: libvirt has to be asked. */
gboolean volume_file_read(ActualVolume *volume, FileAccess *ret_access);

/* Opens the file of a volume that libvirt has just told of, for reading. -1: it can't be told to be the same one, or
 * we can't open it. */
int volume_file_open(const ActualVolume *volume);
