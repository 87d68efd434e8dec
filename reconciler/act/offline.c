/* The helper's definition, its start and its end. */
#include "reconciler/act/offline.h"
#include "reconciler/act/image_lock.h"
#include "state/fault.h"
#include "state/helper.h"
#include "state/xml_tree.h"

static xmlNode *copy_child(xmlNode *from, xmlNode *to, const char *name) {
  xmlNode *child = from ? xml_first_child(from, name) : NULL;
  xmlNode *copy = child ? xmlDocCopyNode(child, to->doc, 1) : NULL;
  return copy ? xmlAddChild(to, copy) : NULL;
}

static xmlNode *add_child(xmlNode *parent, const char *name, const char *text) {
  return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

static void copy_attribute(xmlNode *from, xmlNode *to, const char *name) {
  const char *value = from ? xml_attribute(from, name) : NULL;
  if (value)
    xml_set_attribute(to, name, value);
}

/* libvirt believes it rather than the file of the disk; of what is beneath that again, it asks the files. */
static void add_beneath(xmlNode *disk, const OfflineDisk *wanted) {
  gboolean device = g_str_has_prefix(wanted->beneath, "/dev/");
  xmlNode *beneath = add_child(disk, "backingStore", NULL);
  xml_set_attribute(beneath, "type", device ? "block" : "file");
  xml_set_attribute(add_child(beneath, "format", NULL), "type", wanted->format);
  xml_set_attribute(add_child(beneath, "source", NULL), device ? "dev" : "file", wanted->beneath);
}

/* Which file, how it is read, and its name in the helper; nothing of what only the guest would notice. */
static void add_disk(xmlNode *devices, xmlNode *disk, const OfflineDisk *wanted, gboolean read_only) {
  xmlNode *copy = add_child(devices, "disk", NULL), *driver = xml_first_child(disk, "driver");
  copy_attribute(disk, copy, "type");
  xml_set_attribute(copy, "device", "disk");
  xmlNode *own = add_child(copy, "driver", NULL);
  copy_attribute(driver, own, "name");
  copy_attribute(driver, own, "type");
  copy_attribute(driver, own, "cache");
  copy_attribute(driver, own, "discard");
  copy_child(disk, copy, "source");
  if (wanted->beneath)
    add_beneath(copy, wanted);
  xmlNode *name = add_child(copy, "target", NULL);
  xml_set_attribute(name, "dev", wanted->target);
  xml_set_attribute(name, "bus", "virtio");
  if (read_only)
    add_child(copy, "readonly", NULL);
}

/* The machine's own QEMU and machine type, which are there for sure; its security labels, so that the
 * files can be opened as they are for it. */
static void add_platform(xmlNode *helper, xmlNode *machine) {
  xmlNode *os = add_child(helper, "os", NULL), *type = copy_child(xml_first_child(machine, "os"), os, "type");
  if (!type)
    add_child(os, "type", "hvm");
  xmlNode *features = add_child(helper, "features", NULL), *cache = add_child(add_child(features, "tcg", NULL), "tb-cache", "32");
  xml_set_attribute(cache, "unit", "MiB"); /* QEMU's own default takes seconds to set up */
  for (xmlNode *label = xml_first_child(machine, "seclabel"); label; label = xml_next_sibling(label, "seclabel"))
    if (g_strcmp0(xml_attribute(label, "type"), "dynamic") != 0)
      xmlAddChild(helper, xmlDocCopyNode(label, helper->doc, 1));
}

static char *helper_text(const char *name, xmlNode *machine, xmlNode *disk, const OfflineDisk *wanted, gboolean read_only) {
  g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
  xmlNode *helper = xmlNewDocNode(doc, NULL, (const xmlChar *)"domain", NULL);
  g_autofree char *own = helper_name(name);
  xmlDocSetRootElement(doc, helper);
  xml_set_attribute(helper, "type", "qemu");
  add_child(helper, "name", own);
  helper_mark(helper, name);
  xml_set_attribute(add_child(helper, "memory", "32"), "unit", "MiB");
  add_child(helper, "vcpu", "1");
  add_platform(helper, machine);
  xmlNode *devices = add_child(helper, "devices", NULL);
  copy_child(xml_first_child(machine, "devices"), devices, "emulator");
  add_disk(devices, disk, wanted, read_only);
  xmlNode *usb = add_child(devices, "controller", NULL);
  xml_set_attribute(usb, "type", "usb");
  xml_set_attribute(usb, "model", "none");
  xml_set_attribute(add_child(devices, "memballoon", NULL), "model", "none");
  return xml_text(doc);
}

/* Nothing runs, nothing is saved whose memory knows the disk. */
static gboolean check_off(virDomainPtr machine, GError **error) {
  const char *name = virDomainGetName(machine);
  int active = virDomainIsActive(machine);
  int saved = active == 0 ? virDomainHasManagedSaveImage(machine, 0) : 0;
  if (active < 0 || saved < 0)
    return libvirt_fail(error, "cannot read the state of domain %s", name);
  if (active)
    return act_stale(error, "domain %s has been started", name);
  return !saved || act_refuse(error, "domain %s is hibernated: its saved memory knows its disks as they are; let it run, or discard "
                              "what was saved ('virsh managedsave-remove %s')", name, name);
}

static gboolean find_helper(virDomainPtr machine, virDomainPtr *ret_helper, GError **error) {
  g_autofree char *name = helper_name(virDomainGetName(machine));
  g_autoptr(VirDomain) helper = virDomainLookupByName(virDomainGetConnect(machine), name);
  if (!helper)
    return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || libvirt_fail(error, "cannot look up domain %s", name);
  g_autoptr(xmlDoc) doc = act_domain_doc(helper, 0, error);
  if (!doc)
    return FALSE;
  g_autofree char *owner = helper_owner(xmlDocGetRootElement(doc));
  if (g_strcmp0(owner, virDomainGetName(machine)) != 0)
    return act_refuse(error, "there is a domain %s, and work on the disks of the stopped domain %s needs this name: rename it, "
                      "or start %s first", name, virDomainGetName(machine), virDomainGetName(machine));
  *ret_helper = g_steal_pointer(&helper);
  return TRUE;
}

/* QEMU is given the chance to flush first. */
static gboolean end(virDomainPtr helper, GError **error) {
  const char *name = virDomainGetName(helper);
  if (virDomainDestroyFlags(helper, VIR_DOMAIN_DESTROY_GRACEFUL) == 0 ||
      (virGetLastErrorCode() != VIR_ERR_OPERATION_TIMEOUT && virDomainDestroy(helper) == 0) ||
      virGetLastErrorCode() == VIR_ERR_NO_DOMAIN || virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
    return TRUE;
  return libvirt_fail(error, "cannot end the helper domain %s", name);
}

gboolean offline_end(const ActionContext *context G_GNUC_UNUSED, virDomainPtr machine, GError **error) {
  g_autoptr(VirDomain) helper = NULL;
  return find_helper(machine, &helper, error) && (!helper || end(helper, error));
}

static virDomainPtr begin(virDomainPtr machine, const OfflineDisk *wanted, gboolean read_only, GError **error) {
  const char *name = virDomainGetName(machine);
  g_autoptr(xmlDoc) doc = act_domain_doc(machine, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);
  xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
  xmlNode *disk = root ? xml_map_find_device(table_find(&VmSpec_table, "disks"), root, wanted->target) : NULL;
  if (root && !disk)
    act_stale(error, "domain %s has no disk %s any more", name, wanted->target);
  if (!disk)
    return NULL;
  g_autofree char *text = helper_text(name, root, disk, wanted, read_only);
  virDomainPtr helper = virDomainCreateXML(virDomainGetConnect(machine), text, VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);
  if (!helper)
    libvirt_fail(error, "cannot start a helper for disk %s of domain %s (does somebody use the disk?)", wanted->target, name);
  return helper;
}

static gboolean run(const ActionContext *context, const Action *action, virDomainPtr machine, const OfflineDisk *wanted, gboolean read_only,
                    OfflineWork work, gconstpointer data, GError **error) {
  if (!check_off(machine, error) || !offline_end(context, machine, error))
    return FALSE;
  g_autoptr(VirDomain) helper = begin(machine, wanted, read_only, error);
  if (!helper)
    return FALSE;
  FAULT("offline: helper started");
  gboolean done = work(context, action, helper, data, error);
  FAULT("offline: work done");
  gboolean ended = end(helper, done ? error : NULL);
  FAULT("offline: helper ended");
  return done && ended;
}

gboolean offline_run(const ActionContext *context, const Action *action, virDomainPtr machine, const OfflineDisk *disk,
                     OfflineWork work, gconstpointer data, GError **error) {
  return run(context, action, machine, disk, FALSE, work, data, error);
}

gboolean offline_hold(const ActionContext *context, const Action *action, const DiskLayers *layers, OfflineWork work,
                      gconstpointer data, GError **error) {
  virDomainPtr machine = layers->domain;
  g_autoptr(ImageLocks) locks = NULL;
  if (!check_off(machine, error) || !offline_end(context, machine, error) || !image_locks_take(layers, &locks, error))
    return FALSE;
  const OfflineDisk wanted = { .target = layers->chain.disk->target };
  if (!locks)
    return run(context, action, machine, &wanted, TRUE, work, data, error);
  FAULT("offline: files locked");
  gboolean done = work(context, action, NULL, data, error);
  FAULT("offline: work done");
  return done;
}
