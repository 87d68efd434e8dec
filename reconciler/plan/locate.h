/* Where things are or will be on the host: pools' paths, names of base volumes and disks. Pure. */
#pragma once
#include "reconciler/plan/input.h"

/* Path of a pool's volumes, from the host or else from the declaration; NULL and *ret_error. */
const char *locate_pool(const PlanInput *input, const char *pool, char **ret_error);
/* "sha256-HEX.qcow2": content-addressed, so equal images share one base. */
char *locate_image_volume(const ImageFacts *facts);
/* An image's base volume. NULL and *ret_error when the image can't be had. */
const ImageFacts *locate_image(const PlanInput *input, const char *image, const Object **ret_object,
                               char **ret_path, char **ret_error);
/* The observed volume of a name; NULL when the pool or the volume isn't there. */
const ActualVolume *locate_volume(const PlanInput *input, const char *pool, const char *volume);
/* The volume of a VM's disk: "web-1-vda.qcow2". */
char *locate_disk_volume(const char *vm, const DiskSpec *disk, const char *format);
