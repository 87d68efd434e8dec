/* Any bytes as libvirt's XML: an error, or a document that can be read and patched. What was
 * read is what is there: patching with it changes nothing. Patching twice is patching once. Read the fast way, it is the same. */
#include "state/asked.h"
#include "state/leaving.h"
#include "state/object_xml.h"
#include "state/xml_lean.h"
#include "tests/unit/xml_outline.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char desired_json[] =
    "{\"title\":\"a\",\"type\":\"qemu\",\"machine\":\"q35\",\"firmware\":{\"type\":\"bios\"},\"boot\":{\"order\":[\"cdrom\",\"disk\"]},"
    "\"cpu\":{\"count\":2,\"max\":4,\"features\":[{\"name\":\"pcid\",\"policy\":\"require\"}]},"
    "\"memory\":{\"size\":\"1GiB\",\"hugePages\":\"2MiB\",\"shared\":true},"
    "\"disks\":[{\"target\":\"vda\",\"path\":\"/dev/a\",\"ioLimits\":{\"read\":\"1MiB/s\"}},{\"target\":\"sda\",\"device\":\"cdrom\"}],"
    "\"interfaces\":[{\"name\":\"a\",\"mac\":\"52:54:00:00:00:01\",\"bridge\":\"b\"}],"
    "\"graphics\":[{\"type\":\"vnc\",\"listen\":\"::1\",\"port\":5901}],\"guestAgent\":true,\"rng\":{},"
    "\"hostDevices\":{\"pci\":[{\"address\":\"0000:03:00.0\"}],\"usb\":[{\"id\":\"1d6b:0002\"}]},"
    "\"devices\":{\"extra\":[\"<vsock model='virtio'/>\"]}}";
static const char applied_json[] =
    "{\"description\":\"b\",\"cpu\":{\"mode\":\"custom\",\"pinning\":[{\"vcpu\":0,\"cpus\":\"0\"}]},"
    "\"features\":{\"hyperv\":{\"relaxed\":true}},\"disks\":[{\"target\":\"sda\",\"path\":\"/x\"},{\"target\":\"vdb\"}],"
    "\"interfaces\":[{\"name\":\"a\",\"mac\":\"52:54:00:00:00:02\"}],\"serials\":[{\"port\":0,\"type\":\"pty\"}],"
    "\"video\":{\"model\":\"vga\"},\"devices\":{\"extra\":[\"<hub type='usb'/>\"]}}";

static VmSpec *vm(const char *json) {
  g_autoptr(GError) error = NULL;
  VmSpec *spec = spec_from_json(&VmSpec_table, json, "spec", &error);
  if (!spec)
    g_error("%s", error->message);
  return spec;
}

static void expect_unchanged(xmlDoc *doc, const VmSpec *spec, const char *what) {
  gboolean changed = FALSE;
  g_autofree char *before = xml_text(doc);
  if (!domain_xml_patch(xmlDocGetRootElement(doc), spec, NULL, NULL, &changed, NULL) || changed) {
    g_autofree char *after = xml_text(doc);
    g_error("%s: %s\nbecame %s", what, before, after);
  }
}

static void check_domain(xmlDoc *doc, const VmSpec *desired, const VmSpec *applied) {
  xmlNode *root = xmlDocGetRootElement(doc);
  g_autoptr(Ownership) record = ownership_read(root, NULL);
  VmSpec *read = spec_new(&VmSpec_table);
  domain_xml_read(root, record ? &record->spec : desired, read);
  asked_read(root);
  VmSpec *leaving = leaving_read(root);
  g_free(leaving ? leaving_text(leaving) : NULL);
  spec_free(&VmSpec_table, leaving);
  spec_unset(&VmSpec_table, read, &VmSpec_table.fields[VmSpec_devices]);
  expect_unchanged(doc, read, "patching with what was read");
  spec_free(&VmSpec_table, read);

  gboolean changed = FALSE;
  if (!domain_xml_patch(root, desired, applied, record, &changed, NULL))
    g_error("can't be patched");
  expect_unchanged(doc, desired, "patching twice");
  g_autofree char *text = xml_text(doc);
  g_autoptr(GError) error = NULL;
  g_autoptr(xmlDoc) again = xml_parse(text, "patched", &error);
  if (!again)
    g_error("%s: %s", error->message, text);
}

static void check_others(xmlDoc *doc) {
  xmlNode *root = xmlDocGetRootElement(doc);
  StoragePoolSpec pool = {0};
  pool_xml_read(root, &pool);
  spec_clear(&StoragePoolSpec_table, &pool);
  NetworkSpec network = {0};
  network_xml_read(root, &network);
  g_autoptr(NetworkOwnership) record = network_ownership_read(root, NULL);
  gboolean changed = FALSE;
  if (given(&network, NetworkSpec, mode))
    network_xml_patch(root, &network, NULL, record, &changed, NULL);
  spec_clear(&NetworkSpec_table, &network);
}

static void check_lean(xmlDoc *doc, const char *text) {
  g_autoptr(XmlLean) lean = xml_parse_lean(text, "input", NULL);
  g_autofree char *wanted = doc ? xml_outline(xmlDocGetRootElement(doc)) : NULL, *found = lean ? xml_outline(xml_lean_root(lean)) : NULL;
  if (g_strcmp0(wanted, found) != 0)
    g_error("%s\nis read as %s", wanted, found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static VmSpec *desired, *applied;
  if (!desired) {
    desired = vm(desired_json);
    applied = vm(applied_json);
  }
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autoptr(xmlDoc) doc = xml_parse(text, "input", NULL);
  check_lean(doc, text);
  if (!doc)
    return 0;
  g_autoptr(xmlDoc) copy = xmlCopyDoc(doc, 1);
  check_domain(doc, desired, applied);
  check_others(copy);
  return 0;
}
