#include "reconciler/act/left_layer.h"

#include "reconciler/act/image_lock.h"

/* QEMU's lock on an image keeps anybody else from changing it: growing it by nothing is refused while it is open. One that
 * libvirtd died making says that it holds nothing: it is grown by something. */
static gboolean grow_by_nothing(const LeftLayer *layer) {
  const VolumeFacts *facts = layer->facts;
  if (facts->capacity && facts->physical > facts->capacity) /* libvirt wouldn't ask QEMU's locks, but refuse */
    return TRUE;
  guint64 capacity = facts->capacity ? facts->capacity : facts->physical + (1 << 20);
  return virStorageVolResize(layer->volume, capacity, 0) == 0 || virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
}

static gboolean fail_in_use(const LeftLayer *layer, GError **error) {
  return libvirt_fail(error, "%s was left by a run that was interrupted, and seems to be in use: shut the guest of domain %s down from within", layer->facts->path, layer->machine);
}

gboolean left_layer_check_closed(const LeftLayer *layer, GError **error) { return grow_by_nothing(layer) || fail_in_use(layer, error); }

/* Where the locks can't be seen. qemu-img, which grows it, opens the file itself first, and then what is beneath: if only that is
 * refused, the machine is there (block.c: bdrv_open_backing_file). What is whole without a backing file is no such layer. */
static gboolean check_not_switched_unseen(const LeftLayer *layer, GError **error) {
  return (layer->facts->capacity && !layer->facts->backing_path) || grow_by_nothing(layer) ||
         strstr(virGetLastErrorMessage(), "Could not open backing file") || fail_in_use(layer, error);
}

/* QEMU knows of the layer before it switches, and lets go of the right to write to what is beneath when it does. */
gboolean left_layer_check_not_switched(const LeftLayer *layer, GError **error) {
  const VolumeFacts *facts = layer->facts;
  ImageUse use = image_use(layer->volume);
  if (use == IMAGE_CLOSED)
    return TRUE;
  if (use == IMAGE_UNKNOWN)
    return check_not_switched_unseen(layer, error);
  if (image_use_of_backing(layer->volume) == IMAGE_WRITTEN)
    return TRUE;
  if (use == IMAGE_OPEN)
    return act_refuse(error, "somebody has %s open, which is no disk of domain %s as libvirt knows it: wait until that has ended", facts->path, layer->machine);
  return act_refuse(error, "domain %s runs on %s, and libvirt, which died at that moment, doesn't know it: shut its guest down from within, make that "
                    "file the disk ('virsh edit %s'), and start it again", layer->machine, facts->path, layer->machine);
}

/* Header, table and block of reference counts, and the table of first level: what is written needs two more clusters. (That table
 * takes more than one for 4 TiB of 64 KiB each: then it is taken for written.) */
static gboolean holds_something(const VolumeFacts *facts) { return facts->physical > 4 * (facts->cluster ? facts->cluster : 65536); }

gboolean left_layer_check_empty(const LeftLayer *layer, GError **error) {
  return !holds_something(layer->facts) ||
         act_refuse(error, "%s was left by a run that was interrupted, and holds something: domain %s may have run on it. If it did, make it the "
                    "disk again ('virsh edit %s'); if it didn't, delete it", layer->facts->path, layer->machine, layer->machine);
}
