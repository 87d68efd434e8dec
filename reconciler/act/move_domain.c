/* A machine that moves while it is stopped: made on the other host with a newer epoch, started and seen to run
 * there, and only then removed here (move_leave.c). Until then it is here, and runs here again when anything fails. */
#include <string.h>

#include "reconciler/act/move.h"
#include "state/fault.h"

/* --- can it be taken there? --- */

static gboolean check_version(virConnectPtr peer, const char *to, GError **error) {
  unsigned long version;
  if (virConnectGetLibVersion(peer, &version) < 0)
    return libvirt_fail(error, "cannot read the version of libvirt on %s", to);
  return version >= 9000000 || act_refuse(error, "%s has libvirt %lu.%lu: at least 9.0 is needed", to, version / 1000000, version / 1000 % 1000);
}

static gboolean check_machine(virConnectPtr peer, xmlDoc *doc, const char *to, GError **error) {
  xmlNode *root = xmlDocGetRootElement(doc);
  g_autofree char *type = xml_path_get(xml_path("@type"), root), *arch = xml_path_get(xml_path("os/type/@arch"), root);
  g_autofree char *machine = xml_path_get(xml_path("os/type/@machine"), root), *emulator = xml_path_get(xml_path("devices/emulator"), root);
  g_autofree char *capabilities = virConnectGetDomainCapabilities(peer, emulator, arch, machine, type, 0);
  return capabilities || libvirt_fail(error, "%s can't run machines of type %s (%s, %s)", to, machine, arch, type);
}

/* A CPU that the guest relies on: host-model is expanded in the live XML. An emulated one is QEMU's own. */
static gboolean check_cpu(virConnectPtr peer, xmlDoc *doc, const char *to, GError **error) {
  xmlNode *root = xmlDocGetRootElement(doc), *cpu = xml_path_node(xml_path("cpu"), root);
  g_autofree char *type = xml_path_get(xml_path("@type"), root), *mode = xml_path_get(xml_path("cpu/@mode"), root);
  if (!cpu || g_strcmp0(type, "kvm") != 0 || g_strcmp0(mode, "custom") != 0)
    return TRUE;
  g_autofree char *text = xml_node_text(cpu);
  int verdict = virConnectCompareHypervisorCPU(peer, NULL, NULL, NULL, "kvm", text, 0);
  if (verdict == VIR_CPU_COMPARE_ERROR)
    return libvirt_fail(error, "cannot compare its CPU with that of %s", to);
  return verdict != VIR_CPU_COMPARE_INCOMPATIBLE || act_refuse(error, "the CPU of %s lacks what the machine's CPU has", to);
}

#define PROOF "reconcile-proof-"

/* A file written through one host and seen through the other, and gone there when it is gone here. */
static gboolean prove_shared(const ActionContext *context, const ActionContext *there, const char *pool, const char *to, GError **error) {
  g_autoptr(VirStoragePool) here_pool = volume_pool(context, pool, error);
  g_autoptr(VirStoragePool) there_pool = here_pool ? volume_pool(there, pool, error) : NULL;
  g_autofree char *id = g_uuid_string_random(), *name = g_strconcat(PROOF, id, NULL);
  g_autoptr(VirStorageVol) written = there_pool ? volume_make(here_pool, name, "raw", 512, NULL, NULL, 0, error) : NULL;
  if (!written)
    return FALSE;
  FAULT("move: proof written");
  g_autoptr(VirStorageVol) seen = NULL;
  gboolean asked = volume_find(there, there_pool, name, TRUE, &seen, NULL, error);
  g_autoptr(GError) ignored = NULL;
  gboolean removed = volume_delete(written, &ignored);
  volume_refresh(there, there_pool, NULL);
  if (!asked || !removed)
    return asked ? act_fail(error, "%s can't be removed from pool %s: %s", name, pool, ignored->message) : FALSE;
  return seen || act_refuse(error, "pool %s is declared to be shared with %s, but a file that is written here isn't seen there", pool, to);
}

