/* Plugging and unplugging devices of a running machine.
 *
 * The XML to attach is the device's in the persistent definition, which has been written before,
 * so that both agree on addresses; an address that the running machine can't give is left out. */
#include "reconciler/act/device.h"
#include "state/fault.h"
#include "state/life_sign.h"

#define RELEASE_WAIT_SECONDS 20
#define RETRY_SECONDS 5

/* "hostDevices.usb": through groups to the row, and to its member of the spec. */
gboolean device_find(const ActionContext *context, const Action *action, Device *ret_device, GError **error) {
  const char *list = act_need(action, "list", error);
  const VmSpec *vm = list ? act_vm(context, error) : NULL;
  if (!vm)
    return FALSE;
  const FieldTable *table = &VmSpec_table;
  gconstpointer spec = vm;
  const Field *row = NULL;
  g_auto(GStrv) keys = g_strsplit(list, ".", -1);
  for (guint i = 0; keys[i]; i++) {
    if (row) {
      table = row->sub;
      spec = spec ? field_member(row, spec) : NULL;
    }
    row = table ? table_find(table, keys[i]) : NULL;
    if (!row)
      break;
    if (spec && !field_given(table, spec, row))
      spec = NULL;
  }
  const char *match = act_arg(action, "match");
  if (!row || !row->device || (row->type == VALUE_LIST && !match))
    return act_fail(error, "the plan's action is about '%s', which is no device", list);
  gconstpointer member = spec ? field_member(row, spec) : NULL;
  if (member && row->type == VALUE_LIST)
    member = list_find(row->sub, *(GPtrArray *const *)member, table_match_field(row->sub), match);
  *ret_device = (Device){ .row = row, .item = member, .match = row->type == VALUE_LIST ? match : NULL };
  return TRUE;
}

char *device_name(const Device *device) {
  return device->match ? g_strdup_printf("%s[%s]", device->row->key, device->match) : g_strdup(device->row->key);
}

xmlNode *device_node(const Device *device, xmlDoc *doc) {
  return xml_map_find_device(device->row, xmlDocGetRootElement(doc), device->match);
}

/* Addresses. */

static gboolean same_attributes(xmlNode *a, xmlNode *b) {
  for (xmlAttr *attribute = a->properties; attribute; attribute = attribute->next) {
    if (g_str_equal(attribute->name, "multifunction"))
      continue;
    xmlChar *mine = xmlGetNoNsProp(a, attribute->name), *other = xmlGetNoNsProp(b, attribute->name);
    gboolean same = other && g_str_equal(mine, other);
    xmlFree(mine);
    xmlFree(other);
    if (!same)
      return FALSE;
  }
  return TRUE;
}

static gboolean address_is_taken(xmlNode *address, xmlNode *live) {
  xmlNode *devices = xml_path_node(xml_path("devices"), live);
  for (xmlNode *device = devices ? xmlFirstElementChild(devices) : NULL; device; device = xmlNextElementSibling(device)) {
    xmlNode *taken = xml_path_node(xml_path("address"), device);
    if (taken && same_attributes(address, taken))
      return TRUE;
  }
  return FALSE;
}

/* A definition may have got a controller that the running machine hasn't. */
static gboolean controller_is_missing(xmlNode *address, xmlNode *live) {
  g_autofree char *type = xml_path_get(xml_path("@type"), address);
  g_autofree char *number = xml_path_get(xml_path(g_strcmp0(type, "pci") == 0 ? "@bus" : "@controller"), address);
  if (g_strcmp0(type, "pci") != 0 || !number)
    return FALSE;
  guint64 wanted = g_ascii_strtoull(number, NULL, 0);
  g_autoptr(GPtrArray) controllers = xml_path_all(xml_path("devices/controller[@type='pci']"), live);
  for (guint i = 0; i < controllers->len; i++) {
    g_autofree char *index = xml_path_get(xml_path("@index"), controllers->pdata[i]);
    if (index && g_ascii_strtoull(index, NULL, 0) == wanted)
      return FALSE;
  }
  return TRUE;
}

static void drop_unusable_address(xmlNode *device, xmlNode *live) {
  xmlNode *address = xml_path_node(xml_path("address"), device);
  if (!address || (!address_is_taken(address, live) && !controller_is_missing(address, live)))
    return;
  xmlUnlinkNode(address);
  xmlFreeNode(address);
}

static char *attach_text(const ActionContext *context, virDomainPtr domain, const Device *device, xmlDoc *live, GError **error) {
  g_autoptr(xmlDoc) persistent = act_domain_doc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);
  if (!persistent)
    return NULL;
  xmlNode *node = device_node(device, persistent);
  if (!node) {
    const VmSpec *vm = act_vm(context, error);
    return vm ? domain_xml_device(vm, device->row, device->match, error) : NULL;
  }
  drop_unusable_address(node, xmlDocGetRootElement(live));
  return xml_node_text(node);
}

