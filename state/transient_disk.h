/* Disks that drop what the guest writes (<transient/>). For such a disk libvirt 9.0 makes an overlay
 * PATH.TRANSIENT-DOMAIN when the machine starts, lets it run on that, and deletes it when the machine
 * stops. The live XML names the overlay as the disk; it isn't another disk, and nobody has to keep it. */
#pragma once
#include <glib.h>

/* The text of a live document in which such disks name the file that the definition names, without the overlay. NULL: nothing
 * in it says that there is one. */
char *transient_disks_settle(const char *live);
/* The overlay of a disk; free it. */
char *transient_overlay_path(const char *disk_path, const char *domain);