gboolean act_move_check(const ActionContext *context, const Action *action, GError **error) {
  const char *to = act_need(action, "to", error), *pools = act_arg(action, "pools");
  virConnectPtr peer = to ? move_peer(context, action, "to", error) : NULL;
  g_autoptr(VirDomain) domain = peer ? act_own_domain(context, error) : NULL, other = NULL;
  g_autoptr(xmlDoc) doc = domain ? act_domain_doc(domain, 0, error) : NULL;
  ActionContext there;
  if (!doc || !move_context(context, action, "to", &there, error) || !move_find_there(peer, context->object->name, &other, error))
    return FALSE;
  if (other)
    return act_stale(error, "there is a machine of this name on %s", to);
  if (!check_version(peer, to, error) || !check_machine(peer, doc, to, error) || !check_cpu(peer, doc, to, error))
    return FALSE;
  g_auto(GStrv) names = pools ? g_strsplit(pools, "\n", -1) : NULL;
  for (char **name = names; name && *name; name++)
    if (!prove_shared(context, &there, *name, to, error))
      return FALSE;
  return move_note(domain, to, FALSE, error); /* before anything is made there */
}

/* --- arriving --- */

static gboolean start_there(virDomainPtr there, GError **error) {
  int state;
  if (virDomainCreate(there) < 0)
    return libvirt_fail(error, "cannot start it on the other host");
  FAULT("move: started there");
  g_usleep(500000); /* one that fails at once is no success */
  if (virDomainGetState(there, &state, NULL, 0) < 0)
    return libvirt_fail(error, "cannot read its state on the other host");
  return state == VIR_DOMAIN_RUNNING || act_fail(error, "it was started on the other host, but doesn't run");
}

/* Off and gone there, as far as it was ever defined; an answer that doesn't come is no. */
static gboolean is_gone(virDomainPtr there, virConnectPtr peer, const char *name) {
  g_autoptr(VirDomain) left = NULL;
  if (there) {
    virDomainDestroy(there);
    virDomainUndefineFlags(there, VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM);
  }
  return move_find_there(peer, name, &left, NULL) && !left;
}

/* As it was before: not there, and running here if it is to run. What may run there never runs here too. */
static void go_back(const ActionContext *context, const Action *action, virDomainPtr here, virDomainPtr there, virConnectPtr peer, gboolean autostart,
                    GError **error) {
  if (!is_gone(there, peer, context->object->name)) {
    g_prefix_error(error, "it isn't started here again, since it may run on the other host, look there: ");
    return;
  }
  if (!move_note(here, act_arg(action, "to"), FALSE, NULL))
    return;
  if (autostart)
    virDomainSetAutostart(here, 1);
  if (act_arg(action, "start") && virDomainCreate(here) == 0)
    move_started(here, NULL);
}

static gboolean arrive(const Action *action, virDomainPtr there, gboolean autostart, GError **error) {
  if (!there)
    return libvirt_fail(error, "cannot define it on the other host");
  if (act_arg(action, "start") && (!start_there(there, error) || !move_started(there, error)))
    return FALSE;
  return !autostart || virDomainSetAutostart(there, 1) == 0 || libvirt_fail(error, "it can't be made to start with the other host");
}

static gboolean check_absent(const ActionContext *context, virDomainPtr here, virConnectPtr peer, GError **error) {
  g_autoptr(VirDomain) there = NULL;
  if (!move_find_there(peer, context->object->name, &there, error))
    return FALSE;
  int active = virDomainIsActive(here);
  if (active != 0)
    return active < 0 ? libvirt_fail(error, "cannot see whether domain %s is running", context->object->name)
                      : act_stale(error, "domain %s runs here: it isn't started a second time", context->object->name);
  return !there || act_stale(error, "there is a machine of this name on the other host");
}

/* This copy no longer starts with its host, from before there is another one. */
gboolean act_domain_arrive(const ActionContext *context, const Action *action, GError **error) {
  const char *to = act_need(action, "to", error);
  virConnectPtr peer = to ? move_peer(context, action, "to", error) : NULL;
  g_autoptr(VirDomain) here = peer ? act_own_domain(context, error) : NULL, there = NULL;
  if (!here || !check_absent(context, here, peer, error))
    return FALSE;
  int autostart = 0;
  g_autofree char *text = move_definition(context, action, here, error);
  if (!text || !move_note(here, to, TRUE, error))
    return FALSE;
  if (virDomainGetAutostart(here, &autostart) < 0 || (autostart && virDomainSetAutostart(here, 0) < 0))
    return libvirt_fail(error, "it can't be kept from starting with its host");
  FAULT("move: noted where it goes");
  there = virDomainDefineXMLFlags(peer, text, 0);
  explicit_bzero(text, strlen(text));
  FAULT("move: defined there");
  gboolean fine = arrive(action, there, autostart, error);
  if (!fine)
    go_back(context, action, here, there, peer, autostart, error);
  return fine;
}
