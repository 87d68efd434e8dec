/* How a file is read is for those to say that read it: a machine's definition for its disk, a layer for what lies beneath
 * it. What they call raw is content from its first byte, which a guest writes: what libvirt sees in it (another format,
 * another size, another machine's file beneath) counts for nothing. Pure. */
#pragma once
#include "state/actual.h"

/* Sets such volumes right. Needs all volumes, and the domains' disks; before their chains are resolved. Where those that have a
 * file don't agree, it stays what libvirt says. */
void told_formats_apply(Actual *actual);
/* The same of one volume, which is read as `format` (NULL: nobody says). */
void told_format_apply(ActualVolume *volume, const char *format);
