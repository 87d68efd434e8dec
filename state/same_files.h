/* One file of this host under several names: links of both kinds, bind mounts, names of a device below /dev/disk. Who
 * uses a file is asked by the one path under which it counts then (actual_file). What can't be looked at, and all files of
 * another host, are the files that their paths spell. */
#pragma once
#include "state/actual.h"

/* Of all paths that the observation has. Does nothing unless the host is this one. */
void same_files_find(Actual *actual);
/* And of those that a declaration has beyond. */
void same_files_add(Actual *actual, const Desired *desired);
