#include "state/libvirt/host_fits.h"

#include <libvirt/virterror.h>

#include "state/xml_lean.h"
#include "state/xml_path.h"
#include "state/xml_tree.h"

#define OLDEST 9000000

/* Methods of compression that came later, to both ends. */
static const struct {
  const char *method;
  unsigned long since;
} methods[] = {{"zlib", 9004000}, {"zstd", 9004000}};

/* The sender's only; whether the memory may be locked for it, libvirt says only when it goes. */
#define ZERO_COPY_QEMU 7001000

typedef struct {
  virConnectPtr from, to;
  const char *name; /* of the host */
  const HostNeeds *needs;
  xmlNode *machine; /* its definition, as it runs if it does */
  char *why, *remark;
} Question;

static char *version_text(unsigned long version) { return g_strdup_printf("%lu.%lu", version / 1000000, version / 1000 % 1000); }

static gboolean check_version(Question *question, GError **error) {
  unsigned long version;
  if (virConnectGetLibVersion(question->to, &version) < 0)
    return libvirt_fail(error, "cannot read the version of libvirt on %s", question->name);
  g_autofree char *text = version_text(version);
  if (version < OLDEST)
    question->why = g_strdup_printf("%s has libvirt %s: at least 9.0 is needed", question->name, text);
  return TRUE;
}

static gboolean check_method(Question *question, const char *method, unsigned long since, GError **error) {
  unsigned long here, there;
  if (virConnectGetLibVersion(question->from, &here) < 0 || virConnectGetLibVersion(question->to, &there) < 0)
    return libvirt_fail(error, "cannot read the version of libvirt");
  if (here >= since && there >= since)
    return TRUE;
  g_autofree char *has = version_text(here < since ? here : there), *needed = version_text(since);
  question->why = g_strdup_printf("%s has libvirt %s, and migration.compression: %s needs %s on both hosts: give xbzrle or mt, or leave it out",
                                  here < since ? "its host" : question->name, has, method, needed);
  return TRUE;
}

static gboolean check_zero_copy(Question *question, GError **error) {
  unsigned long version;
  if (virConnectGetVersion(question->from, &version) < 0)
    return libvirt_fail(error, "cannot read the version of QEMU");
  g_autofree char *text = version_text(version);
  if (version < ZERO_COPY_QEMU)
    question->why = g_strdup_printf("its host has QEMU %s, and migration.zeroCopy needs 7.1: leave it out", text);
  return TRUE;
}

static gboolean check_needs(Question *question, GError **error) {
  const HostNeeds *needs = question->needs;
  for (guint i = 0; needs && needs->compression && i < G_N_ELEMENTS(methods); i++)
    if (g_str_equal(needs->compression, methods[i].method))
      return check_method(question, methods[i].method, methods[i].since, error);
  return !needs || !needs->zero_copy || check_zero_copy(question, error);
}

static gboolean lists(xmlNode *from, const char *machine) {
  for (xmlNode *each = xml_first_child(from, "machine"); each; each = xml_next_sibling(each, "machine")) {
    g_autofree char *owned = NULL;
    if (g_strcmp0(xml_content(each, &owned), machine) == 0)
      return TRUE;
  }
  return FALSE;
}

/* Types may be listed for all of an architecture, or for one kind of domain. */
static gboolean offers(xmlNode *capabilities, const char *arch, const char *type, const char *machine) {
  for (xmlNode *guest = xml_first_child(capabilities, "guest"); guest; guest = xml_next_sibling(guest, "guest")) {
    xmlNode *each = xml_first_child(guest, "arch");
    if (!each || g_strcmp0(xml_attribute(each, "name"), arch) != 0)
      continue;
    gboolean general = !machine || lists(each, machine);
    for (xmlNode *domain = xml_first_child(each, "domain"); domain; domain = xml_next_sibling(domain, "domain"))
      if (g_strcmp0(xml_attribute(domain, "type"), type) == 0 && (general || lists(domain, machine)))
        return TRUE;
  }
  return FALSE;
}

static gboolean check_machine(Question *question, GError **error) {
  g_autofree char *text = virConnectGetCapabilities(question->to);
  g_autoptr(XmlLean) capabilities = text ? xml_parse_lean(text, "capabilities", error) : NULL;
  if (!capabilities)
    return text ? FALSE : libvirt_fail(error, "cannot read the capabilities of %s", question->name);
  g_autofree char *type = xml_path_get(xml_path("@type"), question->machine), *arch = xml_path_get(xml_path("os/type/@arch"), question->machine);
  g_autofree char *machine = xml_path_get(xml_path("os/type/@machine"), question->machine);
  if (!offers(xml_lean_root(capabilities), arch, type, machine))
    question->why = g_strdup_printf("%s has no machines of type %s (%s, %s): its QEMU is another one", question->name, machine, arch, type);
  return TRUE;
}

