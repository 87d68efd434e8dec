/* Disks that drop what the guest writes (<transient/>). For such a disk libvirt 9.0 makes an overlay
 * PATH.TRANSIENT-DOMAIN when the machine starts, lets it run on that, and deletes it when the machine
 * stops. The live XML names the overlay as the disk; it isn't another disk, and nobody has to keep it. */
#pragma once
#include "state/xml.h"

/* In a live document: lets such disks name the file that the definition names, without the overlay. */
void transient_disks_settle(xmlNode *domain);
/* The overlay of a disk; free it. */
char *transient_overlay_path(const char *disk_path, const char *domain);
