/* Disks of a running machine: grown, and the media in its drives changed. */
#include "reconciler/act/base.h"
#include "reconciler/act/device.h"
#include "reconciler/act/volume.h"

static xmlNode *find_disk(xmlDoc *doc, const char *target) {
  return xml_map_find_device(table_find(&VmSpec_table, "disks"), xmlDocGetRootElement(doc), target);
}

/* The path of a disk's top file; NULL: an empty drive, or no file. */
static char *disk_source(xmlNode *disk) {
  return xml_path_get(xml_path("[@type='file']/source/@file ?? [@type='block']/source/@dev"), disk);
}

static gboolean disk_capacity(virDomainPtr domain, const char *target, guint64 *ret_bytes, GError **error) {
  const char *name = virDomainGetName(domain);
  virDomainBlockInfo info;
  if (virDomainGetBlockInfo(domain, target, &info, 0) < 0)
    return libvirt_fail(error, "cannot read the size of disk %s of domain %s", target, name);
  *ret_bytes = info.capacity;
  return TRUE;
}

/* Overlays on it would have another size than what they are based on. */
static gboolean check_not_a_base(const ActionContext *context, virDomainPtr domain, const char *target, GError **error) {
  g_autoptr(xmlDoc) doc = act_domain_doc(domain, 0, error);
  xmlNode *disk = doc ? find_disk(doc, target) : NULL;
  if (!doc)
    return FALSE;
  g_autofree char *path = disk ? disk_source(disk) : NULL, *overlay = NULL;
  if (!path)
    return act_stale(error, "domain %s has no disk %s with a file", virDomainGetName(domain), target);
  if (!volume_find_overlay(context, path, &overlay, error))
    return FALSE;
  return !overlay || act_refuse(error, "disk %s of domain %s can't be resized: %s is based on %s",
                                target, virDomainGetName(domain), overlay, path);
}

gboolean act_resize_disk(const ActionContext *context, const Action *action, GError **error) {
  const char *target = act_need(action, "target", error), *name = context->object->name;
  guint64 bytes, from = 0, now = 0;
  if (!target || !act_arg_uint64(action, "bytes", &bytes, error) || !act_arg_optional(action, "from", &from, error))
    return FALSE;
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  if (!domain || !disk_capacity(domain, target, &now, error))
    return FALSE;
  if (now == bytes)
    return TRUE;
  if (now > bytes)
    return act_refuse(error, "disk %s of domain %s has %" G_GUINT64_FORMAT " bytes and would shrink to %"
                      G_GUINT64_FORMAT ": that is never done", target, name, now, bytes);
  if (from && now != from)
    return act_stale(error, "disk %s of domain %s has %" G_GUINT64_FORMAT " bytes, not %" G_GUINT64_FORMAT " as planned",
                     target, name, now, from);
  if (!check_not_a_base(context, domain, target, error) || !bases_check(context, action, error))
    return FALSE;
  if (virDomainBlockResize(domain, target, bytes, VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0)
    return libvirt_fail(error, "cannot grow disk %s of domain %s", target, name);
  return disk_capacity(domain, target, &now, error) &&
         (now >= bytes || act_fail(error, "disk %s of domain %s was grown to %" G_GUINT64_FORMAT " bytes but has %"
                                   G_GUINT64_FORMAT, target, name, bytes, now));
}

static void remove_child(xmlNode *disk, const char *name) {
  for (xmlNode *child = xmlFirstElementChild(disk), *next; child; child = next) {
    next = xmlNextElementSibling(child);
    if (!g_str_equal(child->name, name))
      continue;
    xmlUnlinkNode(child);
    xmlFreeNode(child);
  }
}

/* The drive's element with another medium. What libvirt says of the old one goes with it. */
static void put_medium(xmlNode *disk, const DiskSpec *spec, const char *path) {
  remove_child(disk, "source");
  remove_child(disk, "backingStore");
  DiskSpec medium = { .path = (char *)path };
  if (path)
    set_given(&medium, DiskSpec, path);
  if (path && spec && given(spec, DiskSpec, format)) {
    medium.format = spec->format;
    set_given(&medium, DiskSpec, format);
  }
  xml_map_patch(&DiskSpec_table, disk, &medium, NULL);
}

static gboolean check_removable(xmlNode *disk, const char *target, GError **error) {
  g_autofree char *device = xml_path_get(xml_path("@device"), disk);
  if (g_strcmp0(device, "cdrom") == 0 || g_strcmp0(device, "floppy") == 0)
    return TRUE;
  return act_refuse(error, "disk %s is no drive with a medium", target);
}

enum { TRAY_TRIES = 4 }; /* in each libvirt waits 5 s */

/* A guest locks the tray while it reads. libvirt asks it once to open, and waits; but a guest without a program that
 * listens for that doesn't open it when it is done: so it is asked again. */
static gboolean put_into_drive(const ActionContext *context, const Action *action, virDomainPtr domain, const char *text, GError **error) {
  const char *target = act_arg(action, "target"), *path = act_arg(action, "path");
  for (guint tries = 1;; tries++) {
    if (act_cancelled(context, error))
      return FALSE;
    if (virDomainUpdateDeviceFlags(domain, text, VIR_DOMAIN_AFFECT_LIVE) == 0)
      return TRUE;
    if (virGetLastErrorCode() != VIR_ERR_OPERATION_FAILED || tries == TRAY_TRIES)
      return libvirt_fail(error, "cannot %s drive %s of domain %s (has the guest locked it?)",
                          path ? "change the medium in" : "eject", target, context->object->name);
    act_progress(context, action, 0, 0, "waiting for the guest to unlock the drive");
  }
}

gboolean act_change_media(const ActionContext *context, const Action *action, GError **error) {
  const char *target = act_need(action, "target", error), *path = act_arg(action, "path");
  const VmSpec *vm = target ? act_vm(context, error) : NULL;
  g_autoptr(VirDomain) domain = vm ? act_live_domain(context, error) : NULL;
  g_autoptr(xmlDoc) doc = domain ? act_domain_doc(domain, 0, error) : NULL;
  if (!doc)
    return FALSE;
  xmlNode *disk = find_disk(doc, target);
  if (!disk)
    return act_stale(error, "domain %s has no drive %s", context->object->name, target);
  g_autofree char *now = disk_source(disk);
  if (g_strcmp0(now, path) == 0)
    return TRUE;
  if (!check_removable(disk, target, error))
    return FALSE;
  put_medium(disk, vm_disk(vm, target), path);
  g_autofree char *text = xml_node_text(disk);
  return put_into_drive(context, action, domain, text, error);
}