/* A CPU that the guest relies on: host-model is expanded in the XML of what runs. An emulated one is QEMU's own. */
static gboolean check_cpu(Question *question, GError **error) {
  xmlNode *cpu = xml_path_node(xml_path("cpu"), question->machine);
  g_autofree char *type = xml_path_get(xml_path("@type"), question->machine), *mode = xml_path_get(xml_path("cpu/@mode"), question->machine);
  if (!cpu || g_strcmp0(type, "kvm") != 0 || g_strcmp0(mode, "custom") != 0)
    return TRUE;
  g_autofree char *text = xml_node_text(cpu);
  int verdict = virConnectCompareCPU(question->to, text, 0);
  if (verdict == VIR_CPU_COMPARE_ERROR)
    return libvirt_fail(error, "cannot compare its CPU with that of %s", question->name);
  if (verdict == VIR_CPU_COMPARE_INCOMPATIBLE)
    question->why = g_strdup_printf("the CPU of %s lacks what the machine's CPU has: give it a cpu.model that both have", question->name);
  return TRUE;
}

/* A host without the driver for interfaces says nothing of bridges. */
static gboolean check_bridge(Question *question, const char *bridge, GError **error) {
  virInterfacePtr found = virInterfaceLookupByName(question->to, bridge);
  if (found) {
    if (virInterfaceIsActive(found) == 0 && !question->remark)
      question->remark = g_strdup_printf("its bridge or device %s has no link on %s: it is down there, or nothing is connected to it", bridge, question->name);
    virInterfaceFree(found);
    return TRUE;
  }
  int code = virGetLastErrorCode();
  if (code == VIR_ERR_NO_INTERFACE)
    question->why = g_strdup_printf("its bridge or device %s isn't on %s: make it there first", bridge, question->name);
  return code == VIR_ERR_NO_INTERFACE || code == VIR_ERR_NO_SUPPORT || libvirt_fail(error, "cannot look for %s on %s", bridge, question->name);
}

static gboolean check_bridges(Question *question, GError **error) {
  g_autoptr(GPtrArray) interfaces = xml_path_all(xml_path("devices/interface"), question->machine);
  gboolean asked = TRUE;
  for (guint i = 0; asked && !question->why && i < interfaces->len; i++) {
    xmlNode *each = interfaces->pdata[i];
    const char *type = xml_attribute(each, "type");
    gboolean bridge = g_strcmp0(type, "bridge") == 0, direct = g_strcmp0(type, "direct") == 0;
    g_autofree char *name = bridge || direct ? xml_path_get(xml_path(bridge ? "source/@bridge" : "source/@dev"), each) : NULL;
    asked = !name || check_bridge(question, name, error);
  }
  return asked;
}

gboolean host_fits(Connection *from, Connection *to, const char *name, const char *machine, const HostNeeds *needs, char **ret_why, char **ret_remark,
                   GError **error) {
  static gboolean (*const checks[])(Question *, GError **) = {check_version, check_needs, check_machine, check_cpu, check_bridges};
  virConnectPtr here = connection_get(from, error), there = here ? connection_get(to, error) : NULL;
  g_autoptr(VirDomain) domain = there ? virDomainLookupByName(here, machine) : NULL;
  g_autofree char *text = domain ? virDomainGetXMLDesc(domain, 0) : NULL;
  if (!text && there)
    libvirt_fail(error, "cannot read domain %s", machine);
  g_autoptr(XmlLean) doc = text ? xml_parse_lean(text, "definition", error) : NULL;
  Question question = {.from = here, .to = there, .name = name, .needs = needs, .machine = xml_lean_root(doc)};
  gboolean asked = doc != NULL;
  for (guint i = 0; asked && !question.why && i < G_N_ELEMENTS(checks); i++)
    asked = checks[i](&question, error);
  if (asked)
    *ret_why = g_steal_pointer(&question.why);
  if (asked && ret_remark)
    *ret_remark = g_steal_pointer(&question.remark);
  g_free(question.why);
  g_free(question.remark);
  return asked;
}