/* Whether the live machine has it; the document is for who needs more of it. */
static gboolean is_plugged(virDomainPtr domain, const Device *device, gboolean *ret_plugged, xmlDoc **ret_live, GError **error) {
  g_autoptr(xmlDoc) live = act_domain_doc(domain, VIR_DOMAIN_XML_SECURE, error);
  if (!live)
    return FALSE;
  *ret_plugged = device_node(device, live) != NULL;
  if (ret_live)
    *ret_live = g_steal_pointer(&live);
  return TRUE;
}

gboolean device_attach(const ActionContext *context, virDomainPtr domain, const Device *device, GError **error) {
  g_autofree char *name = device_name(device);
  g_autoptr(xmlDoc) live = NULL;
  gboolean plugged;
  if (!is_plugged(domain, device, &plugged, &live, error))
    return FALSE;
  if (plugged)
    return TRUE;
  g_autofree char *text = attach_text(context, domain, device, live, error);
  if (!text)
    return FALSE;
  if (LIFE_LONG(virDomainAttachDeviceFlags(domain, text, VIR_DOMAIN_AFFECT_LIVE)) < 0) /* a host's device has all memory pinned */
    return libvirt_fail(error, "cannot attach %s to domain %s", name, context->object->name);
  FAULT("device: attached");
  return is_plugged(domain, device, &plugged, NULL, error) &&
         (plugged || act_fail(error, "%s was attached to domain %s, but isn't there", name, context->object->name));
}

/* The request is asynchronous: the guest has to let the device go. Asking again while it
 * thinks about it is an error that says nothing. */
static void request_detach(virDomainPtr domain, xmlNode *node, GError **error) {
  g_autofree char *text = xml_node_text(node);
  if (virDomainDetachDeviceFlags(domain, text, VIR_DOMAIN_AFFECT_LIVE) < 0)
    libvirt_fail(error, "libvirt");
}

gboolean device_detach(const ActionContext *context, const Action *action, virDomainPtr domain, const Device *device, GError **error) {
  g_autofree char *name = device_name(device);
  gint64 start = g_get_monotonic_time(), asked = 0;
  g_autoptr(GError) refusal = NULL;
  for (;;) {
    g_autoptr(xmlDoc) live = NULL;
    gboolean plugged;
    if (!is_plugged(domain, device, &plugged, &live, error))
      return FALSE;
    if (!plugged)
      return TRUE;
    gint64 now = g_get_monotonic_time();
    if (now - start > RELEASE_WAIT_SECONDS * G_USEC_PER_SEC)
      return act_fail(error, "the guest of domain %s did not release %s%s%s; the definition is changed already, so the next start "
                      "brings it, and each run until then asks again", context->object->name, name,
                      refusal ? ": " : "", refusal ? refusal->message : "");
    if (!asked || now - asked > RETRY_SECONDS * G_USEC_PER_SEC) {
      gboolean first = !asked;
      g_clear_error(&refusal);
      request_detach(domain, device_node(device, live), &refusal);
      asked = g_get_monotonic_time();
      FAULT("device: release asked for");
      /* What can't be unplugged at all is known at once. */
      if (first && refusal && !g_error_matches(refusal, LIBVIRT_ERROR, VIR_ERR_OPERATION_FAILED)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&refusal), "cannot detach %s from domain %s: ",
                                   name, context->object->name);
        return FALSE;
      }
      continue;
    }
    act_progress(context, action, 0, 0, "waiting for the guest to release the device");
    if (!act_sleep(context, 200, error))
      return FALSE;
  }
}

gboolean act_attach_device(const ActionContext *context, const Action *action, GError **error) {
  Device device;
  g_autoptr(VirDomain) domain = device_find(context, action, &device, error) ? act_live_domain(context, error) : NULL;
  return domain && device_attach(context, domain, &device, error);
}

gboolean act_detach_device(const ActionContext *context, const Action *action, GError **error) {
  Device device;
  g_autoptr(VirDomain) domain = device_find(context, action, &device, error) ? act_live_domain(context, error) : NULL;
  if (!domain || !device_detach(context, action, domain, &device, error))
    return FALSE;
  FAULT("device: out");
  return device_note_leaving(domain, NULL, NULL, error);
}

gboolean act_replug_device(const ActionContext *context, const Action *action, GError **error) {
  Device device;
  g_autoptr(VirDomain) domain = device_find(context, action, &device, error) ? act_live_domain(context, error) : NULL;
  if (!domain || !device_detach(context, action, domain, &device, error))
    return FALSE;
  FAULT("device: out, not in again");
  return device_attach(context, domain, &device, error);
}
